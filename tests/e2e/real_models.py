"""The six real networks: where their files are, and their samples in the form that a user has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgecomp.artifact import BuiltModel, open_artifact, open_engine
from edgecomp.data import load_dataset
from edgecomp.pipeline import build
from edgecomp.request import Request
from edgecomp.samples import input_codes
from edgecomp.verification import Outcome, compare

BOARDS = (
    "mps2-an385-v6m", "mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547",
)  # fmt: skip
"""One emulated board per core; the first is built for Cortex-M0."""
SMALL_BOARD = "microbit"
HOST_BOARDS = ("mps2-an385-v6m", "mps2-an386", "mps3-an547")
"""Boards whose generated C runs on this host, too: one for each kind of kernels."""
PICTURES = 300
FRAMES = 300
CALIBRATION_SAMPLES = 200


@dataclass(frozen=True)
class RealModel:
    """A network and its data.

    Attributes:
        file: below `models`.
        data: name below `datasets`, or of a function here that makes samples.
        preprocessing: how raw numbers become real ones.
        accuracy: of the float network on all samples, as its card says; None where there are no
            labels.
        device_samples: samples whose accuracy is measured on the device.
    """

    file: str
    data: str
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    accuracy: float | None = None
    device_samples: int = 20


MODELS = {
    "ic": RealModel(
        "ic_resnet8_jpegft/ic_resnet8_jpegft.onnx", "cifar10_test.npz",
        {"layout": "hwc"}, 0.8213, 500,
    ),
    "kws": RealModel(
        "kws_dscnn/kws_dscnn.onnx", "kws_gsc_v2_test_mfcc.npz",
        {"scale": 1 / 128, "layout": "hw"}, 0.922, 1000,
    ),
    "har": RealModel(
        "har_cnn1d/har_cnn1d.onnx", "har_hapt_test.npz",
        {"scale": 1 / 4096, "layout": "wc"}, 0.9359, 1000,
    ),
    "mnist": RealModel(
        "mnist_cnn/mnist_cnn.onnx", "mnist_eval5k.npz",
        {"scale": 1 / 255, "layout": "hw"}, 0.9840, 1000,
    ),
    "ad": RealModel("ad_autoencoder/ad_fc_autoencoder.onnx", "log_mel_frames"),
    "vww": RealModel(
        "vww_mobilenetv1_025/vww_mobilenetv1_025.onnx", "enlarged_pictures",
        {"scale": 1 / 255, "layout": "hwc"},
    ),
}  # fmt: skip
ON_SMALL_BOARD = {"mnist", "har", "kws"}
"""Networks that fit 256 KB of flash and 16 KB of RAM, harness included."""
LABELLED = tuple(name for name, model in MODELS.items() if model.accuracy is not None)


def log_mel_frames(data_dir: Path) -> dict[str, np.ndarray]:
    """Windows of 5 frames x 128 log-mel values (dB): a smooth spectrum that drifts, and noise."""
    rng = np.random.default_rng(0)
    bands = np.arange(128) / 128
    spectrum = -22 - 16 * bands + 5 * np.cos(9 * bands)
    tones = rng.normal(0, 4, (FRAMES, 1, 8)) @ np.cos(np.outer(np.arange(1, 9), np.pi * bands))
    noise = rng.normal(0, 2.5, (FRAMES, 5, 128))
    return {"x": (spectrum + tones + noise).reshape(FRAMES, 640).astype(np.float32)}


def enlarged_pictures(data_dir: Path) -> dict[str, np.ndarray]:
    """Pictures of 96x96, each pixel of a CIFAR-10 training picture three by three."""
    with np.load(data_dir / "datasets" / "cifar10_train20k.npz") as file:
        return {"x": file["x"][:PICTURES].repeat(3, axis=1).repeat(3, axis=2)}


MADE = {"log_mel_frames": log_mel_frames, "enlarged_pictures": enlarged_pictures}


def data_file(model: RealModel, data_dir: Path, work: Path) -> Path:
    """Return the file with the samples of `model`; what is made is written to `work`."""
    if model.data not in MADE:
        return data_dir / "datasets" / model.data
    work.mkdir(parents=True, exist_ok=True)
    path = work / f"{model.data}.npz"
    if not path.exists():
        np.savez(path, **MADE[model.data](data_dir))
    return path


def request(name: str, board: str, data_dir: Path, work: Path, **options: Any) -> Request:
    """Return the request that builds a network from its float file with its own samples."""
    model = MODELS[name]
    return Request(
        model=str(data_dir / "models" / model.file),
        board=board,
        out=work / f"{name}-{board}",
        data=str(data_file(model, data_dir, work)),
        preprocessing=model.preprocessing,
        calibration_samples=CALIBRATION_SAMPLES,
        **options,
    )


def few_samples(name: str, data_dir: Path, work: Path, count: int) -> Path:
    """Write the last `count` samples of a network, without labels, for comparing bits."""
    path = work / f"{name}-{count}.npz"
    with np.load(data_file(MODELS[name], data_dir, work)) as file:
        np.savez(path, x=file["x"][-count:])
    return path


def build_quantized(
    first: BuiltModel, board: str, samples: Path, work: Path, name: str, **options: Any
) -> BuiltModel:
    """Build a quantized network for another board, from the file that the first build wrote."""
    preprocessing = MODELS[name].preprocessing
    out = work / f"{name}-{board}"
    build(
        Request(
            model=str(first.folder / "model_int8.onnx"),
            board=board,
            out=out,
            data=str(samples),
            calibration_data=str(samples),
            preprocessing=preprocessing,
            metric=None,
            **{"limit": 4, **options},
        )
    )
    return open_artifact(out)


def compare_all_tensors(
    built: BuiltModel, samples: Path, count: int, engine: str = "qemu"
) -> Outcome:
    """Compare every stored tensor of `count` samples with the integer reference.

    On this host the program is compiled with the sanitizers for addresses and undefined behaviour.
    """
    dataset = load_dataset(str(samples), built.graph, built.preprocessing)
    codes = {name: array[:count] for name, array in input_codes(built.graph, dataset).items()}
    assert all(len(array) == count for array in codes.values())
    sanitizers = ("address", "undefined") if engine == "host" else ()
    with open_engine(built, engine, sanitizers) as opened:
        return compare(
            built.graph, built.stored, opened, built.layout, codes, tensors=True, timeout_s=3600
        )

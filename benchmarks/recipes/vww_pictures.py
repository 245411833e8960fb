"""Pictures for the network of visual wake words, whose own may not be handed on.

They are pictures of CIFAR-10, enlarged, or nine together; their labels are the answers of the plain
int8 network, so that an accuracy is the share of equal answers.  None shows persons as the network
knows them: it says "person" to 2 % of the enlarged ones, and to a quarter of the mosaics, most of
which lie near the border of its two classes.

    data: {train: benchmarks/recipes/vww_pictures.py:train, scale: 0.00392157, layout: hwc}
"""

import functools
import os
from pathlib import Path

import numpy as np

from edgecomp.data import Preprocessing, split_calibration
from edgecomp.data.dataset import from_arrays
from edgecomp.frontend import read_model
from edgecomp.interp import outputs_in_chunks
from edgecomp.ir import Array, Graph
from edgecomp.passes import run_passes
from edgecomp.quant import QuantizeOptions, quantize_model
from edgecomp.samples import input_codes

DATA = Path(os.environ["EDGECOMP_DATA"])
MODEL = DATA / "models" / "vww_mobilenetv1_025" / "vww_mobilenetv1_025.onnx"
PREPROCESSING = Preprocessing(scale=1 / 255, layout="hwc")
TRAINING_PICTURES = 1500
TEST_PICTURES = 1000
CALIBRATION_SAMPLES = 200
SIZE, SMALL = 96, 32


def train() -> tuple[Array, Array]:
    """3,000 training pictures, half of them mosaics."""
    pictures = _training_pictures()
    return pictures, _answers(pictures)


def test() -> tuple[Array, Array]:
    """1,000 enlarged test pictures."""
    pictures = enlarged(_cifar10("test", TEST_PICTURES))
    return pictures, _answers(pictures)


def test_mosaics() -> tuple[Array, Array]:
    """1,000 mosaics of test pictures."""
    pictures = mosaics(_cifar10("test", 9 * TEST_PICTURES))
    return pictures, _answers(pictures)


def enlarged(pictures: Array) -> Array:
    """Three times as high and wide, `(n, 96, 96, 3)` uint8, linear between the pixels' middles."""
    at = np.clip((np.arange(SIZE) + 0.5) * SMALL / SIZE - 0.5, 0, SMALL - 1)
    near = np.maximum(1 - np.abs(at[:, None] - np.arange(SMALL)), 0).astype(np.float32)
    return np.rint(np.einsum("ai,nijc,bj->nabc", near, pictures, near, optimize=True)).astype("u1")


def mosaics(pictures: Array) -> Array:
    """Nine pictures in one, `(n / 9, 96, 96, 3)` uint8."""
    parts = pictures.reshape(-1, 3, 3, SMALL, SMALL, 3)
    return np.ascontiguousarray(parts.transpose(0, 1, 3, 2, 4, 5)).reshape(-1, SIZE, SIZE, 3)


def _cifar10(part: str, count: int) -> Array:
    with np.load(DATA / "datasets" / f"cifar10_{part}.npz") as file:
        return np.asarray(file["x"][:count])


@functools.cache
def _training_pictures() -> Array:
    few = enlarged(_cifar10("train20k", TRAINING_PICTURES))
    return np.concatenate([few, mosaics(_cifar10("train20k", 9 * TRAINING_PICTURES))])


@functools.cache
def _plain_int8() -> Graph:
    """The network as a build without a recipe quantizes it, calibrated with training pictures."""
    graph = run_passes(read_model(str(MODEL)))
    pictures = _training_pictures()
    chosen, _ = split_calibration(len(pictures), CALIBRATION_SAMPLES)
    samples = from_arrays("pictures", {"x": pictures[chosen]}, graph, PREPROCESSING)
    return quantize_model(graph, samples.real(), QuantizeOptions())[0]


def _answers(pictures: Array) -> Array:
    graph = _plain_int8()
    codes = input_codes(graph, from_arrays("pictures", {"x": pictures}, graph, PREPROCESSING))
    (output,) = outputs_in_chunks(graph, codes, integer=True).values()
    return output.reshape(len(pictures), -1).argmax(axis=1)

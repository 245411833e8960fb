"""Every command where all is well: what it prints, what it writes, what `--json` holds."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import jsonschema
import numpy as np
import onnxruntime
import pytest

from edgecomp import report as report_package
from edgecomp.interp import run_int
from edgecomp.ir.serialize import load_graph
from edgecomp.ops import PARAMS
from tests.cli.conftest import Inputs
from tests.cli.support import CLASSES, FAST, SIDE, call, command, fingerprint

SCHEMA = json.loads(
    (Path(report_package.__path__[0]) / "report.schema.json").read_text(encoding="utf-8")
)
FILES = {
    "firmware.elf", "firmware.bin", "firmware.hex", "firmware.map", "check.elf", "check.bin",
    "model_int8.onnx", "manifest.json", "report.json", "plan.txt",
    "src/tiny.c", "src/tiny.h", "src/edgecomp.h", "src/main.c", "src/CMakeLists.txt",
}  # fmt: skip
HELP_LIMIT_S = 0.5


def validate(report: dict) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(report)


def test_build_writes_all_files_and_a_valid_report(built: Path) -> None:
    assert set(fingerprint(built)) >= FILES
    report = json.loads((built / "report.json").read_text())
    validate(report)
    assert report["board"] == "mps2-an386"
    assert report["core"] == "cortex-m4f"
    assert report["macs"] == 6 * 9 * SIDE * SIDE + 96 * CLASSES
    assert report["accuracy"]["metric"] == "accuracy"
    assert report["accuracy"]["samples"] == 32
    assert report["accuracy"]["device_samples"] == 4
    assert report["bit_exact"] == {"tensors": 3, "samples": 4, "mismatches": 0}
    assert report["ram"]["total_bytes"] == sum(
        report["ram"][key] for key in ("arena_bytes", "static_bytes", "stack_bytes")
    )
    assert report["flash"]["total_bytes"] == (built / "firmware.bin").stat().st_size
    assert [layer["ops"] for layer in report["layers"]] == [["conv2d"], ["max_pool"], ["dense"]]


def test_manifest_has_hashes_of_every_file_and_no_absolute_path(built: Path) -> None:
    text = (built / "manifest.json").read_text()
    manifest = json.loads(text)
    assert set(manifest["sha256"]) == set(fingerprint(built)) - {"manifest.json", "report.json"}
    assert "/home" not in text
    assert str(built.anchor) + "tmp" not in text
    stack = manifest["stack"]["check"]
    assert stack["total_bytes"] >= stack["without_exception_bytes"] + stack["exception_bytes"]
    assert sum(used for _, used in stack["path"]) == stack["without_exception_bytes"]


def test_build_prints_the_report_as_json(tiny: Inputs, tmp_path: Path) -> None:
    answer = call(
        "build", tiny.model, "--board", "microbit", "--data", tiny.data, *FAST, "--json",
        "-o", tmp_path / "out",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert answer.err == ""
    report = json.loads(answer.out)
    validate(report)
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["core"] == "cortex-m0"


def test_quantized_model_is_built_without_data(built: Path, tmp_path: Path) -> None:
    answer = call(
        "build", built / "model_int8.onnx", "--board", "mps2-an385", "-o", tmp_path / "o", "--json"
    )
    assert answer.code == 0, answer.err
    report = json.loads(answer.out)
    validate(report)
    assert report["accuracy"]["metric"] is None
    assert report["accuracy"]["int8"] is None
    fused = sum(layer["kernel"] == "rows" for layer in report["layers"])
    assert fused == 1
    assert report["bit_exact"] == {"tensors": 2, "samples": 20, "mismatches": 0}


def test_build_for_a_board_that_is_not_emulated(tiny: Inputs, tmp_path: Path) -> None:
    boards = json.loads(call("boards", "--json").out)
    name = next(board["id"] for board in boards if board["emulator"] is None)
    answer = call(
        "build", tiny.model, "--board", name, "--data", tiny.data, *FAST, "-o", tmp_path / "out"
    )
    assert answer.code == 0, answer.err
    assert "not emulated" in answer.out
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    validate(report)
    assert report["bit_exact"]["mismatches"] is None
    assert report["accuracy"]["device"] is None
    assert report["accuracy"]["int8"] is not None
    on_host = call("check", tmp_path / "out", "--engine", "host", "--limit", "6")
    assert on_host.code == 0, on_host.err
    on_device = call("check", tmp_path / "out")
    assert on_device.code == 2
    assert "--engine host" in on_device.err


def test_check_fills_the_report_again(built: Path) -> None:
    before = json.loads((built / "report.json").read_text())
    answer = call("check", built, "--limit", "12", "--tensors", "--json")
    assert answer.code == 0, answer.err
    shown = json.loads(answer.out)
    assert shown.pop("check")["tensor_samples"] == 12
    validate(shown)
    after = json.loads((built / "report.json").read_text())
    validate(after)
    assert after == shown
    assert after["accuracy"]["device_samples"] == 12
    assert after["accuracy"]["float"] == before["accuracy"]["float"]
    assert after["bit_exact"] == {"tensors": 3, "samples": 12, "mismatches": 0}
    assert {k: after[k] for k in ("flash", "ram", "layers")} == {
        k: before[k] for k in ("flash", "ram", "layers")
    }


def test_check_on_the_host_leaves_the_report(built: Path) -> None:
    before = fingerprint(built)
    answer = call("check", built, "--engine", "host", "--limit", "9")
    assert answer.code == 0, answer.err
    assert "equal to the host's" in answer.out
    assert fingerprint(built) == before


def test_check_with_other_data(built: Path, tiny: Inputs, tmp_path: Path) -> None:
    arrays = dict(np.load(tiny.data))
    np.savez(tmp_path / "other.npz", x=arrays["x"][:7], y=arrays["y"][:7])
    answer = call("check", built, "--data", tmp_path / "other.npz", "--json")
    assert answer.code == 0, answer.err
    accuracy = json.loads(answer.out)["accuracy"]
    assert (accuracy["samples"], accuracy["device_samples"]) == (7, 7)
    assert accuracy["device"] == accuracy["int8"]


@pytest.mark.parametrize("engine", ["qemu", "host", "reference"])
def test_run_answers_alike_on_every_engine(
    engine: str, built: Path, tiny: Inputs, tmp_path: Path
) -> None:
    x = np.load(tiny.data)["x"][:5]
    np.savez(tmp_path / "x.npz", x=x)
    out, dump = tmp_path / "y.npz", tmp_path / "tensors.npz"
    answer = call(
        "run", built, "--input", tmp_path / "x.npz", "--output", out, "--engine", engine,
        "--dump-tensors", dump, "--json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    shown = json.loads(answer.out)
    y = np.load(out)
    graph = load_graph(built / "graph.npz", PARAMS)
    (name,), (score,) = graph.inputs, graph.outputs
    codes = graph.tensors[name].qparams.quantize(x.transpose(0, 2, 3, 1)).astype(np.int8)
    values = run_int(graph, {name: codes.reshape(5, *graph.tensors[name].shape)}, keep=True)
    assert y["y"].shape == (5, CLASSES)
    assert np.array_equal(y["y_q"], values[score].reshape(5, CLASSES))
    assert np.allclose(shown["outputs"]["y"]["values"], y["y"])
    assert shown["outputs"]["y"]["argmax"] == y["y"].argmax(axis=1).tolist()
    tensors = np.load(dump)
    stored = [node.output for node in graph.nodes if f"{node.output}_q" in tensors.files]
    assert len(stored) == 3
    for tensor in stored:
        assert np.array_equal(tensors[f"{tensor}_q"], values[tensor])
        qparams = graph.tensors[tensor].qparams
        assert np.allclose(tensors[tensor], qparams.dequantize(values[tensor]))


def test_run_takes_codes_and_single_arrays(built: Path, tmp_path: Path) -> None:
    codes = np.random.default_rng(3).integers(-128, 128, (3, 1, SIDE, SIDE)).astype(np.int8)
    np.savez(tmp_path / "q.npz", x_q=codes)
    np.save(tmp_path / "q.npy", codes)
    outputs = []
    for name in ("q.npz", "q.npy"):
        answer = call("run", built, "--input", tmp_path / name, "--output", tmp_path / "y.npz")
        assert answer.code == 0, answer.err
        assert "largest at" in answer.out
        outputs.append(np.load(tmp_path / "y.npz")["y_q"])
    assert np.array_equal(*outputs)
    assert np.ptp(outputs[0].astype(int)) > 10


def test_show(tiny: Inputs) -> None:
    text = call("show", tiny.model)
    assert text.code == 0
    assert "conv2d" in text.out
    assert "3,840" in text.out or "3840" in text.out
    values = json.loads(call("show", tiny.model, "--json").out)
    assert values["macs"] == 3840
    assert values["parameters"] == 6 * 9 + 6 + 96 * 4 + 4


def test_boards() -> None:
    values = json.loads(call("boards", "--json").out)
    assert {"microbit", "mps2-an385", "mps2-an385-v6m", "mps3-an547"} <= {b["id"] for b in values}
    table = call("boards").out
    assert all(board["id"] in table for board in values)
    one = json.loads(call("boards", "microbit", "--json").out)
    assert one["core"] == "cortex-m0"
    assert "microbit" in call("boards", "microbit").out


def test_doctor() -> None:
    answer = call("doctor")
    assert answer.code == 0, answer.err
    assert "qemu-system-arm" in answer.out
    found = json.loads(call("doctor", "--json").out)["found"]
    assert found["arm-none-eabi-gcc"]["version"]


def test_quantize_writes_a_model_that_onnxruntime_runs(tiny: Inputs, tmp_path: Path) -> None:
    out = tmp_path / "int8.onnx"
    answer = call("quantize", tiny.model, "--data", tiny.data, *FAST[:4], "-o", out)
    assert answer.code == 0, answer.err
    assert "8 samples" in answer.out
    x = np.load(tiny.data)["x"][:1]
    quantized, real = (
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(
            None, {"image": x}
        )[0]
        for path in (out, tiny.model)
    )
    assert np.abs(quantized - real).max() < 0.1 * np.ptp(real)


def test_quantize_writes_tflite(tiny: Inputs, tmp_path: Path) -> None:
    out = tmp_path / "int8.tflite"
    options = ("--data", tiny.data, "--numerics", "tflite", *FAST[:4])
    answer = call("quantize", tiny.model, *options, "-o", out)
    assert answer.code == 0, answer.err
    assert out.read_bytes()[4:8] == b"TFL3"
    assert call("show", out).code == 0
    answer = call("quantize", tiny.model, *options, "-o", tmp_path / "int8.pb")
    assert answer.code == 2
    assert "must end in .onnx or .tflite" in answer.err


def test_export_writes_what_was_built(built: Path, tmp_path: Path) -> None:
    for suffix, name in ((".tflite", "tflite"), (".onnx", "qdq")):
        out = tmp_path / f"built{suffix}"
        answer = call("export", built, "-o", out, "--format", name, "--json")
        assert answer.code == 0, answer.err
        assert json.loads(answer.out) == {"output": out.name, "bytes": out.stat().st_size}
    assert (tmp_path / "built.onnx").read_bytes() == (built / "model_int8.onnx").read_bytes()
    answer = call("export", built, "-o", tmp_path / "built.onnx", "--format", "tflite")
    assert answer.code == 2
    assert "must end in .tflite" in answer.err
    answer = call("export", tmp_path, "-o", tmp_path / "none.tflite")
    assert answer.code == 2
    assert "edgecomp build" in answer.err


def test_build_of_a_quantized_model_is_the_same_network(
    built: Path, tiny: Inputs, tmp_path: Path
) -> None:
    answer = call(
        "build", built / "model_int8.onnx", "--board", "mps2-an386", "--data", tiny.data, *FAST,
        "--json", "-o", tmp_path / "again",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    report = json.loads(answer.out)
    first = json.loads((built / "report.json").read_text())
    assert report["accuracy"]["int8"] == first["accuracy"]["int8"]
    assert report["flash"]["weights_bytes"] == first["flash"]["weights_bytes"]


def test_version() -> None:
    assert call("--version").out.startswith("edgecomp ")


def test_help_is_quick() -> None:
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        done = subprocess.run(command("--help"), capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - begin)
    assert "doctor" in done.stdout
    assert min(seconds) < HELP_LIMIT_S


@pytest.mark.parametrize("name", ["model", "Model", "edgecomp", "app_model", "check", "main", "ec"])
def test_names_that_our_own_files_have(name: str, tiny: Inputs, tmp_path: Path) -> None:
    """The commonest name of all, `model.onnx`, once clashed with the harness's own macros."""
    model = tmp_path / f"{name}.onnx"
    shutil.copy(tiny.model, model)
    answer = call(
        "build", model, "--board", "mps2-an386", "--data", tiny.data, *FAST,
        "-o", tmp_path / "out", "--json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["bit_exact"]["mismatches"] == 0
    assert call("check", tmp_path / "out", "--engine", "host").code == 0


def test_folders_behind_links(tiny: Inputs, tmp_path: Path) -> None:
    """The data are found again from the output, whatever links lead there."""
    real = tmp_path / "deep" / "down" / "disk"
    real.mkdir(parents=True)
    (tmp_path / "link").symlink_to(real)
    out = tmp_path / "link" / "out"
    arguments = ("build", tiny.model, "--board", "mps2-an386", "--data", tiny.data, *FAST, "-o")
    assert call(*arguments, out).code == 0
    answer = call("check", out, "--limit", "6")
    assert answer.code == 0, answer.err
    (tmp_path / "direct").symlink_to(real / "out")
    assert call(*arguments, tmp_path / "direct").code == 0
    assert (tmp_path / "direct").is_symlink()
    assert [path.name for path in real.iterdir()] == ["out"]
    assert call("check", tmp_path / "direct").code == 0

"""The likeliest mistakes: each a message that says what, where and what to do, and its exit code.

None of them touches the output folder of an earlier build.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import BOARD, Inputs
from tests.cli.support import (
    FAST,
    SIDE,
    Answer,
    call,
    command,
    fingerprint,
    node,
    refused,
    tiny_constants,
    tiny_model,
    tiny_samples,
    write_model,
)


@pytest.fixture
def build(built: Path, tiny: Inputs):
    """Return a function that builds over an existing output and checks that nothing changed."""
    before = fingerprint(built)

    def attempt(*arguments: str | Path, model: Path | None = None, data: Path | None = None):
        answer = call(
            "build", model or tiny.model, "--board", BOARD, "--data", data or tiny.data, *FAST,
            "-o", built, *arguments,
        )  # fmt: skip
        assert fingerprint(built) == before
        assert [path.name for path in built.parent.iterdir()] == [built.name]
        return answer

    return attempt


def test_truncated_model(build, tiny: Inputs, tmp_path: Path) -> None:
    whole = tiny.model.read_bytes()
    for size in (len(whole) // 2, 17):
        (tmp_path / "cut.onnx").write_bytes(whole[:size])
        refused(build(model=tmp_path / "cut.onnx"), "cut.onnx", "truncated")


def test_file_that_is_no_model(build, tmp_path: Path) -> None:
    (tmp_path / "letter.onnx").write_bytes(b"Dear Sir or Madam")
    refused(build(model=tmp_path / "letter.onnx"), "letter.onnx is not an ONNX model")
    refused(build(model=tmp_path / "absent.onnx"), "absent.onnx", "No such file")
    (tmp_path / "model.tar").touch()
    refused(build(model=tmp_path / "model.tar"), "unknown kind of model", "model.onnx")


def test_unsupported_operator(build, tmp_path: Path) -> None:
    weights = {name: value for name, value in tiny_constants().items() if name in "wb"}
    nodes = [node("Conv", "image w b", "conv"), node("Bernoulli", "conv", "score")]
    model = write_model(tmp_path / "drawn.onnx", nodes, [1, 1, SIDE, SIDE], weights, outputs=4)
    refused(build(model=model), "Bernoulli", "'score_layer'", "not supported", "suggestion")


def test_symbolic_shape(build, tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "any.onnx", shape=["batch", 1, "height", "width"])
    refused(build(model=model), "'image'", "height", "width", "--input-shape 1,1,")
    assert call("show", model, "--input-shape", "1,1,8,8").code == 0
    only_batch = tiny_model(tmp_path / "batch.onnx", shape=["batch", 1, SIDE, SIDE])
    assert call("show", only_batch).code == 0


def test_input_shape_that_does_not_fit(build) -> None:
    refused(build("--input-shape", "1,9"), "1,9", "'image'", "1,1,8,8")
    refused(build("--input-shape", "wide"), "--input-shape 'wide'", "1,28,28")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(value: float, build, tmp_path: Path) -> None:
    constants = tiny_constants()
    constants["w"][3, 0, 1, 1] = value
    answer = build(model=tiny_model(tmp_path / "diverged.onnx", constants))
    refused(answer, "'conv_layer'", "'w'", "NaN" if np.isnan(value) else "infinite")


@pytest.mark.parametrize(
    ("arrays", "fragments"),
    [
        ({"x": np.zeros((40, 1, 9, 9), np.float32)}, ("1x9x9", "1x8x8", "'image'")),
        ({"x": np.full((40, 1, 8, 8), "a")}, ("'x'", "<U1", "numbers")),
        ({"x": np.zeros((40, 1, 8, 8), complex)}, ("'x'", "complex128")),
        ({"x": np.full((40, 1, 8, 8), np.nan)}, ("'x'", "not finite")),
        ({"y": np.zeros(39, int)}, ("40", "39")),
        ({"y": np.full(40, 4)}, ("labels", "4 classes", "0 to 3")),
        ({"y": np.full(40, -1)}, ("labels", "4 classes", "0 to 3")),
    ],
)
def test_wrong_data(arrays: dict, fragments: tuple, build, tmp_path: Path) -> None:
    data = tiny_samples(tmp_path / "wrong.npz", **arrays)
    refused(build(data=data), *fragments)


def test_data_with_other_names(build, tmp_path: Path) -> None:
    np.savez(tmp_path / "names.npz", pictures=np.zeros((4, 1, 8, 8)))
    refused(build(data=tmp_path / "names.npz"), "'image'", "'x'", "'pictures'")
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 and then nothing")
    refused(build(data=tmp_path / "cut.npz"), "cut.npz", "numpy.savez")
    refused(build(data=tmp_path / "absent.npz"), "absent.npz does not exist")


def test_metric_without_targets(build, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(40, 1, 8, 8))
    np.savez(tmp_path / "x.npz", x=x)
    refused(build("--metric", "accuracy", data=tmp_path / "x.npz"), "accuracy", "'y'")
    np.savez(tmp_path / "xy.npz", x=x, y=np.zeros((40, 4)))
    refused(build("--metric", "accuracy", data=tmp_path / "xy.npz"), "one class number per sample")
    refused(build("--metric", "acuracy"), "'acuracy'", "accuracy, top5, auc, mse")


def test_float_model_without_data(tiny: Inputs, tmp_path: Path) -> None:
    answer = call("build", tiny.model, "--board", BOARD, "-o", tmp_path / "out")
    refused(answer, "calibration samples", "--data")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("mps2-an368", "mps2-an386"), ("nucleo-f401", "nucleo_f401re"), ("micro:bit", "microbit")],
)
def test_unknown_board(name: str, nearest: str, tiny: Inputs, tmp_path: Path) -> None:
    answer = call("build", tiny.model, "--board", name, "-o", tmp_path / "out")
    refused(answer, name, nearest, "edgecomp boards")
    refused(call("boards", name), name, nearest)


@pytest.mark.parametrize(
    ("option", "value", "fragments"),
    [
        ("--calibration", "maxmin", ("maxmin", "minmax")),
        ("--numerics", "float", ("--numerics", "edgecomp, tflite")),
        ("--optimize", "fast", ("--optimize", "speed")),
        ("--layout", "cwh", ("cwh", "chw")),
        ("--mean", "red", ("--mean", "0.5")),
        ("--mean", "1,2,3", ("mean", "3 numbers", "1 channels")),
        ("--std", "0", ("std", "0")),
        ("--recipe", "absent.yaml", ("absent.yaml", "No such file")),
        ("--limit", "-1", ("--limit",)),
        ("--calibration-samples", "0", ("--calibration-samples",)),
        ("--colour", "red", ("--colour",)),
    ],
)
def test_wrong_option(option: str, value: str, fragments: tuple, build) -> None:
    refused(build(option, value), *fragments)


def test_recipe_names_line_and_key(build, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("data:\n  scale: 1\nquantize:\n  calibraton: mse\n")
    refused(build("--recipe", recipe), "recipe.yaml:4", "calibraton", "'calibration'")


def test_output_that_is_not_ours(tiny: Inputs, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "holiday.jpg").write_bytes(b"sea")
    arguments = ("build", tiny.model, "--board", BOARD, "--data", tiny.data, *FAST, "-o")
    refused(call(*arguments, photos), "photos", "did not write", "-o")
    refused(call(*arguments, photos / "holiday.jpg"), "is a file", "-o")
    assert fingerprint(photos).keys() == {"holiday.jpg"}


def test_folder_that_build_did_not_make(tmp_path: Path) -> None:
    for arguments in (("check", tmp_path), ("run", tmp_path, "--input", tmp_path / "x.npz")):
        refused(call(*arguments), str(tmp_path), "manifest.json", "edgecomp build")


def test_input_of_a_run(built: Path, tmp_path: Path) -> None:
    refused(call("run", built, "--input", tmp_path / "x.txt"), "x.txt", ".npz")
    refused(call("run", built, "--input", tmp_path / "x.npy"), "x.npy", "No such file")
    np.save(tmp_path / "x.npy", np.zeros((2, 1, 4, 4)))
    refused(call("run", built, "--input", tmp_path / "x.npy"), "1x4x4", "1x8x8")
    np.savez(tmp_path / "x.npz", x_q=np.full((2, 1, 8, 8), 300))
    refused(call("run", built, "--input", tmp_path / "x.npz"), "'x_q'", "-128 to 127")
    refused(call("run", built, "--input", tmp_path / "x.npz", "--engine", "board"), "--engine")


@pytest.mark.parametrize(
    ("name", "content", "engine"),
    [
        ("check.elf", b"\x7fELF", "qemu"),
        ("graph.npz", b"PK", "qemu"),
        ("report.json", b"{", "qemu"),
        ("manifest.json", b"{", "host"),
        ("src", None, "host"),
    ],
)
def test_damaged_folder(name: str, content: bytes | None, engine: str, built: Path) -> None:
    if content is None:
        (built / name).rename(built / "lost")
    else:
        (built / name).write_bytes(content)
    refused(call("check", built, "--engine", engine), name, "build")


def test_data_of_the_build_are_gone(built: Path, tiny: Inputs) -> None:
    (built.parent.parent / tiny.data.parent.name / tiny.data.name).unlink()
    refused(call("check", built), tiny.data.name, "does not exist")


def test_model_that_is_too_big(tmp_path: Path, tiny: Inputs) -> None:
    constants = tiny_constants()
    rng = np.random.default_rng(0)
    constants["fc"] = rng.normal(0, 0.3, (4000, 96)).astype(np.float32)
    constants["fc_b"] = np.zeros(4000, np.float32)
    model = tiny_model(tmp_path / "big.onnx", constants)
    answer = call(
        "build", model, "--board", "microbit", "--data", tiny.data, *FAST, "-o", tmp_path / "out"
    )
    refused(answer, "flash", "needs", "has 262,144", "L02_", "mps2-an386", code=3)
    assert not (tmp_path / "out").exists()


def test_activations_that_are_too_big(tmp_path: Path) -> None:
    weights = {"w": np.ones((8, 1, 1, 1), np.float32), "b": np.zeros(8, np.float32)}
    nodes = [node("Conv", "image w b", "conv"), node("GlobalAveragePool", "conv", "score")]
    model = write_model(tmp_path / "wide.onnx", nodes, [1, 1, 64, 64], weights, outputs=4)
    data = tmp_path / "wide.npz"
    np.savez(data, x=np.random.default_rng(0).normal(size=(16, 1, 64, 64)))
    answer = call(
        "build", model, "--board", "microbit", "--data", data, *FAST, "-o", tmp_path / "o"
    )
    refused(answer, "RAM", "needs", "has 16,384", "too many", "arena 3", code=3)


def call_with_path(*arguments: str | Path, folder: Path) -> Answer:
    """Call the program with the programs of `folder` only."""
    done = subprocess.run(
        command(*arguments),
        env=os.environ | {"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def link_programs(folder: Path, *missing: str) -> Path:
    """Fill `folder` with links to every program of /usr/bin but the `missing` ones."""
    folder.mkdir()
    for program in Path("/usr/bin").iterdir():
        if program.name not in missing:
            (folder / program.name).symlink_to(program)
    return folder


@pytest.mark.parametrize(
    ("program", "package"),
    [
        ("arm-none-eabi-gcc", "gcc-arm-none-eabi"),
        ("arm-none-eabi-objdump", "binutils-arm-none-eabi"),
        ("qemu-system-arm", "qemu-system-arm"),
    ],
)
def test_missing_program(
    program: str, package: str, built: Path, tiny: Inputs, tmp_path: Path
) -> None:
    folder = link_programs(tmp_path / "bin", program)
    before = fingerprint(built)
    arguments = ("build", tiny.model, "--board", BOARD, "--data", tiny.data, *FAST, "-o", built)
    answer = call_with_path(*arguments, folder=folder)
    refused(answer, f"{program} was not found", f"apt install {package}", code=4)
    assert "calibrating" not in answer.err, "found out before anything is computed"
    assert fingerprint(built) == before
    doctor = call_with_path("doctor", folder=folder)
    assert doctor.code == 4
    assert f"apt install {package}" in doctor.out


def test_missing_c_library(tiny: Inputs, tmp_path: Path) -> None:
    folder = link_programs(tmp_path / "bin", "arm-none-eabi-gcc")
    gcc = folder / "arm-none-eabi-gcc"
    gcc.write_text("#!/bin/sh\necho libc.a\n")
    gcc.chmod(0o755)
    arguments = ("build", tiny.model, "--board", BOARD, "--data", tiny.data, "-o", tmp_path / "out")
    answer = call_with_path(*arguments, folder=folder)
    refused(answer, "C library", "apt install libnewlib-arm-none-eabi", code=4)


def test_device_that_answers_wrongly(built: Path) -> None:
    """Weights changed behind our back: a check must find it, name the place and fail with 6."""
    manifest = json.loads((built / "manifest.json").read_text())
    assert manifest["stored"][0]["stage"] == 0
    source = built / "src" / "tiny.c"
    text = source.read_text()
    array = re.search(r"const (\w+) L02_\w+\[", text)
    begin = text.index("{", array.start()) + 1
    end = text.index(",", begin)
    changed = int(text[begin:end]) ^ (64 if array[1] == "int8_t" else 1 << 20)
    source.write_text(f"{text[:begin]}{changed}{text[end:]}")
    answer = call("check", built, "--engine", "host")
    refused(answer, "elements differ", "stage L02", "score_layer", "expected", "got", code=6)


def test_too_few_samples(build, tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", x=np.zeros((1, 1, SIDE, SIDE)), y=[0])
    refused(build(data=tmp_path / "one.npz"), "one.npz", "one sample", "--calibration-data")
    np.savez(tmp_path / "none.npz", x=np.zeros((0, 1, SIDE, SIDE)))
    refused(build(data=tmp_path / "none.npz"), "none.npz", "no samples")


def test_metric_of_the_users_own(built: Path, build, tiny: Inputs, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "def half(outputs, targets):\n    return len(outputs['score']) / 2\n"
        "def broken(outputs, targets):\n    return outputs['nothing']\n"
    )
    refused(build("--metric", f"{own}:broken"), "own.py:broken", "KeyError", "'nothing'")
    refused(build("--metric", f"{own}:halb"), "own.py", "'halb'", "'half'")
    answer = call(
        "build", tiny.model, "--board", BOARD, "--data", tiny.data, *FAST,
        "--metric", f"{own}:half", "-o", tmp_path / "out", "--json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    accuracy = json.loads(answer.out)["accuracy"]
    assert accuracy["metric"] == "own.py:half"
    assert (accuracy["int8"], accuracy["device"]) == (16.0, 2.0)
    assert str(tmp_path) not in (tmp_path / "out" / "manifest.json").read_text()
    again = json.loads(call("check", tmp_path / "out", "--limit", "6", "--json").out)
    assert again["accuracy"]["device"] == 3.0

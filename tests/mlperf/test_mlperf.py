"""Firmware for MLPerf Tiny: a client of the published commands, over a pseudo-terminal."""

import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import serial

from edgecomp.artifact import HARNESS_FOLDER, SOURCE_FOLDER, BuiltModel, open_artifact
from edgecomp.build.board_files import write_board_files
from edgecomp.build.flags import WARNING_FLAGS
from edgecomp.build.toolchain import run_tool
from edgecomp.codegen.mlperf import TASKS
from edgecomp.device.virtual import virtual_board
from edgecomp.errors import UserError
from edgecomp.lines import Lines, open_bench
from edgecomp.pipeline import build
from edgecomp.request import Request
from tests.cli.support import node, tiny_model, tiny_samples, write_model
from tests.mlperf.runner import MODEL, NAME, Runner
from tests.mlperf.samples import agree, expected, random_samples

pytestmark = pytest.mark.device

BOARD = "mps2-an386"
TASK = {task.name: task for task in TASKS}
SHAPES = {
    "kws01": ([1, 1, 49, 10], 12, {"layout": "hw"}),
    "ic01": ([1, 3, 32, 32], 10, {"layout": "hwc"}),
    "vww01": ([1, 3, 96, 96], 2, {"layout": "hwc", "scale": 1 / 255}),
    "ad01": ([1, 640], 640, {}),
}


def small_network(name: str, path: Path) -> Path:
    """Write a small network with the inputs and outputs of a benchmark."""
    shape, outputs, _ = SHAPES[name]
    rng = np.random.default_rng(3)

    def weights(*size: int) -> np.ndarray:
        spread = 1.5 / np.sqrt(np.prod(size[1:]))
        return rng.normal(0, spread, size).astype(np.float32)

    if name == "ad01":
        constants = {"a": weights(16, 640), "b": weights(640, 16) * 4}
        nodes = [
            node("Gemm", "image a", "hidden", transB=1),
            node("Relu", "hidden", "relu"),
            node("Gemm", "relu b", "score", transB=1),
        ]
        return write_model(path, nodes, shape, constants)
    channels = shape[1]
    constants = {"w": weights(8, channels, 4, 4) * 0.05, "fc": weights(outputs, 8) * 4}
    nodes = [
        node("Conv", "image w", "conv", strides=[4, 4]),
        node("Relu", "conv", "relu"),
        node("GlobalAveragePool", "relu", "mean"),
        node("Flatten", "mean", "flat"),
        node("Gemm", "flat fc", "logits", transB=1),
        node("Softmax", "logits", "score", axis=1),
    ]
    return write_model(path, nodes, shape, constants)


def calibration(name: str, path: Path) -> Path:
    """Write samples in the form in which a user has them."""
    samples = random_samples(TASK[name], 16)
    shape, _, _ = SHAPES[name]
    if name == "ad01":
        x = np.array([np.frombuffer(s, "<f4") for s in samples])
    elif name == "kws01":
        codes = np.array([np.frombuffer(s, np.int8) for s in samples]).astype(np.float32)
        x = (0.5847029 * (codes - 83)).reshape(-1, 49, 10).astype(np.float32)
    else:
        x = np.array([np.frombuffer(s, np.uint8) for s in samples]).reshape(-1, *shape[2:], 3)
    np.savez(path, x=x)
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], BuiltModel]:
    """Return a function that builds the small network of a benchmark once."""

    @cache
    def one(name: str) -> BuiltModel:
        folder = tmp_path_factory.mktemp(name)
        data = calibration(name, folder / "data.npz")
        request = Request(
            model=str(small_network(name, folder / "net.onnx")),
            board=BOARD,
            out=folder / "out",
            data=str(data),
            preprocessing=SHAPES[name][2],
            calibration="minmax",
            calibration_samples=8,
            limit=2,
            protocol="mlperf",
        )
        build(request)
        return open_artifact(folder / "out")

    return one


@pytest.fixture
def runner(built: Callable[[str], BuiltModel]) -> Iterator[Runner]:
    """A client that talks to the keyword spotter."""
    model = built("kws01")
    with (
        virtual_board(model.board, model.folder / "firmware.elf") as board,
        Runner(board.port) as r,
    ):
        yield r


@pytest.mark.parametrize(
    "name",
    ["kws01", "ic01", "ad01", pytest.param("vww01", marks=pytest.mark.slow)],
)
def test_accuracy_mode(name, built):
    model, samples = built(name), random_samples(TASK[name], 3)
    wanted = expected(model, TASK[name], samples)
    assert len(np.unique(wanted.codes)) >= 4
    with (
        virtual_board(model.board, model.folder / "firmware.elf") as board,
        Runner(board.port) as r,
    ):
        assert r.find("name", NAME) == "edgecomp"
        assert r.find("profile", MODEL) == name
        agree(r.accuracy(samples), wanted, 2e-6 if name == "ad01" else 0.0)


def test_performance_mode(built, runner):
    model, samples = built("kws01"), random_samples(TASK["kws01"], 1)
    assert runner.performance(samples[0], inferences=20) > 0
    answer = runner.infer(5, 2)
    agree([answer.results], expected(model, TASK["kws01"], samples))
    marks = [line for line in answer.lines if not line.startswith("m-lap")]
    assert marks[:-1] == ["m-warmup-start-2", "m-warmup-done", "m-infer-start-5", "m-infer-done"]
    assert answer.elapsed_us > 0


def test_the_input_survives_every_inference(built, runner):
    samples = random_samples(TASK["kws01"], 1)
    runner.load(samples[0])
    once = runner.infer(1, 0).results
    assert runner.infer(7, 3).results == once
    assert runner.infer(1, 0).results == once


def test_time_goes_on_between_commands(runner):
    first = runner.command("timestamp")
    time.sleep(0.2)
    second = runner.command("timestamp")
    laps = [int(line.removeprefix("m-lap-us-")) for line in (*first, *second)]
    assert laps[1] > laps[0]


def test_a_ready_of_the_boot_does_not_shift_the_answers(built):
    """The trap that puts a client one answer behind for ever."""
    model = built("kws01")
    with virtual_board(model.board, model.folder / "firmware.elf") as board:
        early = serial.Serial(board.port, timeout=5)
        early.write(b"profile%profile%db lo")  # a client that is killed within a command
        time.sleep(0.5)
        # What the board says when it starts may be lost; the answers behind it stay in the pipe.
        assert early.read_until(b"m-ready\r\n").endswith(b"m-ready\r\n")
        with Runner(board.port) as r:
            assert r.find("name", NAME) == "edgecomp"
            assert r.find("profile", MODEL) == "kws01"
        early.close()


def test_the_benchmarks_own_runner_would_find_the_same_lines(runner):
    assert runner.command("name") == ["m-name-dut-[edgecomp]"]
    assert runner.command("profile") == [
        "m-profile-[ULPMark for tinyML Firmware V0.0.1]",
        "m-model-[kws01]",
    ]
    assert runner.command("db load 490") == ["m-[Expecting 490 bytes]"]


def test_wrong_commands_are_answered_and_do_no_harm(runner):
    assert runner.command("") == []
    assert runner.command("nonsense 1 2") == ["e-[Unknown command: nonsense]"]
    assert runner.command("x" * 200)[0].startswith("e-[Unknown command: xxx")
    assert runner.command("infer 1 0") == ["e-[Input has 0 bytes, expected 490]"]
    assert runner.command("db") == ["e-[Command 'db' requires a subcommand]"]
    assert runner.command("db 00") == ["e-[No bytes are expected]"]
    assert runner.command("db load 0") == ["e-[Command 'db load' must be >0 bytes]"]
    assert runner.command("db load 491") == ["e-[Supplied buffer size exceeds maximum of 490]"]
    assert runner.command("db load 3") == ["m-[Expecting 3 bytes]"]
    assert runner.command("db 0") == ["e-[Insufficent number of hex digits]"]
    assert runner.command("db 0g") == ["e-[Invalid hex digit]"]
    assert runner.command("db aB01ff77") == ["m-load-done"]
    assert runner.command("db print") == ["m-buffer-ab-01-ff"]
    runner.load(random_samples(TASK["kws01"], 1)[0])
    assert runner.command("infer 0 0") == ["e-[Inference iterations must be >0]"]
    assert len(runner.infer(1, 0).results) == 12


def test_other_models_are_refused(tmp_path):
    request = Request(
        model=str(tiny_model(tmp_path / "tiny.onnx")),
        board=BOARD,
        out=tmp_path / "out",
        data=str(tiny_samples(tmp_path / "samples.npz")),
        calibration="minmax",
        protocol="mlperf",
    )
    with pytest.raises(UserError, match="no MLPerf Tiny benchmark has this model's inputs"):
        build(request)
    assert not (tmp_path / "out").exists()


def test_sources_are_clean_under_clang(built, tmp_path):
    model = built("ad01")
    files = write_board_files(tmp_path, model.board, protocol="mlperf")
    folders = [model.folder / SOURCE_FOLDER, model.folder / HARNESS_FOLDER, tmp_path / "board"]
    for source in files.firmware:
        run_tool(
            [
                *("clang", "--target=arm-none-eabi", *model.board.core.gcc_flags[:2], "-std=c99"),
                *(*WARNING_FLAGS, "-fsyntax-only", "-ffreestanding"),
                *(f"-I{folder}" for folder in folders),
                source,
            ],
            tmp_path,
        )


def test_check_over_the_line_says_why_it_cannot(built):
    with (
        pytest.raises(UserError, match="answers MLPerf Tiny's runner"),
        open_bench(built("kws01"), Lines(("/dev/nowhere",))),
    ):
        pass

"""Real networks from file to device: accuracy, bits on every core, stack, arena, time.

The fast part builds four labelled networks for the M4 and three small ones for every core; the
slow part (`make accept`) does everything and writes `benchmarks/ACCEPTANCE.md`.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgecomp.artifact import BuiltModel, open_artifact, open_engine
from edgecomp.build.flags import WARNING_FLAGS
from edgecomp.checking import check
from edgecomp.data import load_dataset
from edgecomp.device import run_samples
from edgecomp.errors import DoesNotFitError
from edgecomp.interp import outputs_in_chunks, run_int
from edgecomp.ir import Graph
from edgecomp.passes.dead_channels import remove_dead_channels
from edgecomp.pipeline import build, quantize_phase
from edgecomp.samples import input_codes, random_codes
from edgecomp.verification import Outcome, flat_inputs
from tests.e2e.conftest import BIT_SAMPLES, FIRST_BOARD, Built, Record
from tests.e2e.real_models import (
    BOARDS,
    CALIBRATION_SAMPLES,
    HOST_BOARDS,
    LABELLED,
    MODELS,
    ON_SMALL_BOARD,
    SMALL_BOARD,
    build_quantized,
    compare_all_tensors,
    few_samples,
    request,
)

POINT = 0.005
"""Half a point of accuracy: what quantization may cost."""
SMALL_MODELS = ("mnist", "har", "ad")
VWW_WEIGHTS_BEFORE, VWW_WEIGHTS_AFTER = 218_544 + 520, 33_700
"""Of all convolutions, and of the dense layer; after depends a little on the calibration."""
VWW_MACS_BEFORE, VWW_MACS_AFTER = 7_489_664, 3_740_000
NEAR = 0.03


def assert_proved(built: BuiltModel, outcome: Outcome) -> None:
    """Same bits in every tensor, none of them nearly constant; memory within its bounds."""
    assert outcome.mismatches == 0, outcome.first
    assert outcome.tensors == len(built.stored)
    assert outcome.samples == BIT_SAMPLES
    assert outcome.few_codes == {}
    stack = built.manifest["stack"]["check"]
    assert 0 < outcome.stack_high_water_bytes <= stack["without_exception_bytes"]
    assert stack["without_exception_bytes"] <= 1.25 * outcome.stack_high_water_bytes + 64
    assert 0 < outcome.arena_high_water_bytes <= built.layout.arena_bytes
    assert outcome.guard_ok


@pytest.mark.device
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n == "ic" else []) for n in LABELLED]
)
def test_accuracy_and_bits_of_a_labelled_network(name: str, first: Callable[[str], Built]) -> None:
    built = first(name)
    accuracy, bits = built.report["accuracy"], built.report["bit_exact"]
    assert accuracy["metric"] == "accuracy"
    with np.load(built.model.data or "") as file:
        assert accuracy["samples"] == len(file["y"]) - CALIBRATION_SAMPLES
    assert abs(accuracy["float"] - (MODELS[name].accuracy or 0)) < POINT
    assert abs(accuracy["int8"] - accuracy["float"]) <= POINT
    assert bits == {"tensors": len(built.model.stored), "samples": 40, "mismatches": 0}
    assert accuracy["device_samples"] == 40
    assert accuracy["device"] == pytest.approx(host_accuracy(built.model, 40), abs=0)
    assert_proved(built.model, compare_all_tensors(built.model, built.few, BIT_SAMPLES))


def host_accuracy(built: BuiltModel, count: int) -> float:
    """Accuracy of the integer reference on the first accuracy samples, computed here."""
    with np.load(built.data or "") as file:
        y = file["y"]
    calibration = np.random.default_rng(0).permutation(len(y))[:CALIBRATION_SAMPLES]
    chosen = np.setdiff1d(np.arange(len(y)), calibration)[:count]
    dataset = load_dataset(built.data or "", built.graph, built.preprocessing).take(chosen)
    outputs = outputs_in_chunks(built.graph, input_codes(built.graph, dataset), integer=True)
    codes = outputs[built.graph.outputs[0]].reshape(count, -1)
    return float(np.mean(codes.argmax(axis=1) == y[chosen]))


@pytest.mark.device
@pytest.mark.parametrize("board", [*BOARDS, SMALL_BOARD])
@pytest.mark.parametrize("name", SMALL_MODELS)
def test_bits_of_a_small_network_on_every_core(
    name: str, board: str, first: Callable[[str], Built], work: Path
) -> None:
    prove_bits(name, board, first(name), work)


def prove_bits(name: str, board: str, built: Built, work: Path) -> tuple[BuiltModel, Outcome]:
    """Build the quantized network for `board` and compare everything there."""
    if board == SMALL_BOARD and name not in ON_SMALL_BOARD:
        with pytest.raises(DoesNotFitError, match=r"flash|RAM"):
            build_quantized(built.model, board, built.few, work, name)
        pytest.skip(f"{name} does not fit {board}, and the build says so")
    other = (
        built.model
        if board == FIRST_BOARD
        else build_quantized(built.model, board, built.few, work, name)
    )
    assert_same_function(built.model.graph, other.graph, built.few, built.model)
    outcome = compare_all_tensors(other, built.few, BIT_SAMPLES)
    assert_proved(other, outcome)
    return other, outcome


def assert_same_function(first: Graph, second: Graph, samples: Path, built: BuiltModel) -> None:
    """The graph that was read back from `model_int8.onnx` computes the same codes."""
    dataset = load_dataset(str(samples), first, built.preprocessing)
    outputs = []
    for graph in (first, second):
        codes = input_codes(graph, dataset)
        outputs.append([run_int(graph, codes)[name] for name in graph.outputs])
    assert all(np.array_equal(a, b) for a, b in zip(*outputs, strict=True))


HOST_CASES = [
    pytest.param(name, board, marks=[] if name == "mnist" else pytest.mark.slow)
    for name in MODELS
    for board in HOST_BOARDS
]


@pytest.mark.parametrize(("name", "board"), HOST_CASES)
def test_bits_on_this_host_under_sanitizers(
    name: str, board: str, first: Callable[[str], Built], work: Path
) -> None:
    built = first(name)
    other = (
        built.model
        if board == FIRST_BOARD
        else build_quantized(built.model, board, built.few, work, name)
    )
    outcome = compare_all_tensors(other, built.few, BIT_SAMPLES, engine="host")
    assert outcome.mismatches == 0, outcome.first
    assert outcome.tensors == len(other.stored)
    assert outcome.few_codes == {}
    assert outcome.guard_ok
    assert 0 < outcome.arena_high_water_bytes <= other.layout.arena_bytes


def weights_and_biases(graph: Graph) -> int:
    return sum(tensor.size_bytes for tensor in graph.tensors.values() if tensor.is_const)


def test_dead_channels_of_vww(data_dir: Path, work: Path) -> None:
    model = quantize_phase(request("vww", FIRST_BOARD, data_dir, work), lambda text: None)
    full, small = model.full_graph, model.graph
    _, removed = remove_dead_channels(full)
    assert removed.weights_bytes_before == weights_and_biases(full) == VWW_WEIGHTS_BEFORE
    assert removed.weights_bytes_after == weights_and_biases(small)
    assert removed.weights_bytes_after == pytest.approx(VWW_WEIGHTS_AFTER, rel=NEAR)
    assert removed.macs_before == VWW_MACS_BEFORE
    assert removed.macs_after == pytest.approx(VWW_MACS_AFTER, rel=NEAR)
    assert model.samples.accuracy_set is not None
    real = input_codes(full, model.samples.accuracy_set.take(slice(BIT_SAMPLES)))
    for codes in (real, random_codes(full)):
        values = [run_int(graph, codes, keep=True) for graph in (full, small)]
        for depth in (1, 2):  # the softmax, and what it is computed from
            a, b = (
                of[graph.nodes[-depth].output]
                for of, graph in zip(values, (full, small), strict=True)
            )
            assert np.array_equal(a, b)
        assert len(np.unique(a)) >= 10


@pytest.mark.parametrize("name", ["kws", pytest.param("ic", marks=pytest.mark.slow)])
def test_generated_c_of_a_real_network_is_clean(
    name: str, first: Callable[[str], Built], tmp_path: Path
) -> None:
    source = first(name).model.folder / "src"
    files = sorted(path.name for path in source.glob("*.c"))
    for compiler in ("gcc", "clang"):
        flags = ["-std=c99", "-O2", *WARNING_FLAGS, "-c", *files]
        run([compiler, *flags], source, tmp_path / compiler)
    checks = "--enable=warning,portability,performance"
    run(["cppcheck", checks, "--error-exitcode=1", "--quiet", "--std=c99", *files], source, None)


def run(arguments: list[str], source: Path, objects: Path | None) -> None:
    """Run a tool on the files of `source`, with the results in a folder of their own."""
    if objects is not None:
        objects.mkdir()
        arguments = [str(source / a) if a.endswith(".c") else a for a in arguments]
    done = subprocess.run(
        arguments, cwd=objects or source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


class Clock:
    """Wall-clock and processor time, children included, from its making to `stop`."""

    def __init__(self) -> None:
        self.wall, self.processor = -time.monotonic(), -self._used()

    @staticmethod
    def _used() -> float:
        return sum(os.times()[:4])

    def stop(self) -> None:
        self.wall += time.monotonic()
        self.processor += self._used()

    def within(self, limit: float, record: Record, place: int, text: str) -> None:
        """Record and assert; processor time bounds what an idle machine would have taken."""
        record.time.add((place,), text, f"{self.wall:.1f}", f"{self.processor:.1f}", limit)
        assert min(self.wall, self.processor) < limit


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.parametrize("board", [*BOARDS, SMALL_BOARD])
@pytest.mark.parametrize("name", MODELS)
def test_bits_on_every_core(
    name: str, board: str, first: Callable[[str], Built], work: Path, record: Record
) -> None:
    built = first(name)
    begin = time.monotonic()
    other, outcome = prove_bits(name, board, built, work)
    report = json.loads((other.folder / "report.json").read_text())
    record.bits.add(
        (list(MODELS).index(name), [*BOARDS, SMALL_BOARD].index(board)),
        name, board, other.board.core.name, outcome.samples, outcome.tensors, outcome.mismatches,
        other.manifest["stack"]["check"]["without_exception_bytes"],
        outcome.stack_high_water_bytes, other.layout.arena_bytes, outcome.arena_high_water_bytes,
        report["flash"]["total_bytes"], f"{time.monotonic() - begin:.0f}",
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.parametrize("name", LABELLED)
def test_device_accuracy_is_the_hosts(
    name: str, first: Callable[[str], Built], record: Record
) -> None:
    built, count = first(name), MODELS[name].device_samples
    clock = Clock()
    report = check(built.model.folder, limit=count)
    clock.stop()
    accuracy = report["accuracy"]
    expected = host_accuracy(built.model, count)
    assert accuracy["device_samples"] == count
    assert accuracy["device"] == pytest.approx(expected, abs=0)
    assert report["bit_exact"]["mismatches"] == 0
    record.accuracy.add(
        (LABELLED.index(name),),
        name, accuracy["samples"], f"{accuracy['float']:.2%}", f"{accuracy['int8']:.2%}",
        count, f"{expected:.2%}", f"{accuracy['device']:.2%}", report["bit_exact"]["mismatches"],
    )  # fmt: skip
    if name == "ic":
        clock.within(120, record, 1, "check of ResNet-8 on 500 device samples")


@pytest.mark.slow
@pytest.mark.device
def test_removed_channels_change_no_output_of_the_device(data_dir: Path, work: Path) -> None:
    outputs = []
    few = few_samples("vww", data_dir, work, BIT_SAMPLES)
    for keep in (False, True):
        wish = request(
            "vww", FIRST_BOARD, data_dir, work / f"keep{keep}", keep_dead_channels=keep, limit=20
        )
        report = build(wish)
        assert report["bit_exact"]["mismatches"] == 0
        assert (report["macs"] == VWW_MACS_BEFORE) == keep
        built = open_artifact(wish.out)
        dataset = load_dataset(str(few), built.graph, built.preprocessing)
        codes = flat_inputs(built.graph, input_codes(built.graph, dataset))
        with open_engine(built, "qemu") as engine:
            outputs.append(run_samples(engine, built.layout, codes).outputs[0])
    assert np.array_equal(*outputs)


@pytest.mark.slow
@pytest.mark.device
def test_time_of_a_build(data_dir: Path, work: Path, record: Record) -> None:
    wish = request("ic", FIRST_BOARD, data_dir, work)
    clock = Clock()
    subprocess.run(
        [
            sys.executable, "-m", "edgecomp.cli.app", "build", wish.model, "--board", wish.board,
            "--data", str(wish.data), "--layout", "hwc", "-o", str(work / "timed"), "--json",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    clock.stop()
    text = "build of ResNet-8: 200 samples calibrate, 9,800 measure, 100 run on the device"
    clock.within(30, record, 0, text)


@pytest.mark.slow
def test_time_of_host_accuracy(first: Callable[[str], Built], record: Record) -> None:
    built = first("ic").model
    clock = Clock()
    dataset = load_dataset(built.data or "", built.graph, built.preprocessing)
    outputs = outputs_in_chunks(built.graph, input_codes(built.graph, dataset), integer=True)
    clock.stop()
    assert len(outputs[built.graph.outputs[0]]) == 10_000
    clock.within(60, record, 2, "int8 accuracy of ResNet-8 on 10,000 samples, on the host")

"""From a file to firmware that runs tick by tick, and the folder taken up again."""

import json
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecomp.artifact import open_artifact
from edgecomp.checking import check, run
from edgecomp.device.bench import SerialBench
from edgecomp.device.session import run_samples
from edgecomp.device.virtual import virtual_board
from edgecomp.errors import DeviceError, UserError
from edgecomp.interp import run_int
from edgecomp.lines import Lines, open_bench
from edgecomp.pipeline import build
from edgecomp.profiling import profile_folder
from edgecomp.request import Request, StreamRequest
from edgecomp.targets.boards import get_board

CHANNELS, LENGTH, HIDDEN, CLASSES = 5, 30, 8, 4
BOARD = "mps2-an386"


def model(path):
    """Two causal convolutions, a mean over time, classes; time is the last axis of the input."""
    rng = np.random.default_rng(0)
    shapes = {
        "w1": (HIDDEN, CHANNELS, 3), "w2": (HIDDEN, HIDDEN, 3), "w3": (CLASSES, HIDDEN),
        "b1": (HIDDEN,), "b2": (HIDDEN,), "b3": (CLASSES,),
    }  # fmt: skip
    constants = [
        numpy_helper.from_array(rng.normal(0, 0.5, shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["a"], pads=[2, 0]),
        helper.make_node("Relu", ["a"], ["ar"]),
        helper.make_node("Conv", ["ar", "w2", "b2"], ["b"], pads=[16, 0], dilations=[8]),
        helper.make_node("Relu", ["b"], ["br"]),
        helper.make_node("Add", ["ar", "br"], ["c"]),
        helper.make_node("ReduceMean", ["c"], ["m"], axes=[2], keepdims=0),
        helper.make_node("Gemm", ["m", "w3", "b3"], ["y"], transB=1),
    ]
    ports = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, CHANNELS, LENGTH)),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, CLASSES)),
    ]
    graph = helper.make_graph(nodes, "causal", ports[:1], ports[1:], constants)
    opset = helper.make_opsetid("", 13)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("stream")
    model(top / "causal.onnx")
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, CHANNELS, LENGTH)).astype(np.float32)
    np.savez(top / "data.npz", x=x, y=rng.integers(0, CLASSES, 40))
    return top


def request(folder, out, **changes):
    values = {
        "model": str(folder / "causal.onnx"), "board": BOARD, "out": folder / out,
        "data": str(folder / "data.npz"), "stream": StreamRequest(), **changes,
    }  # fmt: skip
    return Request(**values)


@pytest.fixture(scope="module")
def built(folder):
    said = []
    report = build(request(folder, "out"), said.append)
    return folder / "out", report, said


@pytest.mark.device
def test_a_tick_is_built_checked_and_compared(built):
    out, report, said = built
    assert report["bit_exact"] == {
        "tensors": len(report["layers"]), "samples": 100, "mismatches": 0,
    }  # fmt: skip
    stream = report["stream"]
    assert (stream["frames"], stream["whole_frames"], stream["first_tick"]) == (1, LENGTH, 29)
    per_frame = HIDDEN * (3 * CHANNELS + 3 * HIDDEN)
    assert stream["macs"] == report["macs"] == per_frame + CLASSES * HIDDEN
    assert stream["whole_macs"] == LENGTH * per_frame + CLASSES * HIDDEN
    assert 0 < stream["cycles"] < stream["whole_cycles"] / 10
    assert any("a tick takes 1 frame of 30" in line for line in said)
    # A window of 3 frames, the ring of 17 for the dilation, the ring of all 30 with their sums.
    kept = 3 * CHANNELS + (17 + LENGTH + 4) * HIDDEN
    assert kept <= stream["state_bytes"] <= kept + 30
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["stream"]["outputs"] == [{"axis": None, "delay": None}]


@pytest.mark.device
def test_accuracy_is_the_whole_network_s(folder, built):
    whole = build(request(folder, "whole", stream=None))
    assert built[1]["accuracy"]["int8"] == whole["accuracy"]["int8"]
    assert built[1]["accuracy"]["float"] == whole["accuracy"]["float"]


@pytest.mark.device
def test_the_folder_can_be_taken_up_again(built):
    out, _, _ = built
    assert check(out, engine="host", limit=70)["bit_exact"]["mismatches"] == 0
    found = check(out, limit=70, all_tensors=True)
    assert found["check"]["tensor_samples"] == 70
    profile = profile_folder(out)
    assert profile["sample"] == "the first of the data set"
    assert 0 < profile["modelled_cycles"] < 20_000


@pytest.mark.device
def test_run_takes_ticks(folder, built):
    out, _, _ = built
    x = np.load(folder / "data.npz")["x"][0]
    np.savez(folder / "ticks.npz", x=np.moveaxis(x, 1, 0)[:, :, None])
    answers = {
        engine: run(out, folder / "ticks.npz", engine=engine)["outputs"]["y"]["values"]
        for engine in ("reference", "host", "qemu")
    }
    assert answers["reference"] == answers["host"] == answers["qemu"]
    assert len(answers["qemu"]) == LENGTH


@pytest.mark.device
def test_the_example_reads_tick_after_tick(built, tmp_path):
    out, _, _ = built
    sources = [str(out / "src" / name) for name in ("main.c", "causal.c")]
    flags = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")
    subprocess.run(["gcc", *flags, "-o", str(tmp_path / "example"), *sources], check=True)
    graph = open_artifact(out).graph
    codes = np.random.default_rng(3).integers(-128, 128, (50, CHANNELS)).astype(np.int8)
    shaped = {graph.inputs[0]: codes.reshape(50, *graph.tensors[graph.inputs[0]].shape)}
    wanted = run_int(graph, shaped)[graph.outputs[0]].reshape(50, -1).argmax(axis=1)
    done = subprocess.run(
        [str(tmp_path / "example")], input=codes.tobytes(), capture_output=True, check=True
    )
    answers = [line.rpartition(" ")[2] for line in done.stdout.decode().splitlines()]
    assert answers == [str(index) for index in wanted]


@pytest.mark.device
def test_boards_on_lines_take_ticks_in_order(built):
    out, _, _ = built
    with virtual_board(get_board(BOARD), out / "firmware.elf") as virtual:
        lines = Lines((virtual.port,))
        found = check(out, limit=30, lines=lines)
        assert found["bit_exact"]["mismatches"] == 0
        assert found["check"]["ports"][0]["samples"] == 50  # 20 with all tensors, then 30
        model = open_artifact(out)
        with open_bench(model, lines) as bench:
            ticks = np.random.default_rng(2).integers(-128, 128, (6, CHANNELS)).astype(np.int8)
            graph = model.graph
            codes = {graph.inputs[0]: ticks.reshape(6, *graph.tensors[graph.inputs[0]].shape)}
            wanted = run_int(graph, codes, keep=True)
            result = run_samples(bench, model.layout, ticks, dump=True)
            for entry, dump in zip(model.stored, result.dumps, strict=True):
                np.testing.assert_array_equal(dump, wanted[entry.tensor].reshape(6, -1))
            (share,) = bench._shares
            with pytest.raises(DeviceError, match="has forgotten the ticks before"):
                share.session.run(3, ticks[3].tobytes())
    with pytest.raises(UserError, match="give one --port"):
        SerialBench([("a", share.session), ("b", share.session)]).run(model.layout, ticks)


@pytest.mark.device
def test_the_axis_and_the_frames_can_be_named(folder):
    report = build(request(folder, "three", stream=StreamRequest(axis=2, frames=3)))
    assert report["stream"]["frames"] == 3
    assert report["bit_exact"]["mismatches"] == 0
    with pytest.raises(UserError, match="--stream"):
        build(request(folder, "other", stream=StreamRequest(axis=1)))


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"stream_input": True, "optimize": "ram"}, "--stream-input"),
        ({"weights_slot": True}, "--weights-slot"),
        ({"protocol": "mlperf"}, "--protocol mlperf"),
    ],
)
def test_other_ways_to_run_exclude_it(folder, changes, option):
    with pytest.raises(UserError, match=option):
        build(request(folder, "never", **changes))

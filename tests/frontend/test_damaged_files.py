"""Damaged and hostile files: refused in seconds and in little memory, nothing written."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import tflite
from onnx import TensorProto, helper, numpy_helper

from edgecomp.feasibility import check_model
from tests.cli.support import FAST, call
from tests.frontend.onnx_cases import make_model, node, save
from tests.frontend.test_tflite import SMALL
from tests.support.damage import NAMES
from tests.support.tflite_lstm_files import LstmSpec, NetSpec, lstm_file
from tests.support.tflite_variables import FRAME, streaming_network, svdf_network

COUNTS = [15, pytest.param(1000, marks=pytest.mark.slow)]
BOARD = "mps2-an386"
ROOT = Path(__file__).parents[2]


def run(kind, count, folder, *file):
    """Start the process that reads them; how many it passed and how many it refused."""
    work, here = folder / "work", folder / "here"
    work.mkdir()
    here.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.damaged_run", kind, "0", str(count), work, *file],
        capture_output=True, text=True, check=False,
        cwd=here, env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "damaged copy" not in done.stderr, done.stderr
    assert not list(here.iterdir())
    return tuple(int(n) for n in done.stdout.split()), done.stderr


@pytest.mark.parametrize("count", COUNTS)
def test_damaged_onnx_files(count, tmp_path):
    (passed, refused), _ = run("onnx", count, tmp_path)
    assert passed + refused == count
    assert min(passed, refused) > count // 30


@pytest.mark.parametrize("count", COUNTS)
def test_damaged_onnx_files_of_defined_operators(count, tmp_path):
    """Attention and others are taken apart by ONNX's own definitions, whatever is in the file."""
    value = helper.make_tensor_value_info("w", TensorProto.FLOAT, None)
    branch = helper.make_graph([node("Mul", "l two", "w")], "branch", [], [value])
    branch.initializer.append(numpy_helper.from_array(np.float32(2), "two"))
    nodes = [
        node("Attention", "q k v m", "a", "attn", is_causal=1, scale=0.4, softcap=2.0),
        node("RotaryEmbedding", "a c s i", "b", "rope"),
        node("CenterCropPad", "b n", "d", "crop", axes=[2, 3]),
        node("ScatterElements", "d e u", "f", "put", axis=3, reduction="add"),
        node("LRN", "f", "l", "lrn", size=3),
        helper.make_node("If", ["t"], ["y"], "choice", then_branch=branch, else_branch=branch),
    ]
    rng = np.random.default_rng(0)
    reals = {"m": (4, 4), "c": (6, 2), "s": (6, 2), "u": (1, 2, 3, 2)}
    constants = {name: rng.normal(size=shape).astype(np.float32) for name, shape in reals.items()}
    constants |= {
        "i": np.array([[0, 2, 1, 5]]), "n": np.array([3, 5]), "t": np.array(True),
        "e": np.zeros((1, 2, 3, 2), np.int64),
    }  # fmt: skip
    shapes = {name: (1, 2, 4, 4) for name in "qkv"}
    file = save(make_model(nodes, shapes, ["y"], constants, opset=23), tmp_path, "base.onnx")
    (passed, refused), _ = run("onnx", count, tmp_path, file)
    assert passed + refused == count
    assert min(passed, refused) > count // 30


@pytest.mark.parametrize("count", COUNTS)
def test_damaged_tflite_files(count, data_dir, tmp_path):
    (passed, refused), _ = run("tflite", count, tmp_path, data_dir / "models" / SMALL)
    assert passed + refused == count
    assert min(passed, refused) > count // 10


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", ["variables", "svdf", "lstm"])
def test_damaged_tflite_files_that_remember(name, count, tmp_path):
    rng = np.random.default_rng(1)
    first = {"a": rng.integers(-128, 128, (1, 3, 1, FRAME), np.int16)}
    layers = (LstmSpec(9), LstmSpec(6))
    content = {
        "variables": streaming_network(rng, first, wide=True),
        "svdf": svdf_network(rng),
        "lstm": lstm_file(NetSpec(1, 6, 5, layers, classes=3)),
    }
    file = tmp_path / "base.tflite"
    file.write_bytes(content[name])
    (passed, refused), _ = run("tflite", count, tmp_path, file)
    assert passed + refused == count
    assert min(passed, refused) > count // 20


def test_hostile_files(tmp_path):
    (passed, refused), errors = run("hostile", 0, tmp_path)
    assert not errors
    assert passed == 3
    assert refused > 40


def test_a_refused_file_leaves_no_output(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"\x08\x08" + bytes(100))
    answer = call("build", tmp_path / "net.onnx", "--board", BOARD, "-o", tmp_path / "out", *FAST)
    assert answer.code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def oddly_named_onnx():
    """A chain of layers in which everything has an odd name."""
    names = [name for name in NAMES if name]
    weights = np.eye(4, dtype=np.float32)
    nodes = [
        helper.make_node("Gemm", [a, f"{b} weights"], [b], name)
        for a, b, name in zip(names, names[1:], names[1:], strict=False)
    ]
    graph = helper.make_graph(
        nodes,
        names[0],
        [helper.make_tensor_value_info(names[0], TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names[1:]],
        [numpy_helper.from_array(weights, f"{name} weights") for name in names[1:]],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 10
    return model


@pytest.mark.device
def test_odd_names_in_onnx_are_harmless(tmp_path):
    path = tmp_path / '* "odd" ??\\ int.onnx'
    onnx.save(oddly_named_onnx(), path)
    data = tmp_path / "samples.npz"
    np.savez(data, x=np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32))
    answer = call("build", path, "--board", BOARD, "--data", data, "-o", tmp_path / "out", *FAST)
    assert answer.code == 0, answer.err
    source = next((tmp_path / "out" / "src").glob("*.c")).read_text()
    assert source.isascii()
    assert max(len(line) for line in source.splitlines()) < 400


def renamed(content, names):
    """A TFLite file whose tensors have other names: each stands behind the end of the file."""
    graph = tflite.Model.GetRootAsModel(content, 0).Subgraphs(0)
    places = []
    for index in range(graph.TensorsLength()):
        table = graph.Tensors(index)._tab
        places.append(table.Pos + table.Offset(10))
    data = bytearray(content)
    for place, name in zip(places, names, strict=False):
        data += bytes(-len(data) % 4)
        data[place : place + 4] = struct.pack("<I", len(data) - place)
        text = name.encode()
        data += struct.pack("<I", len(text)) + text + b"\0"
    return bytes(data)


@pytest.mark.device
def test_odd_names_in_tflite_are_harmless(data_dir, tmp_path):
    content = (data_dir / "models" / SMALL).read_bytes()
    path = tmp_path / "odd.tflite"
    path.write_bytes(renamed(content, NAMES * 3))
    assert check_model(str(path), BOARD)["verdict"] == "ok"

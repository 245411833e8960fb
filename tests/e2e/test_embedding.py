"""Small classifiers of sequences of tokens, from torch: floats as torch, bits on every core."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from edgecomp.frontend import read_model
from edgecomp.interp import run_float
from edgecomp.passes import run_passes
from edgecomp.quant import QuantizeOptions, quantize_model
from tests.cli.support import FAST, call, refused
from tests.support.bundle import Model
from tests.support.cases import one_line_each
from tests.support.proof import ONE_NOW_ALL_LATER, board_differences, host_differences
from tests.support.stored import CODED, with_stored_weights

torch = pytest.importorskip("torch")

TOKENS = 14
SOURCE = """
import torch
from torch import nn


class Bag(nn.Module):
    def __init__(self, rows):
        super().__init__()
        self.words, self.out = nn.Embedding(rows, 24), nn.Linear(24, 4)

    def forward(self, x):
        return self.out(self.words(x).mean(dim=1))


class Windows(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(256, 12, padding_idx=0)
        self.near, self.out = nn.Conv1d(12, 16, 3, padding=1), nn.Linear(16, 4)

    def forward(self, x):
        return self.out(torch.relu(self.near(self.words(x).transpose(1, 2))).amax(dim=2))


class Memory(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(80, 10)
        self.memory, self.out = nn.LSTM(10, 12, batch_first=True), nn.Linear(12, 4)

    def forward(self, x):
        return self.out(self.memory(self.words(x))[0][:, -1])


class Chosen(nn.Module):
    def __init__(self):
        super().__init__()
        self.choice, self.words, self.out = nn.Linear(14, 9), nn.Embedding(9, 16), nn.Linear(16, 4)

    def forward(self, x):
        return self.out(self.words(self.choice(x).argmax(dim=-1)))


def built(cls, *arguments, dtype=torch.long):
    torch.manual_seed(0)
    return cls(*arguments).eval(), torch.zeros(1, 14, dtype=dtype)


def bag():
    return built(Bag, 90)


def large():
    return built(Bag, 700)


def many():
    return built(Bag, 3000)


def windows():
    return built(Windows, dtype=torch.int32)


def memory():
    return built(Memory)


def chosen():
    return built(Chosen, dtype=torch.float32)


def no_example():
    return built(Bag, 90)[0]
"""
ROWS = {"bag": 90, "windows": 256, "memory": 80, "chosen": 0, "large": 700, "many": 3000}
ERROR = 0.06
"""Of int8, as a share of the outputs' standard deviation."""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("embedding") / "nets.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture(scope="module")
def networks(source):
    """Each network's float graph, integers, codes of its samples, and torch's outputs."""
    scope = {}
    exec(compile(SOURCE, str(source), "exec"), scope)
    rng = np.random.default_rng(0)
    made = {}
    for name, rows in ROWS.items():
        module, example = scope[name]()
        x = rng.integers(0, rows, (32, 1, TOKENS)) if rows else rng.normal(size=(32, 1, TOKENS))
        with torch.no_grad():
            wanted = np.stack([module(torch.tensor(s).to(example.dtype)).numpy() for s in x])
        graph = run_passes(read_model(f"{source}:{name}"))
        real = {graph.inputs[0]: x.astype(np.float32)}
        options = QuantizeOptions(numerics="int16" if name == "large" else None)
        integers, _ = quantize_model(graph, real, options)
        tensor = integers.tensors[integers.inputs[0]]
        codes = tensor.qparams.quantize(x, *tensor.dtype.limits).astype(tensor.dtype.numpy)
        made[name] = graph, real, Model(name, integers, {integers.inputs[0]: codes}), wanted
    return made


@pytest.mark.parametrize("name", ROWS)
def test_floats_are_torchs_and_codes_are_near(networks, name):
    graph, real, model, wanted = networks[name]
    found = run_float(graph, real)[graph.outputs[0]].reshape(wanted.shape)
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    (output,) = model.graph.outputs
    found = model.graph.tensors[output].qparams.dequantize(model.expected()[output])
    away = found.reshape(wanted.shape) - wanted
    if name == "chosen":
        # Where two scores are nearly equal, codes may choose another row.
        away = away[np.abs(away).max(axis=(1, 2)) < 0.1]
        assert len(away) >= 28
    assert np.sqrt((away**2).mean()) < ERROR * wanted.std()


WIDE = {"large": "int16", "many": "indices"}
KINDS = ["int8", "int16", "indices"]
"""Types of the codes: those of int16 are indices only, or all activations."""


def models(networks, kind):
    return [made[2] for name, made in networks.items() if WIDE.get(name, "int8") == kind]


@pytest.mark.parametrize("kind", KINDS)
def test_host_c_computes_the_same(networks, kind, tmp_path):
    found = host_differences(models(networks, kind), tmp_path)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("board", ONE_NOW_ALL_LATER)
def test_emulated_core_computes_the_same(networks, board, kind, tmp_path):
    found = board_differences(models(networks, kind), tmp_path, board)
    assert not found, one_line_each(found)


CODED_TABLES = {"": ("bag", "windows"), "wide_": ("many",)}
"""Tables of bytes by indices of one and of two."""


def coded_models(networks, wide):
    """In every storage, decoded by row and before."""
    for name in CODED_TABLES[wide]:
        model = networks[name][2]
        node = next(node for node in model.graph.nodes if node.op == "embedding")
        codes = {name: array[:6] for name, array in model.codes.items()}
        for seed, storage in enumerate(CODED):
            for kernel in (f"{wide}{storage}", f"{wide or 'generic_'}{storage}_layer"):
                decode = ("layer",) if kernel.endswith("layer") else ("row",)
                graph = with_stored_weights(model.graph, node, storage, seed, decode)
                forced = {node.output: f"embedding_{kernel}"}
                yield Model(f"{name} {kernel}", graph, codes, forced=forced)


@pytest.mark.parametrize("wide", CODED_TABLES)
def test_coded_tables_in_host_c(networks, wide, tmp_path):
    found = host_differences(list(coded_models(networks, wide)), tmp_path)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("wide", CODED_TABLES)
@pytest.mark.parametrize("board", ONE_NOW_ALL_LATER)
def test_coded_tables_on_emulated_cores(networks, wide, board, tmp_path):
    found = board_differences(list(coded_models(networks, wide)), tmp_path, board)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize(("name", "kernel"), [("bag", "generic"), ("many", "wide")])
def test_from_token_ids_to_answers(name, kernel, source: Path, tmp_path: Path):
    """`build`, `check` and `run` with a file of token ids, as integers of any type."""
    rows = ROWS[name]
    rng = np.random.default_rng(1)
    ids, out = tmp_path / "ids.npz", tmp_path / "out"
    np.savez(ids, x=rng.integers(0, rows, (24, TOKENS)), y=rng.integers(0, 4, 24))
    board = ("--board", "mps2-an386")
    made = call("build", f"{source}:{name}", *board, "--data", ids, *FAST, "-o", out, "--json")
    assert made.code == 0, made.err
    report = json.loads(made.out)
    assert report["bit_exact"]["mismatches"] == 0
    assert report["layers"][0]["kernel"] == f"embedding_{kernel}"
    bytes_too = tmp_path / "bytes.npz"
    np.savez(bytes_too, x=rng.integers(0, 90, (6, TOKENS)).astype(np.uint8))
    checked = call("check", out, "--data", bytes_too)
    assert checked.code == 0, checked.err
    answer = call("run", out, "--input", bytes_too, "--json")
    assert answer.code == 0, answer.err
    np.save(tmp_path / "bytes.npy", np.load(bytes_too)["x"].astype(np.int8))
    again = call("run", out, "--input", tmp_path / "bytes.npy", "--json")
    assert json.loads(again.out)["outputs"] == json.loads(answer.out)["outputs"]
    np.savez(tmp_path / "beyond.npz", x=np.full((6, TOKENS), rows))
    refused(
        call("run", out, "--input", tmp_path / "beyond.npz"), f"0 to {rows - 1:,}", f"{rows:,} rows"
    )


def test_few_bytes_of_ram_and_a_verdict_for_many_rows(source: Path, tmp_path: Path):
    """`check-model` and `--optimize ram`; int8 activations stay, and ONNX is not written."""
    checked = call("check-model", f"{source}:many", "--board", "mps2-an386", "--json")
    assert checked.code == 0, checked.err
    ids, out = tmp_path / "ids.npz", tmp_path / "out"
    np.savez(ids, x=np.random.default_rng(0).integers(0, 3000, (12, TOKENS)))
    options = ("--board", "mps2-an386", "--optimize", "ram", "--data", ids, *FAST, "-o", out)
    made = call("build", f"{source}:many", *options, "--json")
    assert made.code == 0, made.err
    report = json.loads(made.out)
    assert report["bit_exact"]["mismatches"] == 0
    assert not (out / "model_int8.onnx").exists()
    (header,) = (path.read_text() for path in (out / "src").glob("*.h") if path.stem != "edgecomp")
    assert re.search(r"^int16_t \*\w+_input\(", header, re.MULTILINE)
    assert re.search(r"^const int8_t \*\w+_output\(", header, re.MULTILINE)
    again = call("build", f"{source}:many", *options[:-1], tmp_path / "rows", "--stream-input")
    refused(again, "indices of int16", "--stream-input")
    refused(call("export", out, "-o", tmp_path / "again.onnx"), "indices of int16")


def test_token_ids_by_the_shape_alone(source: Path):
    graph = run_passes(read_model(f"{source}:no_example", input_shapes={"": (1, TOKENS)}))
    assert graph.nodes[0].op == "embedding"

"""The generated functions around a run, called from Python."""

import ctypes
import subprocess

import numpy as np
import pytest

from edgecomp.codegen.context import Provenance, model_context
from edgecomp.codegen.emit import model_sources
from edgecomp.interp import run_int
from edgecomp.ir import DType, Graph, Node, QParams, Tensor
from edgecomp.ops.expression import X, call
from edgecomp.ops.unary import UnaryParams
from edgecomp.plan.planner import plan_graph
from edgecomp.quant.input_codes import input_quantizer
from edgecomp.targets.cores import get_core

OUT_Q = QParams.per_tensor(0.015625, 5)


def two_in_two_out() -> Graph:
    """Two inputs and two outputs that have nothing to do with each other."""
    tensors, nodes = {}, []
    for number, shape in enumerate(((1, 4, 5, 3), (1, 17))):
        x, y = f"x{number}", f"y{number}"
        tensors[x] = Tensor(x, shape, DType.INT8, QParams.per_tensor(0.02 * (number + 1), -7))
        tensors[y] = Tensor(y, shape, DType.INT8, OUT_Q)
        nodes.append(Node(f"f{number}", "unary", (x,), y, UnaryParams(call("tanh", X))))
    return Graph("pair", ("x0", "x1"), ("y0", "y1"), tuple(nodes), tensors)


QUANTIZERS = {
    "x0": input_quantizer(
        QParams.per_tensor(0.02, -7), 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    ),
    "x1": input_quantizer(QParams.per_tensor(0.04, -7)),
}


class Library:
    """The compiled model and an arena for it."""

    def __init__(self, graph: Graph, folder, *, keep_input: bool = False) -> None:
        plan = plan_graph(graph, get_core("cortex-m4f"), keep_input=keep_input)
        context = model_context(plan, Provenance("pair.onnx", "0" * 64), QUANTIZERS)
        for name, text in model_sources(context).items():
            (folder / name).write_text(text)
        subprocess.run(
            ["gcc", "-std=c99", "-O2", "-ffp-contract=off", "-shared", "-fPIC", "pair.c", "-o",
             "pair.so"],
            cwd=folder, check=True,
        )  # fmt: skip
        self.graph = graph
        self.c = ctypes.CDLL(str(folder / "pair.so"))
        self.c.pair_input.restype = self.c.pair_output.restype = ctypes.c_void_p
        self.c.pair_dequantize_output.restype = ctypes.c_float
        self.memory = np.zeros(plan.arena_bytes // 8 + 2, np.int64)
        self.arena = ctypes.c_void_p(self.memory.ctypes.data)

    def codes(self, kind: str, index: int) -> np.ndarray:
        """The codes of an input or output, as they lie in the arena now."""
        names = self.graph.inputs if kind == "input" else self.graph.outputs
        tensor = self.graph.tensors[names[index]]
        address = getattr(self.c, f"pair_{kind}")(self.arena, index)
        raw = ctypes.string_at(address, tensor.size)
        return np.frombuffer(raw, np.int8).reshape(tensor.shape)

    def quantize(self, index: int, values: np.ndarray) -> np.ndarray:
        """Fill an input from real values or bytes and return its codes."""
        suffix = "u8" if values.dtype == np.uint8 else "f32"
        data = np.ascontiguousarray(values)
        fill = getattr(self.c, f"pair_quantize_input_{suffix}")
        fill(self.arena, index, ctypes.c_void_p(data.ctypes.data))
        return self.codes("input", index)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return Library(two_in_two_out(), tmp_path_factory.mktemp("pair"))


@pytest.mark.parametrize("index", [0, 1])
def test_real_inputs_get_the_hosts_codes(library, index):
    rng = np.random.default_rng(index)
    shape = library.graph.tensors[f"x{index}"].shape
    spread = (128.0, 2.0)[index]
    odd = np.array([np.nan, np.inf, -np.inf, 1e38, -1e38, 0.0, -0.0, 1e-45], np.float32)
    for number in range(200):
        values = rng.normal(0, spread, shape).astype(np.float32)
        if number == 0:
            values.flat[: len(odd)] = odd
        got = library.quantize(index, values)
        with np.errstate(invalid="ignore", over="ignore"):
            np.testing.assert_array_equal(got, QUANTIZERS[f"x{index}"].codes(values))


def test_bytes_get_the_codes_of_their_values(library):
    values = np.random.default_rng(0).integers(0, 256, (1, 4, 5, 3)).astype(np.uint8)
    got = library.quantize(0, values)
    np.testing.assert_array_equal(got, QUANTIZERS["x0"].codes(values.astype(np.float32)))
    assert len(np.unique(got)) > 20


def test_a_run_reads_all_inputs_and_writes_all_outputs(library):
    rng = np.random.default_rng(3)
    codes = {}
    for index, name in enumerate(library.graph.inputs):
        tensor = library.graph.tensors[name]
        data = rng.integers(-128, 128, tensor.shape).astype(np.int8)
        codes[name] = data[None]
        ctypes.memmove(library.c.pair_input(library.arena, index), data.tobytes(), data.size)
    assert library.c.pair_run(library.arena) == 0
    expected = run_int(library.graph, codes)
    for index, name in enumerate(library.graph.outputs):
        got = library.codes("output", index)
        np.testing.assert_array_equal(got, expected[name][0])
        reals = [
            library.c.pair_dequantize_output(library.arena, index, element)
            for element in range(got.size)
        ]
        np.testing.assert_array_equal(
            np.float32(reals), OUT_Q.dequantize(got.ravel()).astype(np.float32)
        )
        assert library.c.pair_argmax(library.arena, index) == int(got.ravel().argmax())


def test_ties_go_to_the_lowest_index(library):
    ctypes.memset(library.c.pair_input(library.arena, 1), 9, 17)
    assert library.c.pair_run(library.arena) == 0
    assert library.c.pair_argmax(library.arena, 1) == 0


def test_an_arena_out_of_line_is_refused(library):
    assert library.c.pair_run(ctypes.c_void_p(library.memory.ctypes.data + 4)) == -1


def test_stages_that_do_not_exist_are_refused(library):
    assert library.c.pair_run_stage(library.arena, 2) == -1
    assert library.c.pair_run_stage(library.arena, -1) == -1
    assert library.c.pair_run_stage(library.arena, 1) == 0


def test_a_kept_input_is_there_after_the_run(tmp_path):
    library = Library(two_in_two_out(), tmp_path, keep_input=True)
    values = np.random.default_rng(5).normal(0, 1, (1, 17)).astype(np.float32)
    before = library.quantize(1, values).copy()
    assert library.c.pair_run(library.arena) == 0
    np.testing.assert_array_equal(library.codes("input", 1), before)

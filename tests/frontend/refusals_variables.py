"""One TFLite file for every reason to refuse variables, or layers of int16 codes."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecomp.frontend.tflite_file import TfliteFile, load_tflite
from tests.support.tflite16_cases import conv_case, function_case, layer_case
from tests.support.tflite_net import Subgraph, content
from tests.support.tflite_variables import (
    FRAME,
    SCALE,
    ZERO,
    assign,
    handle,
    once,
    read,
    svdf,
)

SHAPE = (1, FRAME)
CONVERT = "convert the model"


@dataclass(frozen=True)
class Bytes:
    """A file, what is said of it, and what is suggested."""

    reason: str
    op: str
    model: Callable[[], bytes]
    instead: str = ""

    def file(self) -> TfliteFile:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "net.tflite"
            path.write_bytes(self.model())
            return load_tflite(path)


def network(layers: Callable[[Subgraph, int], Subgraph | None]) -> Callable[[], bytes]:
    """An input and a sum of it behind `layers`, which may return what CALL_ONCE runs."""

    def model() -> bytes:
        g = Subgraph()
        x = g.tensor(SHAPE, "int8", SCALE, ZERO)
        g.inputs = [x]
        others = [other for other in [layers(g, x)] if other is not None]
        y = g.tensor(SHAPE, "int8", SCALE * 2, ZERO)
        g.outputs = [g.operator("ADD", [x, x], y, "AddOptions")]
        return content(g, *others)

    return model


def change_places(g, x):
    a, b = read(g, "a", SHAPE), read(g, "b", SHAPE)
    assign(g, "a", b)
    assign(g, "b", a)


def without_handle(g, x):
    stray = g.tensor((1,), "resource")
    y = g.tensor(SHAPE, "int8", SCALE, ZERO)
    g.operator("READ_VARIABLE", [stray], y, "ReadVariableOptions")


def missing_graph(g, x):
    g.operator("CALL_ONCE", [], [], "CallOnceOptions", InitSubgraphIndex=5)


def late_values(g, x):
    read(g, "a", SHAPE)
    assign(g, "a", x)
    return once(g, {"a": np.zeros(SHAPE)})


def computed_values(g, x):
    first = once(g, {"a": np.zeros(SHAPE)})
    made = first.tensor(SHAPE, "int8", SCALE, ZERO)
    first.operator("ADD", [1, 1], made, "AddOptions")
    return first


def real_variable(g, x):
    kept = g.operator(
        "READ_VARIABLE", [handle(g, "a")], g.tensor(SHAPE, "float32"), "ReadVariableOptions"
    )
    assign(g, "a", kept)


def constant(g, x):
    read(g, "a", SHAPE)
    assign(g, "a", g.tensor(SHAPE, "int8", SCALE, ZERO, np.zeros(SHAPE, np.int8)))


def read_at_another_scale(g, x):
    assign(g, "a", x)
    read(g, "a", SHAPE, SCALE * 2)


def assigned_at_another_scale(g, x):
    read(g, "a", SHAPE, SCALE * 2)
    assign(g, "a", x)


def svdf_file(without=(), rows=4, state="int8"):
    """One SVDF; operands `without` are computed by another layer."""

    def model() -> bytes:
        g = Subgraph()
        x = g.tensor((rows, FRAME), "int8", SCALE, ZERO)
        g.inputs = [x]
        made = svdf(g, rng(), x, rank=2, units=3, memory=4)
        inputs = g.operators[-1][1]
        name, shape, _, *rest = g.tensors[inputs[4]]
        g.tensors[inputs[4]] = (name, shape, state, *rest)
        for place in without:
            _, shape, dtype, scales, zero, *_ = g.tensors[inputs[place]]
            computed = g.tensor(shape, dtype, scales[0], zero)
            given = g.tensor(shape, dtype, scales[0], zero)
            g.operators.insert(0, ("RELU", [given], [computed], "", {}))
            g.inputs.append(given)
            inputs[place] = computed
        g.outputs = [made]
        return content(g)

    return model


def mixed_dense() -> bytes:
    """FULLY_CONNECTED from int8 to int16 codes, of two rows."""
    g = Subgraph()
    x, y = g.tensor((2, FRAME), "int8", SCALE, ZERO), g.tensor((2, 4), "int16", SCALE)
    codes = g.constant(np.ones((4, FRAME), np.int8), SCALE)
    back = g.tensor((2, 4), "int8", SCALE, ZERO)
    made = g.operator("FULLY_CONNECTED", [x, codes, -1], y, "FullyConnectedOptions")
    g.inputs, g.outputs = [x], [g.operator("QUANTIZE", [made], back, "QuantizeOptions")]
    return content(g)


def variable(reason, op, layers, instead=""):
    return Bytes(reason, op, network(layers), instead)


def wide(reason, op, case, instead=""):
    return Bytes(reason, op, lambda: case().model, instead)


def rng():
    return np.random.default_rng(0)


CASES = (
    variable("change places", "ASSIGN_VARIABLE", change_places, "copy one of them"),
    variable("VAR_HANDLE did not make", "READ_VARIABLE", without_handle),
    variable("a graph that is not there", "CALL_ONCE", missing_graph),
    variable("behind the layers that read them", "CALL_ONCE", late_values),
    variable("not constants", "CALL_ONCE", computed_values),
    variable("variables of float32", "READ_VARIABLE", real_variable, "convert to int8"),
    variable("a constant", "ASSIGN_VARIABLE", constant, "leave the variable out"),
    variable("than that of the codes it reads", "READ_VARIABLE", read_at_another_scale),
    variable("than that it is read with", "ASSIGN_VARIABLE", assigned_at_another_scale),
    Bytes("a state of float32", "SVDF", svdf_file(rows=1, state="float32"), "with zero point 0"),
    Bytes("the weights must be a constant", "SVDF", svdf_file((1,), rows=1)),
    Bytes("an input of (4, 8) with weights", "SVDF", svdf_file()),
    Bytes("both int8 and int16 codes", "FULLY_CONNECTED", mixed_dense, CONVERT),
    wide("a bias of int64", "DEPTHWISE_CONV_2D",
         lambda: conv_case(rng(), "", depthwise=True, bias="int32")),
    wide("has no such layer of int16 codes", "REDUCE_MAX",
         lambda: layer_case(rng(), "", "REDUCE_MAX", [SHAPE], (1,), [[1]], "ReducerOptions"),
         CONVERT),
    wide("does not compute clip(x, 0, 6)", "RELU6",
         lambda: function_case("", "RELU6", out=1 / 3000), CONVERT),
    wide("does not compute exp(x)", "EXP", lambda: function_case("", "EXP"), CONVERT),
    wide("does not compute softmax", "SOFTMAX",
         lambda: function_case("", "SOFTMAX", "SoftmaxOptions", Beta=1.0), CONVERT),
    wide("does not compute softmax", "SOFTMAX",
         lambda: function_case("", "SOFTMAX", "SoftmaxOptions", scale=9.0, out=1 / 32768, Beta=1.0),
         CONVERT),
    wide("one scale and leaves padding out", "AVERAGE_POOL_2D",
         lambda: layer_case(rng(), "", "AVERAGE_POOL_2D", [(1, 4, 4, 2)], (1, 2, 2, 2), (),
                            "Pool2DOptions", FilterHeight=2, FilterWidth=2, StrideH=2, StrideW=2,
                            Padding=1, out=1 / 3000)),
    wide("32 bits", "MUL",
         lambda: layer_case(rng(), "", "MUL", [SHAPE, SHAPE], SHAPE, (), "MulOptions", out=1e-8),
         CONVERT),
    wide("far below", "ADD",
         lambda: layer_case(rng(), "", "ADD", [SHAPE, SHAPE], SHAPE, (), "AddOptions", out=1e-10)),
)  # fmt: skip

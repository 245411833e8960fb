"""The verifier finds every planted fault, and the text of a graph says what is in it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edgecomp.errors import InternalError
from edgecomp.ir import Clamp, DType, Graph, Node, QParams, Tensor, View
from edgecomp.ir.text import format_graph, graph_summary
from edgecomp.ir.verify import verify
from edgecomp.ops import OPS
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.pool import MaxPoolParams

CONV = Conv2dParams(kernel_h=3, kernel_w=3, pad_top=1, stride_h=2, clamp=Clamp(0.0, 6.0))
POOL = MaxPoolParams(kernel_h=2, kernel_w=2)


def float_graph() -> Graph:
    tensors = [
        Tensor("x", (1, 8, 8, 3)),
        Tensor("w", (4, 3, 3, 3), data=np.ones((4, 3, 3, 3), np.float32)),
        Tensor("b", (4,), data=np.ones(4, np.float32)),
        Tensor("a", (1, 4, 6, 4)),
        Tensor("y", (1, 3, 5, 4)),
    ]
    nodes = (
        Node("conv", "conv2d", ("x", "w", "b"), "a", CONV),
        Node("pool", "max_pool", ("a",), "y", POOL),
    )
    return Graph("g", ("x",), ("y",), nodes, {t.name: t for t in tensors})


def int_graph() -> Graph:
    graph = float_graph()
    q = QParams.per_tensor(0.1, -3)
    tensors = {
        name: replace(graph.tensor(name), dtype=DType.INT8, qparams=q) for name in ("x", "a", "y")
    }
    codes = np.ones((4, 3, 3, 3), np.int8)
    scales = QParams.per_channel(np.ones(4), 0)
    tensors["w"] = Tensor("w", (4, 3, 3, 3), DType.INT8, scales, codes)
    tensors["b"] = Tensor("b", (4,), DType.INT32, None, np.ones(4, np.int32))
    return graph.replace(tensors=tensors)


def changed(graph: Graph, tensor: str, /, **changes: object) -> Graph:
    tensors = {**graph.tensors, tensor: replace(graph.tensor(tensor), **changes)}
    return graph.replace(tensors=tensors)


def node_changed(graph: Graph, index: int, **changes: object) -> Graph:
    nodes = list(graph.nodes)
    nodes[index] = replace(nodes[index], **changes)
    return graph.replace(nodes=tuple(nodes))


FAULTS: dict[str, tuple[Callable[[], Graph], str]] = {
    "filed wrongly": (lambda: changed(float_graph(), "a", name="z"), "'z' is filed"),
    "empty": (lambda: changed(float_graph(), "x", shape=(1, 0, 8, 3)), "'x' is empty"),
    "data shape": (lambda: changed(float_graph(), "b", shape=(5,)), "'b' has shape"),
    "data dtype": (
        lambda: changed(float_graph(), "b", data=np.ones(4)),
        "'b' is float32 but its data float64",
    ),
    "scale": (
        lambda: changed(float_graph(), "a", qparams=QParams((0.0,))),
        "scale that is not a positive number",
    ),
    "number of scales": (
        lambda: changed(float_graph(), "w", qparams=QParams((1.0, 1.0), 0, 0)),
        "2 scales, not 4",
    ),
    "axis": (
        lambda: changed(float_graph(), "w", qparams=QParams((1.0,) * 4, 0, 4)),
        "wrong axis",
    ),
    "asymmetric channels": (
        lambda: changed(float_graph(), "w", qparams=QParams((1.0,) * 4, 1, 0)),
        "or a zero point",
    ),
    "missing input": (lambda: float_graph().replace(inputs=("q",)), "input 'q' is not among"),
    "input twice": (lambda: float_graph().replace(inputs=("x", "x")), "listed twice"),
    "constant output": (lambda: float_graph().replace(outputs=("b",)), "'b' is a constant"),
    "output not made": (
        lambda: float_graph().replace(nodes=float_graph().nodes[:1]),
        "no layer makes the output 'y'",
    ),
    "view of nothing": (
        lambda: float_graph().replace(views={"a": View((0, 1, 2, 3), (1, 4, 6, 4))}),
        "view of 'a'",
    ),
    "view that does not fit": (
        lambda: float_graph().replace(views={"x": View((0, 1, 2, 2), (1, 8, 8, 3))}),
        "view of 'x' does not fit",
    ),
    "same name": (lambda: node_changed(float_graph(), 1, name="conv"), "two layers"),
    "operator": (lambda: node_changed(float_graph(), 0, op="conv3d"), "unknown operator"),
    "unknown tensor": (lambda: node_changed(float_graph(), 1, inputs=("q",)), "does not exist"),
    "order": (
        lambda: float_graph().replace(nodes=float_graph().nodes[::-1]),
        "'pool' reads 'a' before",
    ),
    "made twice": (lambda: node_changed(float_graph(), 1, output="a"), "exists already"),
    "shape": (
        lambda: changed(float_graph(), "y", shape=(1, 3, 5, 3)),
        r"'pool' \(max_pool\) makes",
    ),
    "no scale": (lambda: changed(int_graph(), "a", qparams=None), "'a' needs one scale"),
    "zero point": (
        lambda: changed(int_graph(), "x", qparams=QParams((1.0,), 128)),
        "zero point of 'x' is no int8",
    ),
    "codes without scale": (lambda: changed(int_graph(), "w", qparams=None), "codes 'w' have no"),
    "moved codes": (
        lambda: changed(int_graph(), "y", qparams=QParams((0.5,), -3)),
        r"'pool' \(max_pool\) only moves codes",
    ),
}


def test_sound_graphs_pass() -> None:
    verify(float_graph(), OPS)
    verify(int_graph(), OPS)


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found(fault: str) -> None:
    make, message = FAULTS[fault]
    with pytest.raises(InternalError, match=message):
        verify(make(), OPS)


def test_summary_adds_up() -> None:
    summary = graph_summary(float_graph(), OPS)
    assert summary["macs"] == 4 * 6 * 4 * 27
    assert summary["parameters"] == 4 * 27 + 4
    assert [layer["op"] for layer in summary["layers"]] == ["conv2d", "max_pool"]
    assert summary["layers"][0]["shape"] == [1, 4, 6, 4]
    assert summary["inputs"][0]["model_shape"] == [1, 8, 8, 3]


def test_text_shows_layers_and_totals() -> None:
    odd = float_graph().replace(
        views={"x": View((0, 3, 1, 2), (1, 3, 8, 8))}, io_names={"x": 'in "1"\n\x1b[31m'}
    )
    text = format_graph(node_changed(odd, 0, name="layer\n" + "very " * 20 + "long"), OPS)
    assert "3x3, stride 2x1, pad 1,0,0,0, relu6" in text
    assert "2,592 MACs, 112 parameters" in text
    assert "1x8x8x3 float32 (the model's own order: 1x3x8x8)" in text
    assert "\x1b" not in text
    assert len(text.splitlines()) == 10

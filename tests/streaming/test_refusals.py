"""What cannot be streamed is refused with the layer's name and what to do."""

import numpy as np
import pytest

from edgecomp.errors import EdgecompError, UnsupportedError, UserError
from edgecomp.ir import DType, Graph, Node, QParams, Tensor, View
from edgecomp.ops import OPS
from edgecomp.ops.add import AddParams
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.expression import X
from edgecomp.ops.gather import GatherParams
from edgecomp.ops.matmul import MatMulParams
from edgecomp.ops.movement import ConcatParams, PadParams, TransposeParams
from edgecomp.ops.mul import MulParams
from edgecomp.ops.pool import AveragePoolParams
from edgecomp.ops.reduce_mean import ReduceMeanParams
from edgecomp.ops.softmax import SoftmaxParams
from edgecomp.ops.unary import UnaryParams
from edgecomp.passes.stream import device_axis, stream

LENGTH, CHANNELS = 20, 4
Q = QParams.per_tensor(0.05, 3)


class Net:
    """Layers by name; tensors are called as the layers that make them."""

    def __init__(self, shape=(1, LENGTH, CHANNELS)):
        self.tensors = {"x": Tensor("x", shape, DType.INT8, Q)}
        self.nodes = []
        self.last = "x"

    def add(self, name, op, params, *inputs):
        inputs = inputs or (self.last,)
        shape = OPS[op].infer(params, [self.tensors[n] for n in inputs])
        self.tensors[name] = Tensor(name, shape, DType.INT8, Q)
        self.nodes.append(Node(name, op, inputs, name, params))
        self.last = name
        return self

    def constant(self, name, shape):
        data = np.ones(shape, np.int8)
        self.tensors[name] = Tensor(name, shape, DType.INT8, Q, data)
        return self

    def conv(self, name, **window):
        params = Conv2dParams(**{"kernel_h": 1, "kernel_w": 3, **window})
        weights = f"{name}.w"
        shape = (CHANNELS, 1, params.kernel_w, self.tensors[self.last].shape[-1])
        qparams = QParams.per_channel(np.full(CHANNELS, 0.01), 0)
        data = np.ones(shape, np.int8)
        self.tensors[weights] = Tensor(weights, shape, DType.INT8, qparams, data)
        return self.add(name, "conv2d", params, self.last, weights)

    def graph(self):
        draft = Graph("net", ("x",), (self.last,), (), self.tensors)
        return draft.with_nodes(self.nodes, self.tensors)


def refused(net, **options):
    with pytest.raises(UnsupportedError) as caught:
        stream(net.graph(), **options)
    assert caught.value.suggestion
    return f"{caught.value.layer}: {caught.value.limit}"


def chosen(*frames):
    return GatherParams((None, tuple(frames), None))


REFUSED = {
    "same convolution": (
        Net().conv("fast", pad_left=2).conv("same", pad_left=1, pad_right=1),
        "same: --stream: it looks at frames behind the last one",
    ),
    "padding at the end": (
        Net().add("end", "pad", PadParams((0, 0, 0), (0, 2, 0))).conv("after"),
        "end: --stream: it pads behind the last frame",
    ),
    "attention": (
        Net().add("turned", "transpose", TransposeParams((0, 2, 1)))
        .add("scores", "matmul", MatMulParams(), "x", "turned"),
        "scores: --stream: frames meet frames",
    ),
    "softmax over time": (
        Net().add("turned", "transpose", TransposeParams((0, 2, 1)))
        .add("soft", "softmax", SoftmaxParams()),
        "soft: --stream: it mixes all frames",
    ),
    "positions": (
        Net().constant("where", (1, LENGTH, 1)).add("placed", "add", AddParams(), "x", "where"),
        "placed: --stream: a constant of it differs",
    ),
    "squeeze and excite": (
        Net().add("mean", "reduce_mean", ReduceMeanParams((1,)))
        .add("scaled", "mul", MulParams(), "x", "mean"),
        "scaled: --stream: 'mean' is made of all frames",
    ),
    "backwards": (
        Net().add("reversed", "gather", chosen(*range(LENGTH - 1, -1, -1))),
        "reversed: --stream: it takes frames out of order",
    ),
    "sequences joined": (
        Net().conv("short").add("joined", "concat", ConcatParams(1), "x", "short"),
        "joined: --stream: it joins sequences",
    ),
    "padding after none": (
        Net().conv("open").conv("padded", pad_left=2),
        "padded: --stream: it pads a sequence whose first frames",
    ),
    "border after none": (
        Net().conv("open").add("border", "pad", PadParams((0, 2, 0), (0, 0, 0))).conv("padded"),
        "border: --stream: it pads a sequence whose first frames",
    ),
    "function of a border": (
        Net().add("border", "pad", PadParams((0, 2, 0), (0, 0, 0)))
        .add("function", "unary", UnaryParams(X)).conv("last"),
        "function: --stream: frames of padding reach it",
    ),
    "too much padding": (
        Net().conv("far", pad_left=4),
        "far: --stream: it pads more frames than its kernel",
    ),
    "uncounted padding": (
        Net().add("pool", "average_pool", AveragePoolParams(1, 3, pad_left=2)),
        "pool: --stream: its padding over time is not counted",
    ),
    "other strides": (
        Net().conv("slow", stride_w=2, pad_left=2)
        .add("half", "gather", chosen(*range(LENGTH // 2)), "x")
        .add("sum", "add", AddParams(), "slow", "half"),
        "sum: --stream: its inputs have other times",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_layer(name):
    net, message = REFUSED[name]
    assert refused(net).startswith(message)


def test_padding_on_both_sides_is_causal_where_the_end_is_cropped():
    net = Net().conv("both", pad_left=2, pad_right=2)
    streamed = stream(net.add("crop", "gather", chosen(*range(LENGTH))).graph())
    assert streamed.delays == {streamed.graph.outputs[0]: 0}
    assert refused(Net().conv("both", pad_left=2, pad_right=2)).startswith("both")


def test_ticks_take_what_strides_need():
    net = Net().conv("a", stride_w=2, pad_left=2).conv("b", stride_w=3, pad_left=2)
    assert stream(net.graph()).frames == 6
    assert stream(net.graph(), frames=12).graph.tensors["x"].shape == (1, 12, CHANNELS)
    for frames in (4, 0, -6):
        with pytest.raises(UserError, match="6 frames or a multiple of it"):
            stream(net.graph(), frames=frames)


def test_an_axis_must_be_there():
    graph = Net().conv("a", pad_left=2).graph()
    with pytest.raises(UserError, match="has no axis 5"):
        stream(graph, axis=5)
    turned = graph.replace(views={"x": View((0, 2, 1), (1, CHANNELS, LENGTH))})
    assert device_axis(turned, 2) == 1
    with pytest.raises(UserError, match="from 1 to 2"):
        device_axis(turned, 3)
    flat = Graph("flat", ("x",), ("y",), (), {}).replace(
        tensors={"x": Tensor("x", (1, 8), DType.INT8, Q), "y": Tensor("y", (1, 8), DType.INT8, Q)},
        nodes=(Node("y", "unary", ("x",), "y", UnaryParams(X)),),
    )
    with pytest.raises(EdgecompError, match="needs an input of several frames"):
        stream(flat)

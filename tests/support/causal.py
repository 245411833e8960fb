"""Random networks along time, in integers, for sequences of any length."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgecomp.ir import Array, Clamp, DType, Graph, Node, OpParams, QParams, Shape, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.add import AddParams
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.dense import DenseParams
from edgecomp.ops.expression import X, call
from edgecomp.ops.gather import GatherParams
from edgecomp.ops.movement import ConcatParams, PadParams, ReshapeParams
from edgecomp.ops.pool import AveragePoolParams, MaxPoolParams
from edgecomp.ops.reduce_mean import ReduceMeanParams
from edgecomp.ops.unary import UnaryParams
from edgecomp.passes.stream import Stream, stream
from edgecomp.samples import cut_into_ticks
from tests.support.bundle import Model

LONGEST_REACH = 60
"""Frames that an output may depend on, about."""


@dataclass(frozen=True)
class Causal:
    """A network.

    Attributes:
        graph: over one sequence.
        axis: of time in its input.
        is_padded: whether its windows begin with frames of padding, or need all their frames.
        seen: frames that its last layer sees together, if it sees several.
    """

    graph: Graph
    axis: int
    is_padded: bool
    seen: int

    @property
    def stream(self) -> Stream:
        """The same tick by tick."""
        return stream(self.graph, self.axis)

    def sequence(self, seed: int, length: int = 0) -> dict[str, Array]:
        """Random codes of one sequence, `(1, *shape)`, of another length if that is given."""
        shape = [1, *self.graph.tensors["x"].shape]
        shape[self.axis + 1] = length or shape[self.axis + 1]
        rng = np.random.default_rng(seed)
        return {"x": rng.integers(-128, 128, shape).astype(np.int8)}


def causal_network(seed: int, length: int, seen: int | None = None) -> Causal:
    """Make network number `seed`; its layers are the same whatever the length.

    Args:
        seed: number of the network.
        length: frames of the input.
        seen: frames that the last layer sees together; all of this length's unless given.
    """
    net = _Net(seed, length)
    for _ in range(int(net.rng.integers(1, 6))):
        BLOCKS[int(net.rng.integers(0, len(BLOCKS)))](net)
    if net.last == "x":
        conv(net)
    frames = net.frames
    _end(net, frames if seen is None else seen)
    graph = Graph(f"causal{seed}", ("x",), (net.last,), (), net.tensors)
    return Causal(graph.with_nodes(net.nodes, net.tensors), net.axis, net.is_padded, frames)


def tick_model(seed: int, ticks: int) -> Model:
    """The ticks of a random network as a model that can be built and run."""
    made = causal_network(seed, 96)
    streamed = made.stream
    codes = made.sequence(seed, ticks * streamed.frames)
    codes = cut_into_ticks(codes, made.axis, streamed.frames)
    return Model(f"tick{seed}", streamed.graph, codes)


class _Net:
    """A network in the making."""

    def __init__(self, seed: int, length: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.is_padded = self.chance(0.6)
        kind, channels = int(self.rng.integers(0, 4)), int(self.rng.integers(1, 9))
        features = int(self.rng.integers(2, 5))
        shapes: tuple[Shape, ...] = (
            (1, length, channels), (1, length, 4 * channels),
            (1, length, features, channels), (1, features, length, channels),
        )  # fmt: skip
        self.axis = 2 if kind == 3 else 1
        qparams = QParams.per_tensor(0.02, self.zero())
        self.tensors = {"x": Tensor("x", shapes[kind], DType.INT8, qparams)}
        self.nodes: list[Node] = []
        self.last = "x"
        self.rate = self.reach = 1

    @property
    def shape(self) -> Shape:
        return self.tensors[self.last].shape

    @property
    def frames(self) -> int:
        return self.shape[self.axis]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def zero(self) -> int:
        return int(self.rng.integers(-128, 128))

    def qparams(self, name: str) -> QParams:
        found = self.tensors[name].qparams
        assert found is not None
        return found

    def along_time(self, value: tuple[int, ...]) -> tuple[tuple[int, ...] | None, ...]:
        return tuple(value if axis == self.axis else None for axis in range(len(self.shape)))

    def emit(
        self, op: str, inputs: Sequence[str], params: OpParams, qparams: QParams | None = None
    ) -> str:
        """Add a layer; without `qparams` its output has those of its first input."""
        name = f"{op}{len(self.nodes)}"
        shape = OPS[op].infer(params, [self.tensors[n] for n in inputs])
        given = qparams or self.qparams(inputs[0])
        self.tensors[name] = Tensor(name, shape, DType.INT8, given)
        self.nodes.append(Node(f"layer {name}", op, tuple(inputs), name, params))
        self.last = name
        return name

    def linear(self, op: str, weights: Shape, params: OpParams) -> str:
        """Add a layer with weights whose outputs use their codes well."""
        name, scale = f"w{len(self.nodes)}", self.qparams(self.last).scalar
        data = self.rng.integers(-127, 128, weights).astype(np.int8)
        scales = 0.01 * self.rng.uniform(0.3, 1.0, weights[0])
        bias = self.rng.integers(-3000, 3000, weights[0]).astype(np.int32)
        per_channel = [QParams.per_channel(factor * scales, 0) for factor in (1.0, scale)]
        self.tensors[name] = Tensor(name, weights, DType.INT8, per_channel[0], data)
        self.tensors[f"{name}.bias"] = Tensor(
            f"{name}.bias", (weights[0],), DType.INT32, per_channel[1], bias
        )
        spread = scale * 0.01 * 74 * 74 * math.sqrt(math.prod(weights[1:]))
        made = QParams.per_tensor(spread / 40, self.zero())
        return self.emit(op, [self.last, name, f"{name}.bias"], params, made)

    def sizes(self, longest: int = 5, *, strides: bool = True) -> tuple[int, int, int]:
        """Kernel, stride and dilation over time, as long as the network does not see too much."""
        kernel, stride = int(self.rng.integers(1, longest + 1)), int(self.rng.choice([1, 1, 1, 2]))
        dilation = int(self.rng.choice([1, 1, 2, 3, 5, 14]))
        stride = stride if strides else 1
        span = (kernel - 1) * dilation + 1
        if self.reach + (span - 1) * self.rate > LONGEST_REACH:
            return 1, 1, 1
        self.reach += (span - 1) * self.rate
        self.rate *= stride
        return kernel, stride, dilation

    def window(self, sizes: tuple[int, int, int], *, features: bool = True) -> dict[str, int]:
        """A window over time, padded as this network is, and over some features."""
        kernel, stride, dilation = sizes
        span = (kernel - 1) * dilation + 1
        before = max(int(self.rng.choice([span - 1, span - stride])), 0) if self.is_padded else 0
        if before and self.chance(0.3):
            widths = tuple(before if axis == self.axis else 0 for axis in range(len(self.shape)))
            value = float(self.rng.choice([0.0, 0.5]))
            self.emit("pad", [self.last], PadParams(widths, (0,) * len(widths), value))
            before = 0
        is_picture = len(self.shape) == 4
        time, other, lead = ("h", "w", "pad_top") if is_picture and self.axis == 1 else (
            "w", "h", "pad_left")  # fmt: skip
        wide = int(self.rng.integers(1, 3)) if is_picture and features else 1
        wide = min(wide, self.shape[3 - self.axis]) if is_picture else 1
        return {
            f"kernel_{time}": kernel, f"stride_{time}": stride, f"dilation_{time}": dilation,
            lead: before, f"kernel_{other}": wide,
        }  # fmt: skip


def conv(net: _Net) -> None:
    """A convolution."""
    clamp = Clamp(0.0) if net.chance(0.5) else Clamp()
    params = Conv2dParams(**net.window(net.sizes()), clamp=clamp)
    channels = int(net.rng.integers(1, 13))
    net.linear("conv2d", (channels, params.kernel_h, params.kernel_w, net.shape[-1]), params)


def depthwise(net: _Net) -> None:
    """A convolution channel by channel."""
    channels = net.shape[-1]
    params = Conv2dParams(**net.window(net.sizes()), groups=channels)
    net.linear("conv2d", (channels, params.kernel_h, params.kernel_w, 1), params)


def pool(net: _Net) -> None:
    """A pool over time."""
    window = net.window(net.sizes(3))
    if net.chance(0.5):
        net.emit("max_pool", [net.last], MaxPoolParams(**window))
        return
    qparams = QParams.per_tensor(net.qparams(net.last).scalar, net.zero())
    params = AveragePoolParams(**window, count_include_pad=True)
    net.emit("average_pool", [net.last], params, qparams)


def pointwise(net: _Net) -> None:
    """A dense layer over the features of each frame, or a function."""
    if net.chance(0.5):
        net.linear("dense", (int(net.rng.integers(1, 13)), net.shape[-1]), DenseParams())
        return
    net.emit("unary", [net.last], UnaryParams(call("tanh", X)), QParams.per_tensor(0.008, 3))


def residual(net: _Net) -> None:
    """Two ways, one of them longer, that are added or joined; without padding one is cropped."""
    start, channels = net.last, net.shape[-1]
    params = Conv2dParams(**net.window(net.sizes(strides=False), features=False))
    long = net.linear("conv2d", (channels, params.kernel_h, params.kernel_w, channels), params)
    lost = net.tensors[start].shape[net.axis] - net.frames
    if lost:
        first = int(net.rng.integers(0, lost + 1))
        chosen = net.along_time(tuple(range(first, first + net.frames)))
        start = net.emit("gather", [start], GatherParams(chosen))
    if net.chance(0.5):
        net.emit("add", [start, long], AddParams(), QParams.per_tensor(0.05, net.zero()))
        return
    same = net.emit("unary", [long], UnaryParams(X), net.qparams(start))
    net.emit("concat", [start, same], ConcatParams(len(net.shape) - 1))


BLOCKS: tuple[Callable[[_Net], None], ...] = (
    conv, conv, depthwise, pool, pointwise, residual,
)  # fmt: skip


def _end(net: _Net, seen: int) -> None:
    """Nothing, or a layer over the last frames: a mean, a dense layer, the last one's choice."""
    kind = int(net.rng.integers(0, 5))
    length = net.frames
    if kind > 1 and seen < length:
        last = net.along_time(tuple(range(length - seen, length)))
        net.emit("gather", [net.last], GatherParams(last))
    if kind == 2:
        params = ReduceMeanParams((net.axis,), net.chance(0.5))
        net.emit("reduce_mean", [net.last], params, net.qparams(net.last))
    if kind == 3:
        flat = net.emit("reshape", [net.last], ReshapeParams((1, math.prod(net.shape))))
        net.linear("dense", (5, net.tensors[flat].size), DenseParams())
    if kind == 4:
        net.emit("gather", [net.last], GatherParams(net.along_time((net.frames - 1,))))

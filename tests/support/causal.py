"""Random networks along time, in integers, of any length: their layers do not depend on it."""

import math
from collections.abc import Callable
from dataclasses import replace

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

LONGEST_SPAN = 24


class CausalNet:
    """A network in the making; `axis` is that of time, features are `(1, …, time, …, channels)`.

    Attributes:
        rng: draws the same whatever the length.
        axis: of time.
        is_padded: whether its windows begin with frames of padding, or need all their frames.
    """

    def __init__(self, seed: int, length: int) -> None:
        """Begin with an input of `length` frames."""
        self.rng = np.random.default_rng(seed)
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.is_padded = bool(self.rng.random() < 0.6)
        kind = self.rng.integers(0, 4)
        channels, features = int(self.rng.integers(1, 9)), int(self.rng.integers(2, 5))
        shape: Shape = (1, length, 4 * channels)
        self.axis = 1
        if kind == 2:
            shape = (1, length, features, channels)
        if kind == 3:
            shape, self.axis = (1, features, length, channels), 2
        self.tensors["x"] = Tensor("x", shape, DType.INT8, QParams.per_tensor(0.02, self._zero()))
        self.last = "x"

    @property
    def shape(self) -> Shape:
        """Shape of the last tensor."""
        return self.tensors[self.last].shape

    def chance(self, share: float) -> bool:
        """Draw whether something happens."""
        return bool(self.rng.random() < share)

    def _zero(self) -> int:
        return int(self.rng.integers(-128, 128))

    def emit(
        self, op: str, inputs: list[str], params: OpParams, qparams: QParams | None = None
    ) -> str:
        """Add a layer; without `qparams` its output has those of its first input."""
        name = f"{op}{len(self.nodes)}"
        shape = OPS[op].infer(params, [self.tensors[n] for n in inputs])
        given = qparams or self.tensors[inputs[0]].qparams
        self.tensors[name] = Tensor(name, shape, DType.INT8, given)
        self.nodes.append(Node(f"layer {name}", op, tuple(inputs), name, params))
        self.last = name
        return name

    def linear(self, op: str, weights: Shape, params: OpParams) -> str:
        """Add a layer with weights whose outputs use their codes well."""
        x = self.tensors[self.last]
        assert x.qparams is not None
        name = f"w{len(self.nodes)}"
        data = self.rng.integers(-127, 128, weights).astype(np.int8)
        scales = 0.01 * self.rng.uniform(0.3, 1.0, weights[0])
        spread = x.qparams.scalar * 0.01 * 74 * 74 * math.sqrt(math.prod(weights[1:]))
        self.tensors[name] = Tensor(name, weights, DType.INT8, QParams.per_channel(scales, 0), data)
        bias = self.rng.integers(-3000, 3000, weights[0]).astype(np.int32)
        q = QParams.per_channel(x.qparams.scalar * scales, 0)
        self.tensors[f"{name}.bias"] = Tensor(f"{name}.bias", (weights[0],), DType.INT32, q, bias)
        made = QParams.per_tensor(spread / 40, self._zero())
        return self.emit(op, [self.last, name, f"{name}.bias"], params, made)

    def windowed(self, kernel: int, stride: int, dilation: int) -> dict[str, int]:
        """A window over time (and one over features), padded as this network is."""
        span = (kernel - 1) * dilation + 1
        before = int(self.rng.choice([span - 1, span - stride])) if self.is_padded else 0
        before = max(before, 0)
        if before and self.chance(0.3):
            widths = [0] * len(self.shape)
            widths[self.axis] = before
            value = float(self.rng.choice([0.0, 0.5]))
            self.emit("pad", [self.last], PadParams(tuple(widths), (0,) * len(widths), value))
            before = 0
        is_h = len(self.shape) == 4 and self.axis == 1
        time, other = ("h", "w") if is_h else ("w", "h")
        lead = "pad_top" if is_h else "pad_left"
        wide = int(self.rng.integers(1, 3)) if len(self.shape) == 4 else 1
        wide = min(wide, self.shape[3 - self.axis] if len(self.shape) == 4 else 1)
        return {
            f"kernel_{time}": kernel, f"stride_{time}": stride, f"dilation_{time}": dilation,
            lead: before, f"kernel_{other}": wide,
        }  # fmt: skip


def _sizes(net: CausalNet) -> tuple[int, int, int]:
    kernel = int(net.rng.integers(1, 6))
    dilation = int(net.rng.choice([1, 1, 2, 3, 5]))
    return kernel, int(net.rng.choice([1, 1, 1, 2])), dilation


def conv(net: CausalNet) -> None:
    """A convolution."""
    params = Conv2dParams(
        **net.windowed(*_sizes(net)), clamp=Clamp(0.0) if net.chance(0.5) else Clamp()
    )
    channels = int(net.rng.integers(1, 13))
    net.linear("conv2d", (channels, params.kernel_h, params.kernel_w, net.shape[-1]), params)


def depthwise(net: CausalNet) -> None:
    """A convolution channel by channel."""
    channels = net.shape[-1]
    params = Conv2dParams(**net.windowed(*_sizes(net)), groups=channels)
    net.linear("conv2d", (channels, params.kernel_h, params.kernel_w, 1), params)


def pool(net: CausalNet) -> None:
    """A pool over time."""
    if net.chance(0.5):
        net_params = net.windowed(int(net.rng.integers(2, 4)), int(net.rng.choice([1, 2])), 1)
        net.emit("max_pool", [net.last], MaxPoolParams(**net_params))
        return
    params = AveragePoolParams(
        **net.windowed(int(net.rng.integers(2, 4)), int(net.rng.choice([1, 2])), 1),
        count_include_pad=True,
    )
    q = net.tensors[net.last].qparams
    assert q is not None
    net.emit("average_pool", [net.last], params, QParams.per_tensor(q.scalar, net._zero()))


def pointwise(net: CausalNet) -> None:
    """A dense layer over the features of each frame, or a function."""
    if net.chance(0.5):
        net.linear("dense", (int(net.rng.integers(1, 13)), net.shape[-1]), DenseParams())
        return
    q = net.tensors[net.last].qparams
    assert q is not None
    net.emit("unary", [net.last], UnaryParams(call("tanh", X)), QParams.per_tensor(0.008, 3))


def residual(net: CausalNet) -> None:
    """Two ways of different length that are added or joined; without padding one is cropped."""
    start = net.last
    kernel, _, dilation = _sizes(net)
    span = (kernel - 1) * dilation + 1
    was_padded, channels = net.is_padded, net.shape[-1]
    window = net.windowed(kernel, 1, dilation)
    is_square = window["kernel_w"] * window["kernel_h"] == kernel
    if not is_square:
        window["kernel_w" if net.axis == 1 and len(net.shape) == 4 else "kernel_h"] = 1
    params = Conv2dParams(**window)
    net.linear("conv2d", (channels, params.kernel_h, params.kernel_w, net.shape[-1]), params)
    long = net.last
    short = start
    lost = net.tensors[start].shape[net.axis] - net.tensors[long].shape[net.axis]
    if lost:
        first = int(net.rng.integers(0, span)) % (lost + 1) if not was_padded else lost
        end = net.tensors[long].shape[net.axis] + first
        indices = tuple(
            tuple(range(first, end)) if axis == net.axis else None for axis in range(len(net.shape))
        )
        short = net.emit("gather", [start], GatherParams(indices))
    if net.chance(0.5):
        net.emit("add", [short, long], AddParams(), QParams.per_tensor(0.05, net._zero()))
        return
    scale = net.tensors[short].qparams
    net.emit("unary", [long], UnaryParams(X), scale)
    net.emit("concat", [short, net.last], ConcatParams(len(net.shape) - 1))


BLOCKS: tuple[Callable[[CausalNet], None], ...] = (
    conv, conv, depthwise, pool, pointwise, residual,
)  # fmt: skip


def _end(net: CausalNet, seen: int | None) -> None:
    """Nothing, or a layer over the last `seen` frames: a mean, a choice, a dense layer."""
    kind = net.rng.integers(0, 5)
    length = net.shape[net.axis]
    first = 0 if seen is None else length - seen
    if kind > 1 and first > 0:
        indices = tuple(
            tuple(range(first, length)) if axis == net.axis else None
            for axis in range(len(net.shape))
        )
        net.emit("gather", [net.last], GatherParams(indices))
    if kind == 2:
        net.emit("reduce_mean", [net.last], ReduceMeanParams((net.axis,), net.chance(0.5)),
                 net.tensors[net.last].qparams)  # fmt: skip
    if kind == 3:
        flat = net.emit("reshape", [net.last], ReshapeParams((1, math.prod(net.shape))))
        net.linear("dense", (5, net.tensors[flat].size), DenseParams())
    if kind == 4:
        last = net.shape[net.axis] - 1
        chosen = tuple((last,) if axis == net.axis else None for axis in range(len(net.shape)))
        net.emit("gather", [net.last], GatherParams(chosen))


def causal_network(seed: int, length: int, seen: int | None = None) -> tuple[Graph, int, bool, int]:
    """Make network number `seed` for sequences of `length` frames.

    Args:
        seed: number of the network.
        length: frames of the input.
        seen: frames that the last layer sees, if it sees all of them; all of this length's unless
            given.

    Returns:
        The network, the axis of time, whether it pads, and the frames that its last layer sees.
    """
    net = CausalNet(seed, length)
    for _ in range(int(net.rng.integers(1, 6))):
        before = len(net.nodes), net.last, dict(net.tensors)
        BLOCKS[int(net.rng.integers(0, len(BLOCKS)))](net)
        del before
    ending = net.shape[net.axis]
    _end(net, seen)
    if net.last == "x":
        conv(net)
    graph = Graph(f"causal{seed}", ("x",), (net.last,), (), net.tensors)
    return graph.with_nodes(net.nodes, net.tensors), net.axis, net.is_padded, ending


def random_sequence(graph: Graph, seed: int) -> Array:
    """Codes of one sequence, `(1, *shape)`, slowly changing and with all codes."""
    rng = np.random.default_rng(seed)
    return rng.integers(-128, 128, (1, *graph.tensors["x"].shape)).astype(np.int8)


__all__ = ["causal_network", "random_sequence", "replace"]

"""Random chains of layers with rows: what stages that are fused by rows are made of."""

from dataclasses import replace

import numpy as np

from edgecomp.ir import Array, DType, Graph, Node, OpParams, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.add import AddParams
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.expression import X, call
from edgecomp.ops.pool import AveragePoolParams, MaxPoolParams
from edgecomp.ops.reduce_mean import ReduceMeanParams
from edgecomp.ops.unary import UnaryParams
from edgecomp.quant.ranges import range_qparams
from tests.support.bundle import Model
from tests.support.cases import Bias, Weights, _bias, _weights, random_codes, real_value

SAMPLES = 4


class Chain:
    """Adds layers to a quantized graph; the ranges of codes follow from real samples."""

    def __init__(self, seed: int) -> None:
        """Begin with an input whose size the seed decides."""
        self.rng = np.random.default_rng(seed)
        shape = (1, self.pick(6, 7, 9, 12), self.pick(4, 5, 8), self.pick(1, 3, 4, 8))
        qparams = range_qparams(*self.pick((-1.0, 1.0), (0.0, 1.0)))
        self.tensors = {"x": Tensor("x", shape, DType.INT8, qparams)}
        self.nodes: list[Node] = []
        graph = self.graph("x")
        self.codes = random_codes(graph, self.rng, SAMPLES)
        self.real = {"x": qparams.dequantize(self.codes["x"])}

    def pick(self, *values):  # type: ignore[no-untyped-def]
        """One of the values."""
        return values[int(self.rng.integers(len(values)))]

    def graph(self, output: str, name: str = "chain") -> Graph:
        """The layers so far."""
        return Graph(name, ("x",), (output,), tuple(self.nodes), dict(self.tensors))

    def add(self, op: str, params: OpParams, *inputs: str) -> str:
        """Add a layer and return what it makes."""
        name = f"n{len(self.nodes)}"
        tensors = [self.tensors[n] for n in inputs]
        arrays: list[Array] = [real_value(t) if t.is_const else self.real[t.name] for t in tensors]
        real = OPS[op].float_ref(params, tensors, arrays)
        shape = OPS[op].infer(params, tensors)
        same = OPS[op].same_qparams
        qparams = tensors[0].qparams if same else range_qparams(real.min(), real.max())
        self.tensors[name] = Tensor(name, shape, DType.INT8, qparams)
        self.real[name] = real
        self.nodes.append(Node(name, op, inputs, name, params))
        return name

    def conv(self, x: str, channels: int, params: Conv2dParams) -> str:
        """Add a convolution with random weights."""
        inputs = self.tensors[x].shape[-1] // params.groups
        shape = (channels, params.kernel_h, params.kernel_w, inputs)
        w, b = f"w{len(self.nodes)}", f"b{len(self.nodes)}"
        self.tensors[w] = _weights(w, Weights(shape), self.rng)
        self.tensors[b] = _bias(b, Bias().magnitude, self.rng, [self.tensors[x], self.tensors[w]])
        return self.add("conv2d", params, x, w, b)

    def window(self, x: str) -> dict[str, int]:
        """A random window that fits what comes in."""
        _, height, width, _ = self.tensors[x].shape
        kernel_h = min(self.pick(1, 2, 3, 3, 3, 5), height)
        kernel_w = min(self.pick(1, 2, 3, 3, 3, 5), width)
        stride = self.pick(1, 1, 2) if height > 4 and width > 2 else 1
        return {
            "kernel_h": kernel_h,
            "kernel_w": kernel_w,
            "stride_h": stride,
            "stride_w": stride,
            "pad_top": self.pick(0, (kernel_h - 1) // 2, kernel_h - 1),
            "pad_bottom": self.pick(0, (kernel_h - 1) // 2, kernel_h - 1),
            "pad_left": self.pick(0, (kernel_w - 1) // 2),
            "pad_right": self.pick(0, (kernel_w - 1) // 2, kernel_w - 1),
        }

    def layer(self, x: str) -> str:
        """Add a random layer or a block with two branches."""
        channels = self.tensors[x].shape[-1]
        kind = self.pick("conv", "conv", "point", "depthwise", "depthwise", "unary", "pool", "skip")
        if kind == "point":
            return self.conv(x, self.pick(4, 8, 12), Conv2dParams(1, 1))
        if kind == "depthwise" and channels > 1:
            return self.conv(x, channels, Conv2dParams(**self.window(x), groups=channels))
        if kind == "unary":
            return self.add("unary", UnaryParams(call("tanh", X)), x)
        if kind == "pool" and min(self.tensors[x].shape[1:3]) >= 4:
            return self.add("max_pool", MaxPoolParams(2, 2, 2, 2), x)
        if kind == "skip":
            wide = Conv2dParams(3, 3, 1, 1, 1, 1, 1, 1, 1, 1)
            y = self.conv(self.conv(x, 8, wide), channels, wide)
            return self.add("add", AddParams(), x, y)
        return self.conv(x, self.pick(4, 8), Conv2dParams(**self.window(x)))


def chain_model(seed: int) -> Model:
    """A random chain with its samples, to be built with the least arena."""
    chain = Chain(seed)
    x = "x"
    for _ in range(int(chain.rng.integers(2, 7))):
        if min(chain.tensors[x].shape[1:3]) >= 2:
            x = chain.layer(x)
    _, height, width, _ = chain.tensors[x].shape
    end = chain.pick("none", "average", "mean")
    if end == "average":
        x = chain.add("average_pool", AveragePoolParams(height, width), x)
    if end == "mean":
        x = chain.add("reduce_mean", ReduceMeanParams((1, 2), chain.pick(True, False)), x)
    tensors = {**chain.tensors, x: replace(chain.tensors[x])}
    graph = chain.graph(x, f"chain{seed}").replace(tensors=tensors)
    return Model(f"chain{seed}", graph, chain.codes, goal="ram")

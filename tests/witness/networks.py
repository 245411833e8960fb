"""Small float networks, written down layer by layer."""

import math

import numpy as np

from edgecomp.ir import NO_CLAMP, Clamp, Graph, Node, OpParams, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.add import AddParams
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.dense import DenseParams
from edgecomp.ops.expression import X, call
from edgecomp.ops.movement import ConcatParams, PadParams, ReshapeParams
from edgecomp.ops.mul import MulParams
from edgecomp.ops.pool import AveragePoolParams, MaxPoolParams
from edgecomp.ops.softmax import SoftmaxParams
from edgecomp.ops.unary import UnaryParams

RELU = Clamp(0.0, math.inf)


class Network:
    """Builds a float graph; every method adds a layer and returns the name of its output."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.inputs: list[str] = []

    def input(self, *shape):
        name = f"in{len(self.inputs)}"
        self.tensors[name] = Tensor(name, (1, *shape))
        self.inputs.append(name)
        return name

    def const(self, data, hint="c"):
        name = f"{hint}{len(self.tensors)}"
        data = np.asarray(data, np.float32)
        self.tensors[name] = Tensor(name, data.shape, data=data)
        return name

    def node(self, op, params: OpParams, *inputs):
        name = f"{op}{len(self.nodes)}"
        shape = OPS[op].infer(params, [self.tensors[n] for n in inputs])
        self.tensors[name] = Tensor(name, shape)
        self.nodes.append(Node(name, op, tuple(inputs), name, params))
        return name

    def channels(self, name):
        return self.tensors[name].shape[-1]

    def conv(self, x, out, kernel=3, stride=1, pad=None, clamp=RELU, depthwise=False, bias=True):
        pad = kernel // 2 if pad is None else pad
        channels = self.channels(x)
        groups = channels if depthwise else 1
        fan = kernel * kernel * channels // groups
        rank = len(self.tensors[x].shape)
        kernel_h = kernel if rank == 4 else 1
        w = self.rng.normal(0, fan**-0.5, (out, kernel_h, kernel, channels // groups))
        inputs = [x, self.const(w, "w")]
        if bias:
            inputs.append(self.const(self.rng.normal(0, 0.1, out), "b"))
        pads = {"pad_left": pad, "pad_right": pad}
        if rank == 4:
            pads |= {"pad_top": pad, "pad_bottom": pad, "stride_h": stride}
        params = Conv2dParams(kernel_h, kernel, stride_w=stride, groups=groups, clamp=clamp, **pads)
        return self.node("conv2d", params, *inputs)

    def dense(self, x, out, clamp=NO_CLAMP):
        fan = self.channels(x)
        w = self.const(self.rng.normal(0, fan**-0.5, (out, fan)), "w")
        b = self.const(self.rng.normal(0, 0.1, out), "b")
        return self.node("dense", DenseParams(clamp), x, w, b)

    def add(self, a, b, clamp=RELU):
        return self.node("add", AddParams(clamp), a, b)

    def sub(self, a, b):
        return self.node("sub", AddParams(), a, b)

    def mul(self, a, b):
        return self.node("mul", MulParams(), a, b)

    def unary(self, x, *call_args):
        expr = call(call_args[0], X, *call_args[1:]) if call_args else X
        return self.node("unary", UnaryParams(expr), x)

    def max_pool(self, x, size=2):
        return self.node("max_pool", MaxPoolParams(size, size, size, size), x)

    def average_pool(self, x, size=2, pad=0):
        params = AveragePoolParams(
            size, size, size, size, pad_top=pad, pad_bottom=pad, pad_left=pad, pad_right=pad
        )
        return self.node("average_pool", params, x)

    def pad(self, x, value=0.0):
        return self.node("pad", PadParams((0, 1, 2, 0), (0, 1, 0, 0), value), x)

    def concat(self, *names):
        return self.node("concat", ConcatParams(len(self.tensors[names[0]].shape) - 1), *names)

    def flatten(self, x):
        return self.node("reshape", ReshapeParams((1, self.tensors[x].size)), x)

    def softmax(self, x):
        return self.node("softmax", SoftmaxParams(), x)

    def kill(self, output, channels, value=-1.0):
        """Give channels of a convolution's or dense layer's output weights next to nothing."""
        maker = next(node for node in self.nodes if node.output == output)
        weights, bias = (self.tensors[name].value for name in maker.inputs[1:])
        weights[channels] *= 1e-30
        bias[channels] = value

    def ignore(self, reader, channels):
        """Let a convolution or dense layer give no weight to channels of its input."""
        maker = next(node for node in self.nodes if node.output == reader)
        self.tensors[maker.inputs[1]].value[..., channels] = 0.0

    def graph(self, *outputs, name="net"):
        return Graph(name, tuple(self.inputs), outputs, tuple(self.nodes), self.tensors)


def samples_of(graph, count=32, seed=1):
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(0, 1, (count, *graph.tensors[name].shape)).astype(np.float32)
        for name in graph.inputs
    }


def random_codes(graph, count=16, seed=2):
    rng = np.random.default_rng(seed)
    codes = {}
    for name in graph.inputs:
        x = rng.integers(-128, 128, (count, *graph.tensors[name].shape)).astype(np.int8)
        x[0], x[1] = -128, 127
        codes[name] = x
    return codes

"""A small network made by hand, the same on every machine and in every version of every library."""

from collections.abc import Mapping

import numpy as np

from edgecomp.codegen.context import Provenance, model_context
from edgecomp.codegen.emit import application_headers, model_sources
from edgecomp.ir import Clamp, DType, Graph, Node, OpParams, QParams, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.add import AddParams
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.dense import DenseParams
from edgecomp.ops.expression import X, call
from edgecomp.ops.movement import ReshapeParams
from edgecomp.ops.pool import MaxPoolParams
from edgecomp.ops.softmax import SoftmaxParams
from edgecomp.ops.unary import UnaryParams
from edgecomp.plan.planner import plan_graph
from edgecomp.targets.cores import Core, get_core

INPUT = QParams.per_tensor(0.0078125, -1)
RELU = QParams.per_tensor(0.03125, -128)
LOGITS = QParams.per_tensor(0.0625, 3)
PROBABILITY = QParams.per_tensor(1 / 256, -128)


class SmallModel:
    """Adds layer after layer to a quantized graph."""

    def __init__(self) -> None:
        """Begin with one input, 6 x 6 x 2."""
        self.tensors = {"x": Tensor("x", (1, 6, 6, 2), DType.INT8, INPUT)}
        self.nodes: list[Node] = []
        self.state = 1

    def numbers(self, count: int, size: int) -> np.ndarray:
        """Integers in [-size, size] that look random (a linear congruence, not a library's)."""
        found = []
        for _ in range(count):
            self.state = (self.state * 1103515245 + 12345) % 2**31
            found.append((self.state >> 8) % (2 * size + 1) - size)
        return np.array(found)

    def layer(
        self,
        op: str,
        name: str,
        inputs: tuple[str, ...],
        params: OpParams,
        qparams: QParams | None = None,
    ) -> str:
        """Add a layer and return its output's name."""
        tensors = [self.tensors[n] for n in inputs]
        shape = OPS[op].infer(params, tensors)
        output = f"{name}:0"
        self.tensors[output] = Tensor(output, shape, DType.INT8, qparams or tensors[0].qparams)
        self.nodes.append(Node(name, op, inputs, output, params))
        return output

    def linear(
        self, op: str, name: str, x: str, shape: tuple[int, ...], params: OpParams, out: QParams
    ) -> str:
        """Add a layer with weights and a bias."""
        qparams = self.tensors[x].qparams
        assert qparams is not None
        scales = 0.002 + 0.001 * np.arange(shape[0])
        weights = self.numbers(int(np.prod(shape)), 127).reshape(shape).astype(np.int8)
        bias = self.numbers(shape[0], 2000).astype(np.int32)
        self.tensors[f"{name}.w"] = Tensor(
            f"{name}.w", shape, DType.INT8, QParams.per_channel(scales, 0), weights
        )
        self.tensors[f"{name}.b"] = Tensor(
            f"{name}.b", (shape[0],), DType.INT32,
            QParams.per_channel(scales * qparams.scalar, 0), bias,
        )  # fmt: skip
        return self.layer(op, name, (x, f"{name}.w", f"{name}.b"), params, out)

    def graph(self, name: str, *outputs: str) -> Graph:
        """Finish."""
        return Graph(
            name,
            ("x",),
            outputs,
            tuple(self.nodes),
            self.tensors,
            {},
            {"x": "image", outputs[0]: "y"},
        )


def small_graph(name: str = "small", *, odd_names: bool = False) -> Graph:
    """A convolution, a residual block, a table, a pool, a dense layer and a softmax."""
    odd = ' */ ??/ \\ "q" ü\n#error' if odd_names else ""
    model = SmallModel()
    same = {"kernel_h": 3, "kernel_w": 3, "pad_top": 1, "pad_bottom": 1, "pad_left": 1,
            "pad_right": 1}  # fmt: skip
    a = model.linear(
        "conv2d", f"conv{odd}", "x", (4, 3, 3, 2), Conv2dParams(**same, clamp=Clamp(0)), RELU
    )
    b = model.linear(
        "conv2d", f"depthwise{odd}", a, (4, 3, 3, 1), Conv2dParams(**same, groups=4), RELU
    )
    c = model.layer("add", f"residual{odd}", (a, b), AddParams(Clamp(0, 6)), RELU)
    d = model.layer(
        "max_pool",
        f"pool{odd}",
        (c,),
        MaxPoolParams(kernel_h=3, kernel_w=3, stride_h=3, stride_w=3),
    )
    e = model.layer("unary", f"swish{odd}", (d,), UnaryParams(call("hard_swish", X)), LOGITS)
    f = model.layer("reshape", f"flatten{odd}", (e,), ReshapeParams((1, 16)))
    g = model.linear("dense", f"classes{odd}", f, (3, 16), DenseParams(), LOGITS)
    h = model.layer("softmax", f"probabilities{odd}", (g,), SoftmaxParams(), PROBABILITY)
    return model.graph(name, h)


def generate(
    graph: Graph,
    core: Core | None = None,
    *,
    file: str = "small.onnx",
    keep_input: bool = False,
    forced: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Every file that is generated for a graph, by name; `forced` as for `plan_graph`."""
    plan = plan_graph(graph, core or get_core("cortex-m4f"), keep_input=keep_input, forced=forced)
    context = model_context(plan, Provenance(file, "0" * 64), {})
    sources = model_sources(context)
    return {**sources, **application_headers(context, sources)}

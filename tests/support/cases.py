"""The vocabulary of the operators' cases: what one layer looks like, and its samples."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from edgecomp.ir import Array, DType, Graph, Node, OpParams, QParams, Shape, Tensor
from edgecomp.ops import OPS
from edgecomp.quant.ranges import range_qparams

MADE_FOR_STREAMS = frozenset(
    name for name, op in OPS.items() if type(op).__module__.endswith((".history", ".running"))
)
"""Operators that no file has: `tests/streaming` compares what they compute with whole networks."""
SAMPLES = 24
"""The first is all -128, the second all 127, the third a mix of both; the rest are uniform."""


@dataclass(frozen=True)
class Act:
    """A computed operand whose codes cover the real range `[low, high]`.

    The range decides the zero point: (0, 1) gives -128, (-1, 0) gives 127, (-1, 1) gives 0.
    """

    shape: Shape
    low: float = -1.0
    high: float = 1.0


@dataclass(frozen=True)
class Again:
    """The same tensor as operand `index`."""

    index: int


@dataclass(frozen=True)
class Codes:
    """A constant operand, int8 with one scale."""

    shape: Shape
    low: float = -1.0
    high: float = 1.0


@dataclass(frozen=True)
class Rows:
    """A constant table of codes, whose scale is the output's as well."""

    shape: Shape


@dataclass(frozen=True)
class Weights:
    """Weights, output channel first, int8 with a scale per channel.

    Attributes:
        shape: OHWI or OI.
        magnitude: real size of the largest weight.
        pattern: `random` codes; `extreme`, only -127 and 127; `largest`, only 127; `dead`, random
            with every second channel 0; `blocks`, the last half of the channels sees nothing of the
            first row, every second quarter of them nothing of the first column.
        uneven: how far the channels' scales lie apart, as a factor.
    """

    shape: Shape
    magnitude: float = 0.3
    pattern: Literal["random", "extreme", "largest", "dead", "blocks"] = "random"
    uneven: float = 4.0


@dataclass(frozen=True)
class Bias:
    """A bias, int32 at `scale_in * scale_w[c]`, with real values within the magnitude."""

    magnitude: float = 0.5


@dataclass(frozen=True)
class Slopes:
    """Real slopes per channel (PReLU)."""

    values: tuple[float, ...]


Operand = Act | Again | Codes | Rows | Weights | Bias | Slopes


@dataclass(frozen=True)
class OpCase:
    """One layer to be computed four ways.

    Attributes:
        name: unique among the cases of its operator.
        op: key of `OPS`.
        params: the operator's parameters.
        inputs: its operands.
        out: real range of the output's codes; None takes the range that the samples give.
        numerics: the layer's arithmetic.
        few_codes: the output is known to have fewer than 10 codes.
    """

    name: str
    op: str
    params: OpParams
    inputs: tuple[Operand, ...]
    out: tuple[float, float] | None = None
    numerics: str = "edgecomp"
    few_codes: bool = False

    @property
    def id(self) -> str:
        """Name among all cases."""
        return f"{self.op}-{self.name}"

    @property
    def seed(self) -> int:
        """Seed of its weights and samples."""
        return zlib.crc32(self.id.encode())


def case_graph(case: OpCase) -> Graph:
    """Build the quantized graph of one layer."""
    rng = np.random.default_rng(case.seed)
    tensors: dict[str, Tensor] = {}
    names: list[str] = []
    for index, operand in enumerate(case.inputs):
        if isinstance(operand, Again):
            names.append(names[operand.index])
            continue
        name = f"t{index}"
        tensors[name] = _tensor(name, operand, rng, [tensors[n] for n in names])
        names.append(name)
    inputs = [tensors[name] for name in names]
    op = OPS[case.op]
    shape = op.infer(case.params, inputs)
    draft = Tensor("y", shape, DType.INT8)
    acts = tuple(dict.fromkeys(n for n in names if not tensors[n].is_const))
    graph = Graph(
        f"case_{case.op}",
        acts,
        ("y",),
        (Node("layer", case.op, tuple(names), "y", case.params, case.numerics),),
        {**tensors, "y": draft},
    )
    if op.same_qparams:
        qparams = tensors[acts[0]].qparams
        assert qparams is not None
    elif isinstance(case.inputs[-1], Rows):
        qparams = inputs[-1].qparams
        assert qparams is not None
    else:
        low, high = case.out or _range(real_outputs(graph, case_codes(case, graph))["y"])
        qparams = range_qparams(low, high)
    return graph.replace(tensors={**tensors, "y": replace(draft, qparams=qparams)})


def case_codes(case: OpCase, graph: Graph) -> dict[str, Array]:
    """Input codes `(SAMPLES, *shape)` of a case's graph."""
    return random_codes(graph, np.random.default_rng(case.seed + 1), SAMPLES)


def random_codes(graph: Graph, rng: np.random.Generator, samples: int) -> dict[str, Array]:
    """Input codes of any graph: extremes first, then uniform."""
    codes = {}
    for name in graph.inputs:
        tensor = graph.tensors[name]
        low, high = tensor.dtype.limits
        x = rng.integers(low, high + 1, (samples, *tensor.shape)).astype(tensor.dtype.numpy)
        x[0], x[1] = low, high
        x[2] = np.where(x[2] < 0, low, high)
        codes[name] = x
    return codes


def real_value(tensor: Tensor) -> Array:
    """Float64 elements of a constant, codes and reals alike."""
    if tensor.qparams is None:
        return tensor.value.astype(np.float64)
    return tensor.qparams.dequantize(tensor.value)


def real_outputs(graph: Graph, codes: dict[str, Array]) -> dict[str, Array]:
    """Compute a quantized graph's layers in float64 from the real values of codes and weights."""
    values: dict[str, Array] = {}
    for name in graph.inputs:
        qparams = graph.tensors[name].qparams
        assert qparams is not None
        values[name] = qparams.dequantize(codes[name])
    for node in graph.nodes:
        tensors = graph.node_inputs(node)
        arrays = [real_value(t) if t.is_const else values[t.name] for t in tensors]
        values[node.output] = OPS[node.op].float_ref(node.params, tensors, arrays)
    return values


def _range(values: Array) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 1.0, high + 1.0)


def _tensor(
    name: str, operand: Operand, rng: np.random.Generator, before: Sequence[Tensor]
) -> Tensor:
    match operand:
        case Act(shape, low, high):
            return Tensor(name, shape, DType.INT8, range_qparams(low, high))
        case Codes(shape, low, high):
            data = rng.integers(-128, 128, shape).astype(np.int8)
            return Tensor(name, shape, DType.INT8, range_qparams(low, high), data)
        case Rows(shape):
            data = rng.integers(-128, 128, shape).astype(np.int8)
            return Tensor(name, shape, DType.INT8, range_qparams(-1.0, 2.0), data)
        case Weights():
            return _weights(name, operand, rng)
        case Bias(magnitude):
            return _bias(name, magnitude, rng, before)
        case Slopes(values):
            return Tensor(name, (len(values),), data=np.asarray(values, np.float32))
    raise AssertionError(operand)


def _weights(name: str, spec: Weights, rng: np.random.Generator) -> Tensor:
    channels = spec.shape[0]
    data = rng.integers(-127, 128, spec.shape)
    if spec.pattern == "extreme":
        data = np.where(data < 0, -127, 127)
    elif spec.pattern == "largest":
        data = np.full(spec.shape, 127)
    elif spec.pattern == "dead":
        data[::2] = 0
    elif spec.pattern == "blocks":
        quarters = data.reshape(4, -1, *spec.shape[1:])
        quarters[2:, :, 0] = 0
        quarters[1::2, :, :, 0] = 0
    scales = spec.magnitude / 127 * spec.uneven ** rng.uniform(-1, 0, channels)
    qparams = QParams.per_channel(scales, 0)
    return Tensor(name, spec.shape, DType.INT8, qparams, data.astype(np.int8))


def _bias(
    name: str, magnitude: float, rng: np.random.Generator, before: Sequence[Tensor]
) -> Tensor:
    x, weights = before[0].qparams, before[1].qparams
    assert x is not None
    assert weights is not None
    qparams = QParams.per_channel(x.scalar * np.asarray(weights.scale), 0)
    real = rng.uniform(-magnitude, magnitude, len(weights.scale))
    data = qparams.quantize(real, -(2**31), 2**31 - 1).astype(np.int32)
    return Tensor(name, real.shape, DType.INT32, qparams, data)


def one_line_each(text: Iterable[str]) -> str:
    """Join lines for an assertion's message."""
    return "\n" + "\n".join(text)

"""Layers on which kernels are measured: those of well-known small networks, and odd ones between.

Only shapes matter, so weights are drawn from a normal distribution, as trained ones roughly are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgecomp.ir import DType, Graph, Node, OpParams, QParams, Shape, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.add import AddParams
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.dense import DenseParams
from edgecomp.ops.pool import AveragePoolParams, MaxPoolParams
from edgecomp.ops.softmax import SoftmaxParams
from edgecomp.tuning_blocks import CONVOLUTIONS, DEPTHWISE, POOLED, Convolution
from edgecomp.tuning_coded import SPREAD, coded, with_zero_blocks
from edgecomp.tuning_more import other_graphs
from edgecomp.tuning_recurrent import recurrent_graphs
from edgecomp.tuning_tables import table_graphs

_IN = QParams.per_tensor(0.02, -128)
_WEIGHT_SCALE = 0.01
_INPUT_SPREAD = 80.0
_OUTPUT_SPREAD = 40.0

_SAME = {"pad_top": 1, "pad_left": 1, "pad_bottom": 1, "pad_right": 1}
_LOWER = {"pad_bottom": 1, "pad_right": 1}
_TWICE = {"stride_h": 2, "stride_w": 2}
_KWS_FIRST = {"pad_top": 4, "pad_left": 1, "pad_bottom": 5, "pad_right": 1, **_TWICE}
_SIDES = {"pad_left": 1, "pad_right": 1}
_SIDE = {"pad_right": 1}

# Height, width and channels of the input, output channels, height and width of the window.
_CONVOLUTIONS: Sequence[Convolution] = (
    ((49, 10, 1), 64, (10, 4), _KWS_FIRST),
    ((25, 5, 64), 64, (1, 1), {}),
    ((32, 32, 3), 16, (3, 3), _SAME),
    ((32, 32, 16), 16, (3, 3), _SAME),
    ((32, 32, 16), 32, (3, 3), {**_LOWER, **_TWICE}),
    ((16, 16, 32), 32, (3, 3), _SAME),
    ((32, 32, 16), 32, (1, 1), _TWICE),
    ((16, 16, 32), 64, (3, 3), {**_LOWER, **_TWICE}),
    ((8, 8, 64), 64, (3, 3), _SAME),
    ((16, 16, 32), 64, (1, 1), _TWICE),
    ((96, 96, 3), 8, (3, 3), {**_LOWER, **_TWICE}),
    ((48, 48, 8), 16, (1, 1), {}),
    ((24, 24, 16), 32, (1, 1), {}),
    ((24, 24, 32), 32, (1, 1), {}),
    ((12, 12, 32), 64, (1, 1), {}),
    ((12, 12, 64), 64, (1, 1), {}),
    ((6, 6, 64), 128, (1, 1), {}),
    ((6, 6, 128), 128, (1, 1), {}),
    ((3, 3, 128), 256, (1, 1), {}),
    ((3, 3, 256), 256, (1, 1), {}),
    ((28, 28, 1), 8, (3, 3), _SAME),
    ((14, 14, 8), 16, (3, 3), _SAME),
    ((12, 12, 23), 37, (1, 1), {}),
    ((6, 6, 50), 21, (1, 1), {}),
    ((9, 11, 5), 7, (3, 3), _SAME),
    ((10, 10, 12), 20, (5, 5), {}),
    ((1, 64, 9), 16, (1, 5), {"pad_left": 2, "pad_right": 2}),
    # Rows, as stages that are fused by rows have them.
    ((10, 10, 1), 64, (10, 4), {**_SIDES, **_TWICE}),
    ((1, 5, 64), 64, (1, 1), {}),
    ((3, 32, 3), 16, (3, 3), _SIDES),
    ((3, 32, 16), 16, (3, 3), _SIDES),
    ((3, 32, 16), 32, (3, 3), {**_SIDE, **_TWICE}),
    ((3, 16, 32), 32, (3, 3), _SIDES),
    ((3, 16, 32), 64, (3, 3), {**_SIDE, **_TWICE}),
    ((3, 8, 64), 64, (3, 3), _SIDES),
    ((1, 32, 16), 32, (1, 1), _TWICE),
    ((1, 16, 32), 64, (1, 1), _TWICE),
    ((1, 48, 8), 16, (1, 1), {}),
    ((1, 24, 16), 32, (1, 1), {}),
)
# Height, width, channels; height and width of the window.
_DEPTHWISE: Sequence[tuple[tuple[int, int, int], tuple[int, int], Mapping[str, Any]]] = (
    ((25, 5, 64), (3, 3), _SAME),
    ((48, 48, 8), (3, 3), _SAME),
    ((48, 48, 16), (3, 3), {**_LOWER, **_TWICE}),
    ((24, 24, 32), (3, 3), _SAME),
    ((24, 24, 32), (3, 3), {**_LOWER, **_TWICE}),
    ((12, 12, 64), (3, 3), _SAME),
    ((12, 12, 64), (3, 3), {**_LOWER, **_TWICE}),
    ((6, 6, 128), (3, 3), _SAME),
    ((6, 6, 128), (3, 3), {**_LOWER, **_TWICE}),
    ((3, 3, 256), (3, 3), _SAME),
    ((12, 12, 23), (3, 3), _SAME),
    ((7, 9, 13), (5, 5), {}),
    ((1, 50, 24), (1, 9), {}),
    ((3, 5, 64), (3, 3), _SIDES),
    ((3, 48, 8), (3, 3), _SIDES),
    ((3, 48, 16), (3, 3), {**_SIDE, **_TWICE}),
    ((3, 24, 32), (3, 3), _SIDES),
)
# Bands of two or four rows, as other such stages have them: as above.
_BANDS: Sequence[Convolution] = (
    ((4, 32, 3), 16, (3, 3), _SIDES),
    ((6, 32, 3), 16, (3, 3), _SIDES),
    ((4, 32, 16), 16, (3, 3), _SIDES),
    ((6, 32, 16), 16, (3, 3), _SIDES),
    ((4, 16, 32), 32, (3, 3), _SIDES),
    ((6, 16, 32), 32, (3, 3), _SIDES),
    ((4, 8, 64), 64, (3, 3), _SIDES),
    ((5, 32, 16), 32, (3, 3), {**_SIDE, **_TWICE}),
    ((9, 32, 16), 32, (3, 3), {**_SIDE, **_TWICE}),
    ((5, 16, 32), 64, (3, 3), {**_SIDE, **_TWICE}),
    ((3, 32, 16), 32, (1, 1), _TWICE),
    ((5, 96, 3), 8, (3, 3), {**_SIDE, **_TWICE}),
    ((9, 96, 3), 8, (3, 3), {**_SIDE, **_TWICE}),
    ((2, 48, 8), 16, (1, 1), {}),
    ((4, 48, 8), 16, (1, 1), {}),
    ((2, 24, 16), 32, (1, 1), {}),
    ((2, 24, 32), 32, (1, 1), {}),
    ((2, 12, 64), 64, (1, 1), {}),
    ((4, 28, 1), 8, (3, 3), _SIDES),
    ((6, 28, 1), 8, (3, 3), _SIDES),
    ((4, 14, 8), 16, (3, 3), _SIDES),
    ((6, 14, 8), 16, (3, 3), _SIDES),
    ((6, 20, 12), 20, (5, 5), {}),
)
_DEPTHWISE_BANDS: Sequence[tuple[tuple[int, int, int], Mapping[str, Any]]] = (
    ((4, 48, 8), _SIDES),
    ((6, 48, 8), _SIDES),
    ((5, 48, 16), {**_SIDE, **_TWICE}),
    ((4, 24, 32), _SIDES),
    ((5, 24, 32), {**_SIDE, **_TWICE}),
    ((4, 12, 64), _SIDES),
)
# Height and width, channels of input and output: 3x3 on small maps, one of which no tile fills.
_SMALL_MAPS = ((14, 12), (8, 44))
# Height and width, and channels: depthwise 3x3 on small maps, channels as pruning leaves them.
_SMALL_DEPTHWISE = ((6, 50), (6, 101), (3, 37), (3, 74))
_DENSE = ((640, 128), (128, 128), (128, 8), (8, 128), (128, 640), (64, 12), (784, 100), (99, 31))
_MAPS = ((32, 32, 16), (16, 16, 32), (8, 8, 64), (7, 5, 13))
_GLOBAL = ((25, 5, 64), (8, 8, 64), (3, 3, 256), (7, 5, 13))


# Layers with coded weights: as above, or inputs and outputs of a dense layer.
_CODED_CONVOLUTIONS: Sequence[Convolution] = (
    ((12, 12, 20), 50, (5, 5), {}),
    ((16, 16, 16), 32, (3, 3), _SAME),
    ((8, 8, 64), 64, (3, 3), _SAME),
    ((28, 28, 1), 20, (5, 5), {}),
    ((12, 12, 32), 64, (1, 1), {}),
    ((6, 6, 128), 128, (1, 1), {}),
    ((3, 3, 256), 64, (1, 1), {}),
)
_CODED_DEPTHWISE = ((12, 12, 32), (6, 6, 128), (3, 3, 256))
_CODED_DENSE = ((784, 100), (300, 100), (128, 128), (800, 60), (64, 12))


def tuning_graphs() -> Iterator[Graph]:
    """Yield one-layer networks; the same ones at every call."""
    yield from plain_graphs()
    yield from coded_graphs()
    yield from sparse_graphs()
    yield from other_graphs()
    yield from recurrent_graphs()
    yield from table_graphs()
    yield from block_graphs()


def coded_graphs() -> Iterator[Graph]:
    """Yield those whose weights are coded."""
    rng = np.random.default_rng(1)
    for plain in _before_coding(rng):
        yield from coded(plain, rng)


def sparse_graphs() -> Iterator[Graph]:
    """Yield those whose zero weights come in blocks of four."""
    rng = np.random.default_rng(2)
    for plain in _before_coding(rng):
        yield from with_zero_blocks(plain, rng)


def _before_coding(rng: np.random.Generator) -> Iterator[Graph]:
    """The layers whose weights are to be coded, with plain ones."""
    yield from _convolutions(_CODED_CONVOLUTIONS, rng)
    for shape in _CODED_DEPTHWISE:
        yield _depthwise(shape, (3, 3), _SAME, rng)
    for inputs, outputs in _CODED_DENSE:
        yield _linear("dense", DenseParams(), (1, inputs), (outputs, inputs), rng)


def _convolutions(listed: Sequence[Convolution], rng: np.random.Generator) -> Iterator[Graph]:
    """A layer for each entry."""
    for shape, channels, (kernel_h, kernel_w), more in listed:
        params = Conv2dParams(kernel_h=kernel_h, kernel_w=kernel_w, **more)
        weights = (channels, kernel_h, kernel_w, shape[2])
        yield _linear("conv2d", params, (1, *shape), weights, rng)


def _depthwise(
    shape: tuple[int, int, int],
    window: tuple[int, int],
    more: Mapping[str, Any],
    rng: np.random.Generator,
) -> Graph:
    """A depthwise layer without multiplier."""
    kernel_h, kernel_w = window
    params = Conv2dParams(kernel_h=kernel_h, kernel_w=kernel_w, groups=shape[2], **more)
    return _linear("conv2d", params, (1, *shape), (shape[2], kernel_h, kernel_w, 1), rng)


def plain_graphs() -> Iterator[Graph]:
    """Yield those whose weights are plain int8."""
    rng = np.random.default_rng(0)
    yield from _convolutions(_CONVOLUTIONS, rng)
    for shape, window, more in _DEPTHWISE:
        yield _depthwise(shape, window, more, rng)
    for inputs, outputs in _DENSE:
        yield _linear("dense", DenseParams(), (1, inputs), (outputs, inputs), rng)
    for shape in _MAPS:
        yield _simple("add", AddParams(), ((1, *shape), (1, *shape)))
        halves: dict[str, Any] = {"kernel_h": 2, "kernel_w": 2, **_TWICE}
        yield _simple("max_pool", MaxPoolParams(**halves), ((1, *shape),))
        yield _simple("average_pool", AveragePoolParams(**halves), ((1, *shape),))
    for shape in _GLOBAL:
        whole = AveragePoolParams(kernel_h=shape[0], kernel_w=shape[1])
        yield _simple("average_pool", whole, ((1, *shape),))
    for classes in (10, 12, 100):
        yield _simple("softmax", SoftmaxParams(), ((1, classes),))
    small = [((size, size, channels), channels, (3, 3), _SAME) for size, channels in _SMALL_MAPS]
    yield from _convolutions(small, rng)
    yield from band_graphs()


def band_graphs() -> Iterator[Graph]:
    """Yield layers cut to bands of rows, and depthwise ones on small maps."""
    rng = np.random.default_rng(3)
    yield from _convolutions(_BANDS, rng)
    for shape, more in _DEPTHWISE_BANDS:
        yield _depthwise(shape, (3, 3), more, rng)
    for size, channels in _SMALL_DEPTHWISE:
        yield _depthwise((size, size, channels), (3, 3), _SAME, rng)


def block_graphs() -> Iterator[Graph]:
    """Yield layers of the blocks that other networks are made of."""
    rng = np.random.default_rng(4)
    yield from _convolutions(CONVOLUTIONS, rng)
    for shape, size, more in DEPTHWISE:
        yield _depthwise(shape, (size, size), more, rng)
    for shape in POOLED:
        pool = MaxPoolParams(kernel_h=2, kernel_w=2, **_TWICE)
        yield _simple("max_pool", pool, ((1, *shape),))


def _activation(name: str, shape: Shape, qparams: QParams = _IN) -> Tensor:
    return Tensor(name, shape, DType.INT8, qparams=qparams)


def _finish(op: str, params: OpParams, inputs: Sequence[Tensor], out: QParams) -> Graph:
    shape = OPS[op].infer(params, inputs)
    tensors = {tensor.name: tensor for tensor in (*inputs, _activation("y", shape, out))}
    names = tuple(tensor.name for tensor in inputs)
    computed = tuple(tensor.name for tensor in inputs if not tensor.is_const)
    return Graph(op, computed, ("y",), (Node("layer", op, names, "y", params),), tensors)


def _simple(op: str, params: OpParams, shapes: Sequence[Shape]) -> Graph:
    """A layer without weights."""
    inputs = [_activation(f"x{index}", shape) for index, shape in enumerate(shapes)]
    if op == "softmax":
        inputs = [replace(tensor, qparams=QParams.per_tensor(0.1, 0)) for tensor in inputs]
        return _finish(op, params, inputs, QParams.per_tensor(1 / 256, -128))
    scale = 0.03 if op == "add" else 0.02
    return _finish(op, params, inputs, QParams.per_tensor(scale, -128))


def _linear(
    op: str, params: OpParams, shape: Shape, weights_shape: Shape, rng: np.random.Generator
) -> Graph:
    """A layer with random weights and a scale that spreads its outputs."""
    codes = np.rint(rng.normal(0, SPREAD, weights_shape)).clip(-127, 127).astype(np.int8)
    channels, terms = weights_shape[0], int(np.prod(weights_shape[1:]))
    spread = SPREAD * _INPUT_SPREAD * np.sqrt(terms)
    bias = np.rint(rng.normal(0, spread / 4, channels)).astype(np.int32)
    accumulator_scale = _IN.scalar * _WEIGHT_SCALE
    per_channel = QParams.per_channel(np.full(channels, _WEIGHT_SCALE), 0)
    inputs = [
        _activation("x", shape),
        Tensor("weights", weights_shape, DType.INT8, per_channel, codes),
        Tensor(
            "bias",
            (channels,),
            DType.INT32,
            QParams.per_channel(np.full(channels, accumulator_scale), 0),
            bias,
        ),
    ]
    out = QParams.per_tensor(accumulator_scale * spread / _OUTPUT_SPREAD, 0)
    return _finish(op, params, inputs, out)

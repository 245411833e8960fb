"""Layers with int16 activations: their constants, and what the device must compute with these.

Each operator has a pair of functions: `prepare(node, inputs, output)` and
`compute(node, constants, inputs, arrays)`.  Operators that only move codes compute as ever.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgecomp.errors import UnsupportedError
from edgecomp.fixedpoint import IntArray, round_half_up
from edgecomp.ir import NO_CLAMP, Array, Node, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.base import as_nhwc, exact_matmul
from edgecomp.ops.conv2d import convolve
from edgecomp.ops.expression import evaluate
from edgecomp.ops.pool import AveragePool
from edgecomp.requant.int16 import (
    HIGH,
    LOW,
    Factor,
    codes_of,
    linear_factor,
    multiplier_of,
    saturate,
)

TABLE_BITS = 7
"""A function's table has an entry for every 128th code; between two it is a straight line."""
MOST_AWAY = 64.0
"""Root mean square, in codes: about what the rounding of int8 codes makes."""
EXPONENT_BITS = 30
PROBABILITY_BITS = 15

Prepare = Callable[[Node, Sequence[Tensor], Tensor], Any]
Compute = Callable[[Node, Any, Sequence[Tensor], Sequence[Array]], Array]


def _scale(tensor: Tensor) -> float:
    assert tensor.qparams is not None
    return tensor.qparams.scalar


def _linear(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Any:
    return linear_factor(inputs, output, node.params.clamp)  # type: ignore[attr-defined]


def _conv2d(node: Node, k: Any, inputs: Sequence[Tensor], arrays: Sequence[Array]) -> Array:
    params: Any = node.params
    x = arrays[0].reshape(-1, *as_nhwc(inputs[0].shape)[1:])
    acc = convolve(
        params,
        params.pad(x, 0),
        arrays[1],
        lambda a, b: exact_matmul(a, b, k.magnitude),
        k.magnitude,
    )
    shape = OPS["conv2d"].infer(params, inputs)
    return np.asarray(k.finish(acc.reshape(-1, *shape) + k.bias))


def _dense(node: Node, k: Any, inputs: Sequence[Tensor], arrays: Sequence[Array]) -> Array:
    acc = exact_matmul(arrays[0], arrays[1].T, k.magnitude)
    return np.asarray(k.finish(acc + k.bias))


@dataclass(frozen=True)
class SumConstants:
    """`code = clamp((multiplier_a * a + multiplier_b * b + 2^(shift - 1)) >> shift)`."""

    arithmetic: ClassVar[str] = "int16"

    multiplier_a: int
    multiplier_b: int
    shift: int
    low: int
    high: int


def _add(node: Node, inputs: Sequence[Tensor], output: Tensor) -> SumConstants:
    params: Any = node.params
    ratios = [_scale(tensor) / _scale(output) for tensor in inputs]
    _, shift = multiplier_of(max(ratios), 30)
    a, b = (int(np.rint(np.ldexp(ratio, shift))) for ratio in ratios)
    sign = -1 if node.op == "sub" else 1
    return SumConstants(a, sign * b, shift, *codes_of(params.clamp, output))


def _added(node: Node, k: SumConstants, inputs: Sequence[Tensor], arrays: Sequence[Array]) -> Array:
    a, b = (array.astype(np.int64) for array in arrays)
    total = k.multiplier_a * a + k.multiplier_b * b + (1 << (k.shift - 1))
    return saturate(total >> k.shift, k.low, k.high)


def _mul(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Factor:
    params: Any = node.params
    return Factor.of([_scale(inputs[0]) * _scale(inputs[1]) / _scale(output)], output, params.clamp)


def _multiplied(node: Node, k: Factor, inputs: Sequence[Tensor], arrays: Sequence[Array]) -> Array:
    return k.finish(arrays[0].astype(np.int64) * arrays[1].astype(np.int64))


def _average(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Factor:
    """One factor for each count of taps; that of 0 is not used."""
    params: Any = node.params
    ratio = _scale(inputs[0]) / _scale(output)
    counts = [1, *range(1, params.kernel_h * params.kernel_w + 1)]
    return Factor.of([ratio / count for count in counts], output, params.clamp)


def _averaged(node: Node, k: Factor, inputs: Sequence[Tensor], arrays: Sequence[Array]) -> Array:
    params: Any = node.params
    x = arrays[0].reshape(-1, *as_nhwc(inputs[0].shape)[1:]).astype(np.int64)
    total = params.taps(params.pad(x, 0)).sum(axis=(3, 4))
    divisors = AveragePool().divisors(params, inputs[0])[:, :, None]
    chosen = Factor(k.multiplier[divisors], k.shift[divisors], k.low, k.high)
    return chosen.finish(total).reshape(-1, *OPS["average_pool"].infer(params, inputs))


def _mean(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Factor:
    params: Any = node.params
    count = math.prod(inputs[0].shape[axis] for axis in params.axes)
    return Factor.of([_scale(inputs[0]) / _scale(output) / count], output, params.clamp)


def _averaged_axes(
    node: Node, k: Factor, inputs: Sequence[Tensor], arrays: Sequence[Array]
) -> Array:
    params: Any = node.params
    axes = tuple(axis + 1 for axis in params.axes)
    return k.finish(arrays[0].sum(axis=axes, keepdims=params.keepdims, dtype=np.int64))


def _nothing(node: Node, inputs: Sequence[Tensor], output: Tensor) -> None:
    """Codes are only chosen among."""


def _largest(node: Node, k: None, inputs: Sequence[Tensor], arrays: Sequence[Array]) -> Array:
    params: Any = node.params
    x = arrays[0].reshape(-1, *as_nhwc(inputs[0].shape)[1:])
    windows = params.taps(params.pad(x, LOW))
    shape = OPS["max_pool"].infer(params, inputs)
    return np.asarray(windows.max(axis=(3, 4)).reshape(-1, *shape))


def _table(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Array:
    """The function at every 128th code, from the lowest to one beyond the highest: 513 codes.

    Raises:
        UnsupportedError: straight lines between these are too far from the function.
    """
    codes = np.arange(LOW, HIGH + 2)
    params: Any = node.params
    y = np.broadcast_to(evaluate(params.expr, codes * _scale(inputs[0])), codes.shape)
    y = np.nan_to_num(y / _scale(output), nan=0.0, posinf=1e6, neginf=-1e6)
    exact = saturate(round_half_up(np.clip(y, -1e6, 1e6)))
    table = exact[:: 1 << TABLE_BITS]
    lines = _interpolated(table, codes[:-1])
    away = float(np.sqrt(np.mean((lines - exact[:-1].astype(np.float64)) ** 2)))
    if away > MOST_AWAY:
        raise UnsupportedError(
            node.op,
            node.name,
            f"{params.text} has steps or poles: lines through every 128th int16 code are "
            f"{away:.0f} codes away from it",
            "build with int8 activations",
        )
    return table


def _interpolated(table: Array, codes: Array) -> Array:
    """Codes on the straight lines of a table."""
    place = codes.astype(np.int64) - LOW
    index, rest = place >> TABLE_BITS, place & ((1 << TABLE_BITS) - 1)
    first, second = table[index].astype(np.int64), table[index + 1].astype(np.int64)
    return saturate(first + (((second - first) * rest + (1 << (TABLE_BITS - 1))) >> TABLE_BITS))


def _looked_up(node: Node, k: Array, inputs: Sequence[Tensor], arrays: Sequence[Array]) -> Array:
    return _interpolated(k, arrays[0])


@dataclass(frozen=True)
class SoftmaxConstants:
    """`code = min((e << 15 + total // 2) // total, 32767)`, `e` by two tables of the distance.

    Attributes:
        coarse: `rint(2^30 * exp(-scale * 256 * i))`.
        fine: `rint(2^30 * exp(-scale * i))`.
    """

    arithmetic: ClassVar[str] = "int16"

    coarse: IntArray
    fine: IntArray


def _softmax(node: Node, inputs: Sequence[Tensor], output: Tensor) -> SoftmaxConstants:
    if _scale(output) != 2.0**-PROBABILITY_BITS:
        raise UnsupportedError(
            node.op, node.name, "int16 softmax has the scale 1/32768", "let calibration choose it"
        )
    steps = -_scale(inputs[0]) * np.arange(256)
    coarse, fine = (round_half_up(np.exp(k * steps) * 2.0**EXPONENT_BITS) for k in (256, 1))
    return SoftmaxConstants(coarse, fine)


def _shares(
    node: Node, k: SoftmaxConstants, inputs: Sequence[Tensor], arrays: Sequence[Array]
) -> Array:
    x = arrays[0].astype(np.int64)
    distance = x.max(axis=-1, keepdims=True) - x
    product = k.coarse[distance >> 8] * k.fine[distance & 255]
    part = (product + (1 << (EXPONENT_BITS - 1))) >> EXPONENT_BITS
    total = part.sum(axis=-1, keepdims=True)
    return saturate(((part << PROBABILITY_BITS) + total // 2) // total)


def _border(node: Node, inputs: Sequence[Tensor], output: Tensor) -> None:
    """A border of zeros needs nothing."""
    if node.params.value:  # type: ignore[attr-defined]
        raise UnsupportedError(
            node.op, node.name, "int16 borders are 0", "build with int8 activations"
        )


def _moved(node: Node, k: None, inputs: Sequence[Tensor], arrays: Sequence[Array]) -> Array:
    return OPS[node.op].int_ref(node.params, None, inputs, arrays)


def _rows(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Any:
    return OPS[node.op].prepare(node.params, inputs, output)


def _looked_up_rows(node: Node, k: Any, inputs: Sequence[Tensor], arrays: Sequence[Array]) -> Array:
    return OPS[node.op].int_ref(node.params, k, inputs, arrays)


def _index(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Factor:
    return Factor.of([1.0 / _scale(output)], output, NO_CLAMP)


def _found(node: Node, k: Factor, inputs: Sequence[Tensor], arrays: Sequence[Array]) -> Array:
    codes = [array.astype(np.int64) for array in arrays]
    return k.finish(OPS[node.op].float_ref(node.params, inputs, codes))


LAYERS: Mapping[str, tuple[Prepare, Compute]] = {
    "conv2d": (_linear, _conv2d),
    "dense": (_linear, _dense),
    "add": (_add, _added),
    "sub": (_add, _added),
    "mul": (_mul, _multiplied),
    "average_pool": (_average, _averaged),
    "max_pool": (_nothing, _largest),
    "reduce_mean": (_mean, _averaged_axes),
    "reduce_max": (_nothing, _moved),
    "reduce_min": (_nothing, _moved),
    "argmax": (_index, _found),
    "top_values": (_nothing, _moved),
    "top_indices": (_index, _found),
    "unary": (_table, _looked_up),
    "softmax": (_softmax, _shares),
    "pad": (_border, _moved),
    "reshape": (_nothing, _moved),
    "transpose": (_nothing, _moved),
    "concat": (_nothing, _moved),
    "gather": (_nothing, _moved),
    "embedding": (_rows, _looked_up_rows),
}
"""Operators that int16 activations may pass."""


def int16_constants(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Any:
    """Make the constants of a layer.

    Raises:
        UnsupportedError: the operator has no int16 form.
    """
    if node.op not in LAYERS:
        raise UnsupportedError(
            node.op,
            node.name,
            f"int16 activations pass {', '.join(LAYERS)} only",
            "build with int8 activations",
        )
    return LAYERS[node.op][0](node, inputs, output)


def int16_codes(
    node: Node, prepared: Any, inputs: Sequence[Tensor], arrays: Sequence[Array]
) -> Array:
    """Compute a layer's codes `(samples, *shape)`, int16, exactly."""
    return LAYERS[node.op][1](node, prepared, inputs, arrays)

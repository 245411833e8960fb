"""Layers that compute in float32 between int8 codes, because the user asked for it.

IEEE 754 single precision, rounded to nearest after every operation, in one order that is written
down here (docs/numerics.md, "Float32 layers"): so numpy, a C compiler of the host, soft-float cores
and FPUs give the same bits, as long as no multiplication is fused with an addition.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from edgecomp.errors import InternalError, UnsupportedError
from edgecomp.ir import Array, Clamp, DType, Node, QParams, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.base import as_nhwc
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.requant.float32_math import logarithm, reciprocal_root, round_to_nearest

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Coded:
    """How codes of one activation become real numbers: `scale * (q - zero_point)`."""

    scale: np.float32
    zero_point: int

    def real(self, codes: Array) -> Float32:
        """Real values: the difference is exact, the product rounded."""
        return self.centred(codes) * self.scale

    def centred(self, codes: Array) -> Float32:
        """Codes about the zero point, exact."""
        return (codes.astype(np.int32) - self.zero_point).astype(np.float32)


@dataclass(frozen=True)
class Float32Constants:
    """What a layer needs beside its real constants.

    Attributes:
        operands: how each input is coded; None for a constant, which is float32.
        inverse: 1 / scale of the output, rounded.
        zero_point: of the output.
        low: smallest output code (the fused activation).
        high: largest output code.
        table: of softmax and its logarithm: `exp(-scale * distance)` by distance from the
            largest code; else empty.
    """

    arithmetic: ClassVar[str] = "float32"

    operands: tuple[Coded | None, ...]
    inverse: np.float32
    zero_point: int
    low: int
    high: int
    table: Float32

    @property
    def least(self) -> int:
        """`low` counted from the zero point."""
        return self.low - self.zero_point

    @property
    def most(self) -> int:
        """`high` counted from the zero point."""
        return self.high - self.zero_point

    def codes(self, y: Float32) -> Array:
        """Output codes: nearest, ties to even, clamped; NaN gives the smallest."""
        with np.errstate(all="ignore"):
            scaled = y * self.inverse
        least, most = np.float32(self.least), np.float32(self.most)
        clamped = np.where(scaled > least, scaled, least)
        clamped = np.where(clamped < most, clamped, most)
        return np.asarray(round_to_nearest(clamped).astype(np.int32) + self.zero_point, np.int8)


def float32_constants(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Float32Constants:
    """Return the constants of a float32 layer.

    Args:
        node: the layer.
        inputs: int8 activations and float32 constants.
        output: its int8 output.

    Raises:
        UnsupportedError: an activation has codes of another width.
    """
    if node.op not in FLOAT32_OPS:
        raise InternalError(f"layer {node.name!r}: there is no float32 {node.op}")
    for tensor in (*inputs, output):
        if not tensor.is_const and tensor.dtype is not DType.INT8:
            raise UnsupportedError(
                node.op,
                node.name,
                f"{tensor.name!r} has {tensor.dtype.value} codes; float32 layers read int8",
                "leave it out of --float",
            )
    out = _qparams(output)
    clamp: Clamp = getattr(node.params, "clamp", Clamp())
    low, high = clamp.codes(out)
    operands = tuple(
        None if x.is_const else Coded(np.float32(_qparams(x).scalar), _qparams(x).zero_point)
        for x in inputs
    )
    distance = np.arange(256.0)
    table = np.zeros(0, np.float32)
    if node.op in {"softmax", "log_softmax"}:
        table = np.exp(-_qparams(inputs[0]).scalar * distance).astype(np.float32)
    inverse = np.float32(1 / np.float64(out.scalar))
    return Float32Constants(operands, inverse, out.zero_point, low, high, table)


def float32_codes(
    node: Node, prepared: Float32Constants, inputs: Sequence[Tensor], arrays: Sequence[Array]
) -> Array:
    """Compute output codes `(samples, *shape)` of a float32 layer, bit for bit as the device."""
    with np.errstate(all="ignore"):
        y = FLOAT32_OPS[node.op](node, prepared, inputs, arrays)
    return prepared.codes(y)


def _qparams(tensor: Tensor) -> QParams:
    assert tensor.qparams is not None
    return tensor.qparams


def _first(prepared: Float32Constants) -> Coded:
    coded = prepared.operands[0]
    assert coded is not None
    return coded


def _conv2d(
    node: Node, k: Float32Constants, inputs: Sequence[Tensor], arrays: Sequence[Array]
) -> Float32:
    """Sum over rows, columns and channels of the window, each product rounded, then the sum."""
    params = node.params
    assert isinstance(params, Conv2dParams)
    _, height, width, channels = as_nhwc(inputs[0].shape)
    x = _first(k).centred(arrays[0]).reshape(-1, height, width, channels)
    taps = params.taps(params.pad(x, 0.0))
    weights = arrays[1]
    out_channels, kernel_h, kernel_w, group_in = weights.shape
    group = np.arange(out_channels) // (out_channels // params.groups) * group_in
    acc = np.zeros((*taps.shape[:3], out_channels), np.float32)
    for tap_h in range(kernel_h):
        for tap_w in range(kernel_w):
            for i in range(group_in):
                acc += taps[:, :, :, tap_h, tap_w, group + i] * weights[:, tap_h, tap_w, i]
    return _finish_sum(k, acc, arrays).reshape(len(arrays[0]), *OPS["conv2d"].infer(params, inputs))


def _dense(
    node: Node, k: Float32Constants, inputs: Sequence[Tensor], arrays: Sequence[Array]
) -> Float32:
    """Sum over inputs in order, each product rounded, then the sum."""
    x, weights = _first(k).centred(arrays[0]), arrays[1]
    acc = np.zeros((*x.shape[:-1], len(weights)), np.float32)
    for i in range(weights.shape[1]):
        acc += x[..., i : i + 1] * weights[:, i]
    return _finish_sum(k, acc, arrays)


def _finish_sum(k: Float32Constants, acc: Float32, arrays: Sequence[Array]) -> Float32:
    y = acc * _first(k).scale
    return np.asarray(y + arrays[2] if len(arrays) > 2 else y, np.float32)


def _binary(function: Callable[..., Any]) -> "Reference":
    def reference(
        node: Node, k: Float32Constants, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Float32:
        a, b = (
            array if coded is None else coded.real(array)
            for coded, array in zip(k.operands, arrays, strict=True)
        )
        return np.asarray(function(a, b), np.float32)

    return reference


def _distances(k: Float32Constants, codes: Array) -> tuple[Array, Float32]:
    """Distance of each code from its row's largest, and the rows' sums of exponentials."""
    x = codes.astype(np.int32)
    distance = x.max(axis=-1, keepdims=True) - x
    return distance, ordered_sum(k.table[distance])


def _softmax(
    node: Node, k: Float32Constants, inputs: Sequence[Tensor], arrays: Sequence[Array]
) -> Float32:
    distance, total = _distances(k, arrays[0])
    return np.asarray(k.table[distance] / total, np.float32)


def _log_softmax(
    node: Node, k: Float32Constants, inputs: Sequence[Tensor], arrays: Sequence[Array]
) -> Float32:
    distance, total = _distances(k, arrays[0])
    return np.asarray(-distance.astype(np.float32) * _first(k).scale - logarithm(total), np.float32)


def _layer_norm(
    node: Node, k: Float32Constants, inputs: Sequence[Tensor], arrays: Sequence[Array]
) -> Float32:
    """Mean, mean square of the differences, one reciprocal root per row."""
    params: Any = node.params
    x = _first(k).real(arrays[0])
    share = np.float32(1 / x.shape[-1])
    if params.centered:
        x = x - ordered_sum(x) * share
    variance = ordered_sum(x * x) * share + np.float32(params.epsilon)
    channel = OPS["layer_norm"].channels(params, inputs)  # type: ignore[attr-defined]
    gain, offset = (array.astype(np.float32)[channel] for array in arrays[1:])
    return np.asarray(x * reciprocal_root(variance) * gain + offset, np.float32)


def ordered_sum(x: Float32) -> Float32:
    """Sums along the last axis, kept, from the first element to the last."""
    return np.asarray(np.add.accumulate(x, axis=-1, dtype=np.float32)[..., -1:], np.float32)


Reference = Callable[[Node, Float32Constants, Sequence[Tensor], Sequence[Array]], Float32]

FLOAT32_OPS: dict[str, Reference] = {
    "conv2d": _conv2d,
    "dense": _dense,
    "add": _binary(np.add),
    "sub": _binary(np.subtract),
    "mul": _binary(np.multiply),
    "div": _binary(np.divide),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "layer_norm": _layer_norm,
}
"""Operators that can be computed in float32: real outputs from codes and real constants."""

"""Values of the intermediate representation: dtypes, quantization parameters, tensors, nodes.

All are frozen; a pass builds new ones.  Every tensor keeps its full shape, the batch of 1
included.  Spatial tensors lie as NHWC (or NWC, where H is 1), convolution weights as OHWI, dense
weights as OI.
"""

import math
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

Shape = tuple[int, ...]
Array = npt.NDArray[Any]


class DType(Enum):
    """Element type of a tensor; the value is its numpy name, `int4` being stored as int8.

    `float64` is for biases that a quantized file had as integers: they must come back exactly.
    """

    FLOAT32 = "float32"
    FLOAT64 = "float64"
    INT4 = "int4"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    BOOL = "bool"

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy dtype that holds such elements on the host."""
        return np.dtype("int8" if self is DType.INT4 else self.value)

    @property
    def size_bytes(self) -> int:
        """Bytes of one element in the arena."""
        return int(self.numpy.itemsize)

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest code of an integer dtype."""
        bits = {"int4": 4, "int8": 8, "int16": 16, "int32": 32, "int64": 64}[self.value]
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


@dataclass(frozen=True)
class QParams:
    """`real = scale * (q - zero_point)`.

    Attributes:
        scale: one float32-representable number, or one per index of `axis`.
        zero_point: code of the real value 0; always 0 where `axis` is given.
        axis: the axis that has one scale per index, or None.
        is_wide: whether a file's codes have twice the usual bits: int16 activations, int64 biases.
    """

    scale: tuple[float, ...]
    zero_point: int = 0
    axis: int | None = None
    is_wide: bool = False

    @classmethod
    def per_tensor(cls, scale: float, zero_point: int = 0) -> "QParams":
        """Build the parameters of a tensor with one scale, rounded to float32."""
        return cls((float(np.float32(scale)),), int(zero_point))

    @classmethod
    def per_channel(cls, scales: Array, axis: int) -> "QParams":
        """Build symmetric parameters with one scale per index of `axis`, rounded to float32."""
        return cls(tuple(float(s) for s in np.asarray(scales, dtype=np.float32)), 0, axis)

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest code of an activation."""
        return (DType.INT16 if self.is_wide else DType.INT8).limits

    @property
    def scalar(self) -> float:
        """The scale of a per-tensor quantization."""
        (scale,) = self.scale
        return scale

    def scales(self, rank: int) -> npt.NDArray[np.float64]:
        """The scales as float64, shaped to broadcast against a tensor of `rank` axes."""
        scales = np.asarray(self.scale, dtype=np.float64)
        if self.axis is None:
            return scales.reshape(())
        shape = [1] * rank
        shape[self.axis] = len(self.scale)
        return scales.reshape(shape)

    def dequantize(self, q: Array) -> Array:
        """Real values (float64) of integer codes."""
        return np.asarray(self.scales(np.ndim(q)) * (np.asarray(q, np.float64) - self.zero_point))

    def quantize(self, real: Array, low: int = -128, high: int = 127) -> npt.NDArray[np.int64]:
        """Codes (int64) of real values: nearest, ties to even, clamped to `[low, high]`."""
        codes = np.rint(np.asarray(real, np.float64) / self.scales(np.ndim(real)))
        return np.asarray(np.clip(codes + self.zero_point, low, high).astype(np.int64))


@dataclass(frozen=True)
class Tensor:
    """A named value: an activation, or a constant where `data` is given.

    Attributes:
        name: unique in its graph.
        shape: all axes, batch included.
        dtype: element type.
        qparams: how its codes map to real values; on a float tensor, the parameters that a
            quantized source file or the calibration gave it.
        data: the constant's elements, in `dtype.numpy`.
        layout: meaning of the axes (`NHWC`, `OHWI`, `OI`, …), for people.
        storages: of weights, how they may lie in flash: keys of `edgecomp.storage.STORAGES`; see
            `allow_storage`.
        decode: of such weights, when they may be decoded: `row`, `layer`, `boot`; empty for
            whatever is best.
    """

    name: str
    shape: Shape
    dtype: DType = DType.FLOAT32
    qparams: QParams | None = None
    data: Array | None = field(default=None, compare=False)
    layout: str = field(default="", compare=False)
    storages: tuple[str, ...] = field(default=("dense8",), compare=False)
    decode: tuple[str, ...] = field(default=(), compare=False)

    @property
    def is_const(self) -> bool:
        """Whether the tensor is a constant."""
        return self.data is not None

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Bytes of the tensor in the arena."""
        return self.size * self.dtype.size_bytes

    @property
    def value(self) -> Array:
        """The elements of a constant."""
        assert self.data is not None, f"{self.name} is not a constant"
        return self.data

    def with_data(self, data: Array, **changes: Any) -> "Tensor":
        """Return this constant with other elements (and shape)."""
        return replace(self, data=data, shape=tuple(int(n) for n in data.shape), **changes)


@dataclass(frozen=True)
class Clamp:
    """A fused activation: the real interval that an output is clamped to."""

    low: float = -math.inf
    high: float = math.inf

    @property
    def is_none(self) -> bool:
        """Whether nothing is clamped."""
        return self.low == -math.inf and self.high == math.inf

    def intersect(self, other: "Clamp") -> "Clamp":
        """Return what `other` after this one does: the clamp of both."""
        low = min(max(self.low, other.low), other.high)
        return Clamp(low, max(min(self.high, other.high), low))

    def apply(self, real: Array) -> Array:
        """Clamp real values."""
        return real if self.is_none else np.clip(real, self.low, self.high)

    def codes(self, qparams: QParams, dtype: DType | None = None) -> tuple[int, int]:
        """Smallest and largest output code: the interval rounded to codes, within `dtype`."""
        low, high = qparams.limits if dtype is None else dtype.limits
        bounds = []
        for real in (self.low, self.high):
            if math.isinf(real):
                bounds.append(low if real < 0 else high)
            else:
                code = math.floor(real / qparams.scalar + 0.5) + qparams.zero_point
                bounds.append(min(max(code, low), high))
        return bounds[0], bounds[1]


NO_CLAMP = Clamp()


@dataclass(frozen=True)
class OpParams:
    """Base of every operator's parameters: frozen dataclasses, never dicts."""


@dataclass(frozen=True)
class Node:
    """One operator application.

    Attributes:
        name: the layer's name, unique in the graph; taken from the model file where it has one.
        op: key of `edgecomp.ops.OPS`.
        inputs: tensor names, in the operator's order.
        output: the one tensor that it makes.
        params: the operator's parameters.
        numerics: whose integer arithmetic the layer follows, `edgecomp` or `tflite`; or `float32`,
            real arithmetic between codes; or `int16`, activations of 16 bits; or `tflite16`, such
            of TFLite.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    output: str
    params: OpParams
    numerics: str = "edgecomp"

    @property
    def is_float32(self) -> bool:
        """Whether the layer computes real numbers; its constants are float32 then."""
        return self.numerics == "float32"

    @property
    def is_int16(self) -> bool:
        """Whether the layer's activations are int16 codes."""
        return self.numerics in {"int16", "tflite16"}

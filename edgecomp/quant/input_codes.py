"""From the user's numbers to input codes, preprocessing folded in (docs/numerics.md, "Input").

Host and generated C do the same three float32 operations, so they agree bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgecomp.errors import InternalError
from edgecomp.ir import Array, DType, QParams

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class InputQuantizer:
    """`q = (int)clamp(float32(float32(x * a) + b), 0, 255) - 128`, or 65535 and 32768.

    Attributes:
        a: float32, one factor, or one per index of the last axis.
        b: float32 of the same shape; the rounding half and 128 (32768) are in it.
        dtype: int8 or int16.
    """

    a: Float32Array
    b: Float32Array
    dtype: DType = DType.INT8

    @property
    def is_per_channel(self) -> bool:
        """Whether there is one pair per index of the last axis."""
        return self.a.ndim == 1

    def codes(self, x: Array) -> npt.NDArray[np.signedinteger]:
        """Codes of raw values.

        Args:
            x: `(..., channels)` in the device's layout, any real dtype.

        Returns:
            Codes of the same shape; rounding half up, except where float32 itself rounds.  A value
            that is not a number gets the lowest code.
        """
        t = x.astype(np.float32) * self.a + self.b
        t = np.where(t > 0, t, np.float32(0))
        low, high = self.dtype.limits
        t = np.where(t < high - low, t, np.float32(high - low))
        return np.asarray(t.astype(np.int32) + low, dtype=self.dtype.numpy)


def input_quantizer(
    qparams: QParams,
    scale: float = 1.0,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    dtype: DType = DType.INT8,
) -> InputQuantizer:
    """Fold `real = (x * scale - mean) / std` into the quantization of an input.

    Args:
        qparams: the input tensor's parameters.
        scale: factor of the raw values.
        mean: subtracted; one number, or one per index of the last axis.
        std: divided by; one number, or one per index of the last axis.
        dtype: of the codes.

    Raises:
        InternalError: a factor is not representable in float32.
    """
    means, stds = np.broadcast_arrays(np.asarray(mean, np.float64), np.asarray(std, np.float64))
    step = stds * qparams.scalar
    with np.errstate(all="ignore"):
        a = (scale / step).astype(np.float32)
        b = (qparams.zero_point - means / step + 0.5 - dtype.limits[0]).astype(np.float32)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InternalError(
            f"preprocessing scale={scale}, mean={mean}, std={std} cannot be folded into the "
            f"input's scale {qparams.scalar}"
        )
    return InputQuantizer(a, b, dtype)

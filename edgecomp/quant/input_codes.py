"""From the caller's numbers to input codes, the same on the host and on every device.

Preprocessing `real = (x * scale - mean) / std` and quantization `real / scale_in + zero_point` are
folded into one float32 factor and addend (docs/numerics.md, "Input"):

    code = clamp(x * factor + addend, 0, 255) truncated - 128

Each operation is one float32 rounding; nothing may be fused.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecomp.ir import Array, QParams

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class InputQuantizer:
    """The folded factor and addend, one each or one per channel (the last device axis).

    Attributes:
        factor: float32, of length 1 or of the channels.
        addend: float32, same length; holds the rounding half and the offset of 128.
    """

    factor: FloatArray
    addend: FloatArray

    @classmethod
    def fold(
        cls, qparams: QParams, scale: Any = 1.0, mean: Any = 0.0, std: Any = 1.0
    ) -> "InputQuantizer":
        """Fold preprocessing and quantization.

        Args:
            qparams: of the input tensor, per-tensor.
            scale: preprocessing factor, a number or one per channel.
            mean: what is subtracted after scaling.
            std: what is divided by at last.
        """
        scale, mean, std = (np.atleast_1d(np.asarray(v, np.float64)) for v in (scale, mean, std))
        factor = scale / (std * qparams.scalar)
        addend = qparams.zero_point - mean / (std * qparams.scalar) + 128.5
        factor, addend = np.broadcast_arrays(factor, addend)
        if np.all(factor == factor[0]) and np.all(addend == addend[0]):
            factor, addend = factor[:1], addend[:1]
        return cls(factor.astype(np.float32), addend.astype(np.float32))

    @property
    def channels(self) -> int:
        """1, or the number of channels with factors of their own."""
        return len(self.factor)

    def codes(self, x: Array) -> npt.NDArray[np.int8]:
        """Codes of numbers `(..., channels)` before preprocessing; x is taken as float32."""
        scaled = np.asarray(x, np.float32) * self.factor
        moved = np.clip(scaled + self.addend, np.float32(0), np.float32(255))
        return (moved.astype(np.int32) - 128).astype(np.int8)

    def byte_table(self) -> npt.NDArray[np.int8]:
        """Codes of the 256 byte values, `(channels, 256)`."""
        return np.ascontiguousarray(self.codes(np.arange(256.0)[:, None]).T)

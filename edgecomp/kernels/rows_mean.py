"""The mean of each channel over everything, one row of the input at a time."""

from dataclasses import dataclass
from typing import Any

from edgecomp.kernels.base import Layer

TEMPLATE = "rows/mean.c.j2"


@dataclass(frozen=True)
class RowMean:
    """Sizes and constants of a mean that sums up rows, as the template needs them.

    Attributes:
        rows: of the input.
        width: pixels of a row.
        channels: of a pixel.
        start: what the sum begins with: the input's zero point, taken from every code.
        divisor: what TFLite's average divides sums of codes by, ties away from zero; 0 where the
            sum is requantized.
        arithmetic: of the layer.
    """

    rows: int
    width: int
    channels: int
    start: int
    multiplier: int
    shift: int
    zero_point: int
    low: int
    high: int
    divisor: int
    arithmetic: str

    @classmethod
    def of(cls, layer: Layer) -> "RowMean":
        """Read them from an average pool over everything or a mean over height and width."""
        _, rows, width, channels = layer.inputs[0].shape
        k: Any = layer.prepared
        divisor = 0
        if layer.node.op == "reduce_mean":
            start, multiplier, shift = k.start, int(k.multiplier), int(k.shift)
        else:
            count = rows * width
            start = -count * k.input_zero_point
            multiplier, shift = int(k.multiplier[count]), int(k.shift[count])
            divisor = count if k.arithmetic == "tflite" else 0
        return cls(
            rows, width, channels, start, multiplier, shift, k.zero_point, k.low, k.high, divisor,
            k.arithmetic,
        )  # fmt: skip

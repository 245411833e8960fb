"""Products whose code the layers of a model share, for cores with the DSP extension.

A product of fixed size (`conv2d_dsp`) has its sizes in its instructions, so that each layer brings
its own 500 to 1500 bytes.  Here the sizes are read from a few half words in flash: one product and
one expansion serve every layer, for a few cycles per block of eight outputs.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Layer
from edgecomp.kernels.conv2d_dsp import code_name
from edgecomp.kernels.finish import arithmetic_suffix, beside_weights
from edgecomp.kernels.gemm_dsp import UNROLL, WORD, Gemm, channel_blocks, raw_stream

PIXELS = 4
"""Outputs at once, of two channels each."""
LARGEST = 65535
"""Largest number in a half word."""


@dataclass(frozen=True)
class SharedSizes:
    """What the shared functions need to know of a layer.

    Attributes:
        steps: words of an expanded column.
        out_channels: channels of the output, at least 2.
        run: bytes of a run of the window, whole words only.
        rows: runs.
        row_stride: bytes from run to run.
        pixel_stride: bytes from window to window.
        back: how many bytes before the end of a single run its last word begins that is not whole;
            0 if there is none.
        k: the layer's constants.
    """

    steps: int
    out_channels: int
    run: int
    rows: int
    row_stride: int
    pixel_stride: int
    back: int
    k: Any

    @classmethod
    def single_run(cls, layer: Layer, inputs: int, pixel_stride: int) -> "SharedSizes":
        """Return the sizes of a layer whose windows are single runs of at least four bytes."""
        whole = inputs // WORD * WORD
        back = WORD - inputs % WORD if inputs % WORD else 0
        steps = -(-inputs // WORD)
        channels = layer.output.shape[-1]
        return cls(steps, channels, whole, 1, whole, pixel_stride, back, layer.prepared)

    def ordered(self, weights: Array) -> Array:
        """Bring weights `(channels, inputs)` to the column's order.

        The last word of a run that is not whole begins inside the run: it meets codes that the
        word before has met already, with weights of 0.
        """
        flat = weights.reshape(len(weights), -1)
        if not self.back:
            return flat
        zeros = np.zeros((len(flat), self.back), flat.dtype)
        return np.concatenate([flat[:, : self.run], zeros, flat[:, self.run :]], axis=1)

    def stream(self, weights: Array) -> Array:
        """Return the product's stream for weights in the column's order."""
        return raw_stream(weights, self.k, channel_blocks(len(weights), 2))

    @property
    def accumulators(self) -> list[tuple[str, str]]:
        """Each accumulator and the register of its multiplier."""
        return Gemm("", PIXELS, self.steps, self.out_channels).accumulators

    @property
    def suffix(self) -> str:
        """What the functions' names owe to the fused activation."""
        return range_suffix(self.k)

    @property
    def gemm_name(self) -> str:
        """Of the product's function; it depends on the range of the codes alone."""
        return "gemm4" + self.suffix

    @property
    def pointwise_name(self) -> str:
        """Of the function for 1x1 convolutions."""
        return "pointwise" + self.suffix

    @property
    def convolution_name(self) -> str:
        """Of the function for other windows."""
        return "convolution" + self.suffix

    @property
    def column_bytes(self) -> int:
        """Bytes of four expanded columns."""
        return 8 * PIXELS * self.steps

    @property
    def product(self) -> dict[str, int]:
        """The fields of `ec_product`."""
        per_pair = 2 * (self.steps + beside_weights(self.k))
        return {
            "pairs": self.out_channels // 2 * per_pair,
            "words": (self.out_channels + 1) // 2 * per_pair,
            "column_bytes": self.column_bytes,
            "entry": -(self.steps - 1) % UNROLL if self.steps > 1 else UNROLL,
            "stride": self.out_channels,
            "addend": 256 * self.k.zero_point + 128,
        }

    @property
    def windows(self) -> dict[str, int]:
        """The fields of `ec_windows`."""
        return {
            "stride": self.pixel_stride,
            "run": self.run,
            "rows": self.rows,
            "skip": self.row_stride - self.run,
            "back": self.back,
        }

    @property
    def fits(self) -> bool:
        """Whether every size fits a half word."""
        windows = self.windows.values()
        return min(windows) >= 0 and max(*self.product.values(), *windows) <= LARGEST


def range_suffix(k: Any) -> str:
    """Return what a function's name owes to the end of its codes: nothing where that is plain."""
    return arithmetic_suffix(k) if (k.low, k.high) == (-128, 127) else code_name("", k)


def initializer(fields: dict[str, int]) -> str:
    """C initializer of a structure.

    >>> initializer({"rows": 3, "skip": 0})
    '{.rows = 3, .skip = 0}'
    """
    return "{" + ", ".join(f".{name} = {value}" for name, value in fields.items()) + "}"

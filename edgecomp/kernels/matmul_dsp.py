"""Products of two activations on cores with the DSP extension: 2 rows x 2 columns at once.

Four columns of the right matrix become a panel: codes less the zero point as 16-bit lanes, rows k
and k + 2 in one word, k + 1 and k + 3 in the next.  That is how SXTB16 parts four codes of a row
of the left matrix, which is read as it lies; its zero point times the panel's sums is where sums
start.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Layer
from edgecomp.kernels.finish import arithmetic_suffix
from edgecomp.kernels.gemm_dsp import block_starts
from edgecomp.kernels.matmul_generic import MatMulGeneric
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.ops.binary import ProductConstants
from edgecomp.targets.cores import Core

ROWS = 2
COLUMNS = 4
"""Columns of a panel: two halves, one for each call."""
STEP = 4
"""Inputs of a step."""
UNROLL = 4
MAX_OFFSET = 4095
MOST_DOUBLED = 1 << 30
"""TFLite's arithmetic doubles sums."""


@dataclass(frozen=True)
class Ending:
    """How sums become codes.

    Attributes:
        arithmetic: whose.
        left: shift of the sums before they are multiplied.
        multiplier: int32.
        end_word: the zero point; in TFLite's arithmetic `256 * zero_point + right_shift`.
        zero_point: of the output.
        low: smallest code.
        high: largest code.
    """

    arithmetic: str
    left: int
    multiplier: int
    end_word: int
    zero_point: int
    low: int
    high: int

    @property
    def rounds_away(self) -> bool:
        """Whether it matters that ties below the zero point go down: not behind a ReLU."""
        return self.low < self.zero_point

    @classmethod
    def of(cls, k: ProductConstants) -> "Ending":
        """Take a product's constants."""
        left, end_word = k.shift, k.zero_point
        if k.arithmetic == "tflite":
            left, end_word = 1, 256 * k.zero_point + (-k.shift if k.multiplier else 1)
        return cls(k.arithmetic, left, k.multiplier, end_word, k.zero_point, k.low, k.high)


@dataclass(frozen=True)
class Panel:
    """A block of the product, as its template needs it.

    Attributes:
        depth: rows of the right matrix.
        columns: of the output.
        ending: how sums become codes.
    """

    depth: int
    columns: int
    ending: Ending

    @property
    def name(self) -> str:
        """Of the C function; those of one name are equal."""
        k = self.ending
        limits = "" if (k.low, k.high) == (-128, 127) else f"_{k.low}_{k.high}"
        shift = f"_left_{k.left}" if k.left and k.arithmetic != "tflite" else ""
        text = f"matmul_{self.depth}_to_{self.columns}{limits}{shift}".replace("-", "m")
        return text + arithmetic_suffix(k)

    @property
    def steps(self) -> int:
        """Whole steps of four inputs."""
        return self.depth // STEP

    @property
    def left_over(self) -> int:
        """Inputs after the whole steps."""
        return self.depth % STEP

    @property
    def all_steps(self) -> int:
        """Steps, the last one perhaps filled with zeros."""
        return -(-self.depth // STEP)

    @property
    def first_steps(self) -> int:
        """Steps before the loop."""
        return self.steps if self.steps <= UNROLL + 1 else self.steps % UNROLL

    @property
    def unroll(self) -> int:
        """Steps that the loop takes at once."""
        return UNROLL

    @property
    def half_words(self) -> int:
        """Words of two columns: where their sums start, lanes, multiplier, zero point."""
        return 2 + STEP * self.all_steps + 2

    @property
    def size_bytes(self) -> int:
        """Bytes of a panel."""
        return 4 * COLUMNS // 2 * self.half_words


class MatMulDsp(MatMulGeneric):
    """Two rows at once with two columns of a panel."""

    name: ClassVar[str] = "matmul_dsp"
    template: ClassVar[str] = "matmul/dsp.c.j2"

    def _panel(self, layer: Layer) -> Panel:
        return Panel(layer.inputs[0].shape[-1], layer.output.shape[-1], Ending.of(layer.prepared))

    def applies(self, layer: Layer, core: Core) -> str | None:
        """At least 2 rows and 4 columns."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        k: ProductConstants = layer.prepared
        rows, columns = layer.output.shape[-2:]
        depth = layer.inputs[0].shape[-1]
        if rows < ROWS or columns < COLUMNS:
            return "fewer than 2 rows or 4 columns"
        if depth + STEP > MAX_OFFSET or 2 * columns > MAX_OFFSET:
            return "rows further apart than a load reaches"
        if k.arithmetic == "tflite" and depth * 255**2 >= MOST_DOUBLED:
            return "an accumulator can exceed 31 bits"
        if k.arithmetic == "tflite" and k.multiplier and k.shift > -1:
            return "a multiplier needs a left shift, or none"
        return None

    def scratch_bytes(self, layer: Layer) -> int:
        """A panel."""
        return self._panel(layer).size_bytes

    def schedule(self, layer: Layer) -> Schedule:
        """Batches, panels, halves of these, pairs of rows; a panel is read before its rows are."""
        (rows, depth), columns = layer.inputs[0].shape[-2:], layer.output.shape[-1]
        batch = layer.output.shape[:-2]
        panels, pairs = block_starts(columns, COLUMNS), block_starts(rows, ROWS)
        first = np.arange(math.prod(batch)).reshape(-1, 1, 1, 1, 1, 1) * rows * columns
        column = panels[:, None, None, None, None] + 2 * np.arange(2)[:, None, None, None]
        row = pairs[:, None, None] + np.arange(ROWS)[:, None]
        writes = first + column + row * columns + np.arange(2)
        reads: dict[int, Reads] = {}
        for index, tensor in enumerate(layer.inputs):
            if tensor.is_const:
                continue
            numbers = np.arange(tensor.size, dtype=np.int64).reshape(tensor.shape)
            matrices = np.broadcast_to(numbers[..., 0, 0], batch).reshape(-1, 1, 1, 1)
            low = np.full(writes.shape, NOTHING)
            high = np.full(writes.shape, -1, np.int64)
            if index == 0:
                low[..., 0, 0] = matrices + pairs * depth
                high[..., 0, 0] = low[..., 0, 0] + ROWS * depth - 1
            else:
                begins = matrices[:, :, 0, 0] + panels
                low[:, :, 0, 0, 0, 0] = begins
                high[:, :, 0, 0, 0, 0] = begins + (depth - 1) * columns + COLUMNS - 1
            reads[index] = Reads(low.reshape(-1), high.reshape(-1))
        return Schedule(writes.reshape(-1).astype(np.int64), reads)

    def context(self, layer: Layer) -> dict[str, Any]:
        """Also the panel."""
        return {
            **super().context(layer),
            "p": self._panel(layer),
            "product": layer.prepared,
        }

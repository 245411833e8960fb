"""Sizes of the depthwise 3x3 convolution by patches, as its templates need them.

Rows of the input are transposed, 16 channels at a time, into *blocks*: for each channel the 4 bytes
of 4 neighbouring columns; the next block begins 2 columns further.  One gather of words, one from
each of 4 rows, then is a patch of 4x4 codes of a channel: the inputs of 2x2 outputs with stride 1,
of one output with stride 2.  Each output is one VMLADAV with the weights at its place in the patch.
Eight outputs become codes together: two patches with stride 1, eight with stride 2.
"""

from dataclasses import dataclass
from functools import cached_property

from edgecomp.kernels.base import Layer
from edgecomp.kernels.gemm_mve import LANES, code_name
from edgecomp.kernels.transpose_mve import PATCH, STEP, Columns
from edgecomp.ops.base import as_nhwc
from edgecomp.ops.linear import LinearConstants
from edgecomp.ops.spatial import Window

AT_ONCE = 8
"""Outputs that become codes together."""
MAX_TURNS = 2
"""Turns of a row that are written out instead of looped."""
PART_BYTES = 1536
"""Transposed rows; where a band needs more, it is computed in parts."""


@dataclass(frozen=True)
class Part:
    """Neighbouring outputs of a band whose inputs are transposed together.

    Attributes:
        first: first output's column.
        outputs: how many columns.
        columns: the input's columns.
        column: the first one that lies inside the input.
    """

    first: int
    outputs: int
    columns: Columns
    column: int


@dataclass(frozen=True)
class Patches:
    """Sizes of a layer."""

    window: Window
    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    input_zero_point: int
    k: LinearConstants

    @classmethod
    def of(cls, layer: Layer) -> "Patches":
        """Read them from a layer."""
        assert layer.inputs[0].qparams is not None
        _, height, width, channels = as_nhwc(layer.inputs[0].shape)
        _, out_height, out_width, _ = as_nhwc(layer.output.shape)
        sizes = height, width, channels, out_height, out_width
        return cls(layer.params, *sizes, layer.inputs[0].qparams.zero_point, layer.prepared)

    @property
    def stride(self) -> int:
        """Of the convolution."""
        return self.window.stride_w

    @property
    def rows(self) -> int:
        """Rows of the input that a band reads."""
        return 4 if self.stride == 1 else 3

    @property
    def out_rows(self) -> int:
        """Rows of the output that a band writes."""
        return STEP // self.stride

    @property
    def bands(self) -> int:
        """Bands of the output, the last of which may have one row only."""
        return -(-self.out_height // self.out_rows)

    @property
    def block_bytes(self) -> int:
        """Bytes from one block to the next."""
        return PATCH * min(self.channels, LANES)

    @cached_property
    def parts(self) -> list[Part]:
        """The parts of a band."""
        count = self.out_width
        if not self.in_place:
            bytes_left = PART_BYTES - self.beyond * (2 if self.ring else 1)
            columns = bytes_left // (self.rows * self.block_bytes) * STEP // self.stride
            at_once = AT_ONCE // self.out_rows
            count = max(columns // at_once, 1) * at_once
        return [
            self._part(first, min(count, self.out_width - first))
            for first in range(0, self.out_width, count)
        ]

    def _part(self, first: int, outputs: int) -> Part:
        begin = first * self.stride - self.window.pad_left
        end = begin + STEP * -(-outputs * self.stride // STEP) + STEP
        left, right = max(-begin, 0), max(end - self.width, 0)
        inside = max(end - begin - left - right, 0)
        if not inside:
            left, right = end - begin, 0
        columns = Columns(left, inside, right, self.channels, self.input_zero_point)
        return Part(first, outputs, columns, max(begin, 0))

    @property
    def row_bytes(self) -> int:
        """Bytes of a transposed row."""
        return max(part.columns.blocks for part in self.parts) * self.block_bytes

    @property
    def in_place(self) -> bool:
        """Whether 16 channels of all rows are computed before the next ones.

        Each row then is read once, before outputs are written over it.  Where there are no next
        ones and rows are long, parts of rows need less scratch, but other memory for the outputs.
        """
        same = (self.height, self.width) == (self.out_height, self.out_width)
        long = self.rows * -(-self.width // STEP) * self.block_bytes > PART_BYTES
        return self.stride == 1 and same and (self.channels > LANES or not long)

    @property
    def beyond(self) -> int:
        """What storing a last block as a whole writes beyond it."""
        return PATCH * LANES - self.block_bytes

    @property
    def ring(self) -> bool:
        """Whether rows are transposed once: two more for each band, over two of the band before."""
        return self.stride == 1

    @property
    def half_bytes(self) -> int:
        """Two transposed rows."""
        return 2 * self.row_bytes + self.beyond

    @property
    def scratch_bytes(self) -> int:
        """Transposed rows."""
        if self.ring:
            return 2 * self.half_bytes
        return self.rows * self.row_bytes + self.beyond

    @property
    def transposes(self) -> list[Columns]:
        """The columns of every part, equal ones once."""
        return list(dict.fromkeys(part.columns for part in self.parts if part.columns.inside))

    def run(self, outputs: int, *, last: bool) -> "Run":
        """What is computed of a part."""
        return Run(self, outputs, last)

    @property
    def runs(self) -> "list[Run]":
        """What is computed of every part, equal ones once."""
        last = [False, True] if self.out_height % self.out_rows else [False]
        return [
            self.run(n, last=x) for n in dict.fromkeys(p.outputs for p in self.parts) for x in last
        ]


@dataclass(frozen=True)
class Run:
    """Outputs of a part of a band, of one channel after the other.

    Attributes:
        p: the layer.
        outputs: columns of the output.
        last: whether the band has one row instead of two.
    """

    p: Patches
    outputs: int
    last: bool

    @property
    def name(self) -> str:
        """Of the C function; functions of one name are equal."""
        p = self.p
        shape = f"{self.outputs}_of_{p.out_width}x{p.channels}_{p.row_bytes}"
        return code_name(f"mve_patches{p.stride}_{shape}{'_last' if self.last else ''}", p.k)

    @property
    def columns_at_once(self) -> int:
        """Columns of outputs that become codes together."""
        return AT_ONCE // self.p.out_rows

    @property
    def turns(self) -> int:
        """How often that many."""
        return self.outputs // self.columns_at_once

    @property
    def written_out(self) -> bool:
        """Whether so few turns need no loop."""
        return self.turns <= MAX_TURNS

    @property
    def left_over(self) -> int:
        """Columns of outputs beyond those."""
        return self.outputs % self.columns_at_once

    @property
    def left_over_patches(self) -> tuple[int, int]:
        """Patches of the left over outputs, of the first four sums and of the second four."""
        half = self.columns_at_once // 2
        first, second = min(self.left_over, half), max(self.left_over - half, 0)
        return (-(-first // 2), -(-second // 2)) if self.p.stride == 1 else (first, second)

    @property
    def patch_bytes(self) -> int:
        """From a channel's word in the first block to where the last gather of a run left off.

        The word of the next channel is 4 bytes further.
        """
        return self.gathers * self.p.block_bytes - PATCH

    @property
    def gathers(self) -> int:
        """Patches that are loaded for one channel."""
        at_once = 2 if self.p.stride == 1 else AT_ONCE
        return self.turns * at_once + sum(self.left_over_patches)

    @property
    def _lanes(self) -> list[tuple[int, int]]:
        """Row and column of the output in each lane of 16 bits; two sets of sums alternate."""
        half = self.columns_at_once // 2
        sums = (
            [(i // 2, i % 2) for i in range(4)]
            if self.p.stride == 1
            else [(0, i) for i in range(4)]
        )
        return [(row, column + half * second) for row, column in sums for second in (0, 1)]

    @property
    def places(self) -> list[int]:
        """Offsets of the lanes' codes, two in a word."""
        row_bytes = self.p.out_width * self.p.channels
        offsets = [row * row_bytes + column * self.p.channels for row, column in self._lanes]
        return [a + (b << 16) for a, b in zip(offsets[::2], offsets[1::2], strict=True)]

    @property
    def furthest(self) -> int:
        """Largest offset of a code."""
        return max(max(word >> 16, word & 0xFFFF) for word in self.places)

    def mask(self, columns: int) -> int:
        """VPR.P0 for storing so many columns: 2 bits for each lane."""
        rows = 1 if self.last else self.p.out_rows
        return sum(
            3 << 2 * lane
            for lane, (row, column) in enumerate(self._lanes)
            if row < rows and column < columns
        )

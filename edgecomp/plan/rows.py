"""Stages that are fused by rows: what is computed when, and which rows are kept where.

Such a stage is a loop.  Each *turn* brings one row of the stage's input and computes every row of
its layers that has become possible.  A layer computes its row `r` in turn `first + every * r`: the
turns are known beforehand, the code has no counters but the turn.  Rows between two layers lie in
a *line*: a window of the last few rows of a tensor, moved on by one row when the next one comes.
Padding above is written with the first row, padding below as further rows behind the last.

Kernels that compute several rows for less than as often one want them together.  Where a turn
brings a *band* of rows, all of this holds of bands: a step makes its band `b`, rows `b * each` and
the following ones, and lines move on by a band.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

COPY = "copy"
"""Kernel of the step that brings a row of the stage's input into its line."""
MEAN = "rows_mean"
"""Kernel of the step that sums up rows for a mean over everything."""


@dataclass(frozen=True)
class Line:
    """The last rows of a tensor.

    Attributes:
        tensor: whose rows.
        rows: how many are kept.
        row_bytes: bytes of each.
        height: rows that the tensor has.
        pad_top: rows of padding before the first.
        pad_bottom: bands of padding behind the last, also where they only move the others on.
        code: what padding is filled with.
        lasting: whether rows are read in a later turn than they were written.
        fills: whether nobody reads before all its rows are there: the first rows then fill it from
            its begin, so that its end is not touched before it must be.
        offset: in the stage's scratch.
        within: the tensor in whose line these rows are written, each where that tensor's row of
            the same number will lie: its layer works in place.  Such a line has no bytes.
        each: rows that come at a time.
    """

    tensor: str
    rows: int
    row_bytes: int
    height: int
    pad_top: int
    pad_bottom: int
    code: int
    lasting: bool
    fills: bool = False
    offset: int = 0
    within: str = ""
    each: int = 1

    @property
    def band_bytes(self) -> int:
        """Bytes that come at a time."""
        return self.each * self.row_bytes

    @property
    def size_bytes(self) -> int:
        """Bytes of all its rows."""
        return 0 if self.within else self.rows * self.row_bytes

    @property
    def newest(self) -> int:
        """Where the newest band lies in the stage's scratch, once it is full."""
        return self.offset + (self.rows - self.each) * self.row_bytes

    @property
    def filling(self) -> int:
        """How many bands come before others must move on for a new one."""
        return (self.rows - self.pad_top) // self.each if self.fills else 0

    def place_of(self, band: int) -> int:
        """Where a band is written."""
        if band < self.filling:
            return self.offset + self.pad_top * self.row_bytes + band * self.band_bytes
        return self.newest

    def first_pad(self) -> int:
        """Where the padding above begins when the first band is written."""
        return self.offset if self.fills else self.newest - self.pad_top * self.row_bytes


@dataclass(frozen=True)
class Read:
    """What a step reads of one tensor.

    Attributes:
        tensor: which one: the stage's input, or one with a line.
        rows: neighbouring rows that it reads for a band.
        stride: rows of the tensor from one band of the step to the next.
        pad_top: rows before the tensor's first that the first window begins at.
        slot: in a line: which of its rows is the window's first.
    """

    tensor: str
    rows: int
    stride: int
    pad_top: int
    slot: int = 0

    def first(self, band: int) -> int:
        """The first row of the tensor that the step reads for its own band `band`."""
        return band * self.stride - self.pad_top


@dataclass(frozen=True)
class RowStep:
    """One layer of the stage: in its turns it makes a band, most often of one row.

    Attributes:
        tensor: what it makes.
        kernel: key of `KERNELS`, `COPY` or `MEAN`.
        first: turn of its first band.
        every: turns from one band to the next.
        bands: how many it computes.
        reads: what it reads, in the operator's order.
        scratch_bytes: what its kernel needs beside them.
        scratch_offset: where that lies in the stage's scratch.
        each: rows of a band.
    """

    tensor: str
    kernel: str
    first: int
    every: int
    bands: int
    reads: tuple[Read, ...]
    scratch_bytes: int = 0
    scratch_offset: int = 0
    each: int = 1

    @property
    def rows(self) -> int:
        """Rows that it computes."""
        return self.bands * self.each

    @property
    def last(self) -> int:
        """Turn of its last band."""
        return self.first + self.every * (self.bands - 1)

    def band_in(self, turn: int) -> int | None:
        """The band that it makes in a turn, padding below included; None if there is none."""
        band, rest = divmod(turn - self.first, self.every)
        return band if rest == 0 and band >= 0 else None


@dataclass(frozen=True)
class RowProgram:
    """A stage that is fused by rows.

    Attributes:
        source: the tensor that it reads.
        result: the tensor that it stores.
        steps: in the order of a turn.
        lines: by tensor; the source has one if its rows are copied first.
        source_row_bytes: bytes of a row of the source.
        result_row_bytes: bytes of a row of the result; of all of it where it is a mean.
        streamed: whether the caller hands over the source row by row.
        scratch_bytes: lines and what the kernels need.
        band: rows of the source that a turn brings.
    """

    source: str
    result: str
    steps: tuple[RowStep, ...]
    lines: Mapping[str, Line]
    source_row_bytes: int
    source_rows: int
    result_row_bytes: int
    streamed: bool = False
    scratch_bytes: int = 0
    band: int = 1

    @cached_property
    def turns(self) -> int:
        """Turns of the loop."""
        return max(step.last for step in self.steps) + 1

    @cached_property
    def inner(self) -> frozenset[str]:
        """Tensors that are never stored whole."""
        return frozenset(step.tensor for step in self.steps) - {self.source, self.result}

    @cached_property
    def has_mean(self) -> bool:
        """Whether the last step sums up all rows."""
        return self.steps[-1].kernel == MEAN

    @cached_property
    def hosts(self) -> frozenset[str]:
        """Tensors in whose lines another tensor's rows are written first."""
        return frozenset(line.within for line in self.lines.values()) - {""}

    def place_of(self, tensor: str, band: int) -> int:
        """Where a band of a tensor with a line is written, in the stage's scratch."""
        line = self.lines[tensor]
        return self.place_of(line.within, band) if line.within else line.place_of(band)

    def moved(self, step: RowStep, band: int) -> Line | None:
        """The line that makes room for a band that the step writes."""
        line = self.lines.get(step.tensor)
        if line and line.within:
            return self.lines[line.within]
        is_ready = step.tensor in self.hosts and band < step.bands
        return None if is_ready else line

    def bands_made(self, step: RowStep) -> int:
        """Bands that the step writes, padding below included."""
        line = self.lines.get(step.tensor)
        return step.bands + (line.pad_bottom if line and step.kernel != MEAN else 0)

    def actions(self) -> Iterator[tuple[int, int, RowStep]]:
        """Every band that is made: turn, band, step, in the order of execution."""
        for turn in range(self.turns):
            for step in self.steps:
                band = step.band_in(turn)
                if band is not None and band < self.bands_made(step):
                    yield turn, band, step

    def renamed(self, names: Mapping[str, str]) -> "RowProgram":
        """Return the same with other names of tensors."""
        return replace(
            self,
            source=names[self.source],
            result=names[self.result],
            steps=tuple(
                replace(
                    step,
                    tensor=names[step.tensor],
                    reads=tuple(replace(read, tensor=names[read.tensor]) for read in step.reads),
                )
                for step in self.steps
            ),
            lines={
                names[key]: replace(
                    line, tensor=names[key], within=names[line.within] if line.within else ""
                )
                for key, line in self.lines.items()
            },
        )

    def _low_needed(self) -> list[int]:
        """For each action the first byte of the source that it or a later one reads."""
        nothing = 1 << 40
        lows = []
        for _, band, step in self.actions():
            rows = [
                max(read.first(band), 0)
                for read in step.reads
                if read.tensor == self.source and self.source not in self.lines
            ]
            if step.kernel == COPY:
                rows = [band * step.each]
            reads = rows and band < step.bands
            lows.append(min(rows) * self.source_row_bytes if reads else nothing)
        for index in range(len(lows) - 2, -1, -1):
            lows[index] = min(lows[index], lows[index + 1])
        return lows

    def distances(self) -> tuple[int, int]:
        """By how many bytes result and scratch must begin before the source.

        What is read in the very action that writes counts as read later.
        """
        result = scratch = -(1 << 40)
        for (_, band, step), low in zip(self.actions(), self._low_needed(), strict=True):
            ends = []
            if step.tensor == self.result:
                made = band == step.bands - 1 if step.kernel == MEAN else True
                end = self.result_row_bytes * (1 if step.kernel == MEAN else (band + 1) * step.each)
                result = max(result, end - low) if made else result
            if step.tensor in self.lines:
                line = self.lines[step.tensor]
                ends.append(self.place_of(step.tensor, band) + line.band_bytes)
            if step.scratch_bytes:
                ends.append(step.scratch_offset + step.scratch_bytes)
            if ends:
                scratch = max(scratch, max(ends) - low)
        return result, scratch

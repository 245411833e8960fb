"""The check of a stage that is fused by rows: its turns, replayed on the bytes of the arena.

Nothing here asks how the program came about: every row that a step reads must be, byte for byte,
the row that its layer needs, or padding where the layer pads.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from edgecomp.errors import InternalError
from edgecomp.kernels import KERNELS, Layer
from edgecomp.kernels.rows import is_mean_of_all, row_layer, row_window
from edgecomp.plan.rows import COPY, MEAN, Read, RowProgram, RowStep
from edgecomp.plan.verify_events import check_events

PADDING = 1
"""What bytes hold that were filled with a tensor's padding; added to its base."""
SCRATCH = -1


class RowReplay:
    """A stage on a map of the arena: each byte knows what was written there.

    A byte of row `r` of a tensor holds `base + 2 + r`, where every tensor has a base of its own.
    """

    def __init__(
        self, name: str, program: RowProgram, layers: Mapping[str, Layer], arena_bytes: int
    ) -> None:
        """Prepare for an arena of `arena_bytes`; messages name the stage `name`."""
        self.name, self.program, self.layers = name, program, layers
        self.bytes: npt.NDArray[np.int64] = np.zeros(arena_bytes, np.int64)
        self.base: dict[str, int] = {}

    def run(self, source: int, result: int, scratch: int) -> None:
        """Replay all turns; the offsets are those of the stage in the arena.

        Raises:
            InternalError: a step would read what is not there.
        """
        p = self.program
        self.result, self.scratch = result, scratch
        for tensor in (p.source, *(step.tensor for step in p.steps)):
            self.base.setdefault(tensor, (len(self.base) + 1) << 24)
        if not p.streamed:
            for row in range(p.source_rows):
                begin = source + row * p.source_row_bytes
                self.bytes[begin : begin + p.source_row_bytes] = self._code(p.source, row)
        self.source = source
        for _, band, step in p.actions():
            self._step(band, step)
        self._check_result()

    def _code(self, tensor: str, row: int) -> int:
        return self.base[tensor] + 2 + row

    def _codes(self, step: RowStep, band: int, size: int) -> npt.NDArray[np.int64]:
        """What the bytes of a band hold that a step makes; `size` bytes a row."""
        rows = range(band * step.each, (band + 1) * step.each)
        return np.repeat([self._code(step.tensor, row) for row in rows], size)

    def _step(self, band: int, step: RowStep) -> None:
        """One action: the line moves on, what is needed is read, a band is written."""
        line = self.program.moved(step, band)
        real = band < step.bands
        if line:
            begin, end = self.scratch + line.offset, self.scratch + line.offset + line.size_bytes
            padding, size = self.base[line.tensor] + PADDING, line.band_bytes
            if band == 0 and line.pad_top:
                first = self.scratch + line.first_pad()
                self.bytes[first : first + line.pad_top * line.row_bytes] = padding
            elif band >= line.filling:
                self.bytes[begin : end - size] = self.bytes[begin + size : end].copy()
            if not real:
                place = self.scratch + line.place_of(band)
                self.bytes[place : place + size] = padding
        if not real:
            return
        if step.kernel == COPY and not self.program.streamed:
            self._check_source(band, step)
        for read in step.reads:
            self._check_read(band, step, read)
        self._write(band, step)

    def _write(self, band: int, step: RowStep) -> None:
        p, line = self.program, self.program.lines.get(step.tensor)
        if step.scratch_bytes:
            begin = self.scratch + step.scratch_offset
            held = self.base[step.tensor] + PADDING if step.kernel == MEAN else SCRATCH
            if step.kernel == MEAN and band > 0:
                self._check(step, slice(begin, begin + step.scratch_bytes), held, "its sums")
            self.bytes[begin : begin + step.scratch_bytes] = held
            for read in step.reads:  # the kernel's scratch must spare what it reads
                self._check_read(band, step, read)
        if step.kernel == MEAN:
            if band == step.bands - 1:
                self._check_apart(step, self.result, p.result_row_bytes)
                place = slice(self.result, self.result + p.result_row_bytes)
                self.bytes[place] = self._code(step.tensor, 0)
            return
        if line:
            begin, size = self.scratch + p.place_of(step.tensor, band), line.band_bytes
        else:
            size = step.each * p.result_row_bytes
            begin = self.result + band * size
        self._check_apart(step, begin, size)
        for index, read in enumerate(step.reads):
            self._check_over(band, step, index, read, begin, size)
        self.bytes[begin : begin + size] = self._codes(step, band, size // step.each)

    def _check_over(
        self, band: int, step: RowStep, index: int, read: Read, begin: int, size: int
    ) -> None:
        """Where a band is written over what the step reads, the kernel's events are replayed."""
        layer = self.layers[step.tensor]
        tensor = layer.graph.tensors[read.tensor]
        row_bytes = tensor.size_bytes // tensor.shape[1]
        line = self.program.lines.get(read.tensor)
        window = self._slot(read, band) if line else self.source + read.first(band) * row_bytes
        if begin < window + read.rows * row_bytes and window < begin + size:
            inputs = [i for i, x in enumerate(layer.inputs) if not x.is_const]
            where = f"plan: {self.name}, {step.tensor!r} is written over {read.tensor!r}"
            kernel = KERNELS[step.kernel]
            cut = row_layer(layer, step.each)
            check_events(where, kernel, cut, inputs[index], begin - window)

    def _check_apart(self, step: RowStep, begin: int, size: int) -> None:
        """A band must not lie over the scratch of the kernel that writes it."""
        scratch = self.scratch + step.scratch_offset
        if begin < scratch + step.scratch_bytes and scratch < begin + size:
            raise InternalError(f"plan: {self.name}, {step.tensor!r} lies over its own scratch")

    def _check(self, step: RowStep, place: slice, wanted: int, what: str) -> None:
        if place.start < 0 or place.stop > len(self.bytes):
            raise InternalError(f"plan: {self.name}, {step.tensor!r} lies outside the arena")
        if np.any(self.bytes[place] != wanted):
            raise InternalError(
                f"plan: {self.name}, {step.tensor!r} reads {what}, which are not there"
            )

    def _check_source(self, band: int, step: RowStep) -> None:
        size = self.program.source_row_bytes
        for row in range(band * step.each, (band + 1) * step.each):
            place = slice(self.source + row * size, self.source + (row + 1) * size)
            wanted = self._code(self.program.source, row)
            self._check(step, place, wanted, f"row {row} of the input")

    def _check_read(self, band: int, step: RowStep, read: Read) -> None:
        """Every row of the window must be what the layer needs."""
        layer = self.layers[step.tensor]
        window = row_window(layer).of_band(step.each)
        line = self.program.lines.get(read.tensor)
        tensor = layer.graph.tensors[read.tensor]
        height, size = tensor.shape[1], tensor.size_bytes // tensor.shape[1]
        for index in range(window.rows):
            needed = window.first(band) + index
            begin = self._slot(read, band) + index * size if line else self.source + needed * size
            inside = 0 <= needed < height
            wanted = self._code(read.tensor, needed) if inside else self.base[read.tensor] + PADDING
            what = f"row {needed} of {read.tensor!r} for its rows from {band * step.each}"
            self._check(step, slice(begin, begin + size), wanted, what)

    def _slot(self, read: Read, band: int) -> int:
        """Where the rows of a line begin that a step reads for its own band."""
        line = self.program.lines[read.tensor]
        if line.within:
            return self.scratch + self.program.place_of(read.tensor, band)
        return self.scratch + line.offset + read.slot * line.row_bytes

    def _check_result(self) -> None:
        """All rows of the result must be there, whole, and as many as the layer has."""
        p, step = self.program, self.program.steps[-1]
        layer = self.layers[p.result]
        rows = layer.inputs[0].shape[1] if is_mean_of_all(layer) else layer.output.shape[1]
        if step.tensor != p.result or step.rows != rows:
            raise InternalError(f"plan: {self.name} does not compute all rows of {p.result!r}")
        size = layer.output.size_bytes
        for row in range(1 if step.kernel == MEAN else rows):
            begin = self.result + row * p.result_row_bytes
            end = begin + p.result_row_bytes
            if end > self.result + size:
                raise InternalError(f"plan: {self.name} writes beyond {p.result!r}")
            self._check(step, slice(begin, end), self._code(p.result, row), f"row {row}")


def check_kernels(name: str, program: RowProgram, layers: Mapping[str, Layer]) -> None:
    """Check what a program says of its kernels: the scratch that they need, the rows they take.

    Raises:
        InternalError: it says something else than the layers do.
    """
    for step in program.steps:
        if step.kernel in {COPY, MEAN}:
            continue
        layer = layers[step.tensor]
        wanted = KERNELS[step.kernel].scratch_bytes(row_layer(layer, step.each))
        computed = tuple(t.name for t in layer.inputs if not t.is_const)
        if step.scratch_bytes != wanted or computed != tuple(r.tensor for r in step.reads):
            raise InternalError(f"plan: {name}, {step.tensor!r} is not what its kernel needs")

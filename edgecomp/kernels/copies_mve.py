"""How windows of a convolution are copied with Helium (MVE): vectors, pointers, instructions."""

from dataclasses import dataclass

from edgecomp.kernels.gemm_mve import LANES, MAX_BYTE_OFFSET
from edgecomp.kernels.windows_mve import Windows

MAX_POINTERS = 4
"""Rows of a window, if a register walks along each."""
MAX_POINTERS_VECTORS = 24
"""Vectors of a column, if registers walk along its rows."""
VECTORS_WRITTEN_OUT = 24
"""Vectors of a window or column that are copied without a loop."""


@dataclass(frozen=True)
class Copies:
    """Copying whole vectors of windows or columns, as the template needs it."""

    w: Windows

    @property
    def vectors(self) -> int:
        """Vectors of a run of a window."""
        return -(-self.w.run // LANES)

    @property
    def written_out(self) -> bool:
        """Whether the vectors of a window are copied without a loop."""
        return self.w.kernel_h * self.vectors <= VECTORS_WRITTEN_OUT

    @property
    def by_pointers(self) -> bool:
        """Whether a pointer for each row of a window walks along while windows are copied."""
        if self.w.kernel_h > MAX_POINTERS:
            return False
        if self.w.by_columns:
            return self.vectors_of_column <= MAX_POINTERS_VECTORS
        steps = (
            self.w.stride_w * self.w.channels - LANES * (self.vectors - 1),
            self.w.run - LANES * (self.vectors - 1),
            self.last_step,
        )
        return self.vectors <= 2 and max(map(abs, steps)) <= MAX_BYTE_OFFSET

    @property
    def vectors_of_column(self) -> int:
        """Vectors of a column."""
        return self.w.column_bytes // LANES

    @property
    def last_step(self) -> int:
        """From the last vector of a copied window to the next window."""
        return self.w.distance - (self.w.kernel_h - 1) * self.w.run - LANES * (self.vectors - 1)

    @property
    def lines(self) -> list[str]:
        """Instructions that copy a window or a column and step to the next one."""
        found = []
        if self.w.by_columns:
            names = [f"from{tap}" for tap in range(self.w.kernel_h)]
            several = [(name, LANES) for name in names for _ in range(self.w.channels // LANES)]
            for first in range(0, len(several), 4):
                part = several[first : first + 4]
                found += [f"vldrw.32 q{q}, [%[{name}]], #16" for q, (name, _) in enumerate(part)]
                found += [f"vstrw.32 q{q}, [%[to]], #16" for q in range(len(part))]
            return found
        step = self.w.stride_w * self.w.channels - LANES * (self.vectors - 1)
        for tap in range(self.w.kernel_h):
            last = (
                self.last_step
                if tap == self.w.kernel_h - 1
                else self.w.run - LANES * (self.vectors - 1)
            )
            loads = [LANES] * (self.vectors - 1) + [step]
            stores = [LANES] * (self.vectors - 1) + [last]
            found += [f"vldrb.8 q{q}, [%[from{tap}]], #{by}" for q, by in enumerate(loads)]
            found += [f"vstrb.8 q{q}, [%[to]], #{by}" for q, by in enumerate(stores)]
        return found

"""Columns of a row of the input, transposed into blocks of four for the depthwise kernel (MVE)."""

from dataclasses import dataclass

from edgecomp.kernels.gemm_mve import LANES, MAX_BYTE_OFFSET, MAX_WORD_OFFSET

STEP = 2
"""Columns from one block to the next, and rows from one band to the next."""
PATCH = 4
"""Columns of a block."""
TRIPLE = 3
"""Blocks that are transposed together: their 8 columns fill the vector registers."""


@dataclass(frozen=True)
class Columns:
    """Columns of the input that are transposed into blocks.

    Attributes:
        left: how many lie left of the input.
        inside: how many lie inside it.
        right: how many lie right of it, or are not needed.
        channels: of the input, bytes from one column to the next.
        zero_point: of the input.
    """

    left: int
    inside: int
    right: int
    channels: int
    zero_point: int

    @property
    def blocks(self) -> int:
        """Blocks that they make."""
        return (self.left + self.inside + self.right) // STEP - 1

    @property
    def lanes(self) -> int:
        """Channels of a block, 0 if the call says it."""
        return 0 if self.channels > LANES and self.channels % LANES else min(self.channels, LANES)

    @property
    def predicated(self) -> bool:
        """Whether loads must not fill a vector."""
        return self.lanes != LANES

    @property
    def block_bytes(self) -> int:
        """Bytes from one block to the next."""
        return PATCH * min(self.channels, LANES)

    @property
    def name(self) -> str:
        """Of the C function; functions of one name are equal."""
        zero = str(self.zero_point).replace("-", "m") if self.left or self.right else "x"
        return f"mve_transpose_{self.channels}_{self.left}_{self.inside}_{self.right}_{zero}"

    @property
    def states(self) -> list[bool]:
        """For each column whether it lies inside the input."""
        return [False] * self.left + [True] * self.inside + [False] * self.right

    @property
    def triples(self) -> list[tuple[int, list[bool]]]:
        """Turns, and the columns of each beyond the first two; equal ones are one entry."""
        states = self.states[2:]
        found: list[tuple[int, list[bool]]] = []
        for first in range(0, len(states), 2 * TRIPLE):
            triple = states[first : first + 2 * TRIPLE]
            if found and found[-1][1] == triple:
                found[-1] = found[-1][0] + 1, triple
            else:
                found.append((1, triple))
        return found

    @property
    def load(self) -> str:
        """Instruction that loads the codes of a column: VLDRW must be aligned."""
        return "vldrw.32" if self.channels % 4 == 0 and not self.predicated else "vldrb.8"

    @property
    def steps_with_load(self) -> bool:
        """Whether a load can step to the next column."""
        return self.channels <= (MAX_WORD_OFFSET if self.load == "vldrw.32" else MAX_BYTE_OFFSET)

    def loads(self, first: int, states: list[bool]) -> list[str]:
        """Instructions that fill the registers from q`first` on."""
        found = []
        for register, inside in enumerate(states, first):
            if not inside:
                found.append(f"vdup.8  q{register}, r3")
                continue
            name = self.load.replace(".", "t.") if self.predicated else self.load
            found += ["vpst"] if self.predicated else []
            step = f", #{self.channels}" if self.steps_with_load else ""
            found.append(f"{name} q{register}, [r1]{step}")
            if not self.steps_with_load:
                found.append(f"add     r1, r1, #{self.channels}")
        return found

"""Addition and subtraction on cores with Helium (MVE)."""

from typing import Any, ClassVar

from edgecomp.fixedpoint import INT32_MIN
from edgecomp.kernels.base import Layer
from edgecomp.kernels.sums import SumKernel, constants_of
from edgecomp.ops.add import AddConstants
from edgecomp.targets.cores import Core

AT_ONCE = 16
"""Elements that the loop takes at once."""
FIRST_SHIFT = 16
"""Bits that the first of two narrowing shifts takes away; the second takes 1 to 8."""
LEAST_BITS, MOST_BITS = FIRST_SHIFT + 1, FIRST_SHIFT + 8


def floor_addend(k: AddConstants) -> int:
    """Return the addend with which two rounding shifts compute one floor.

    VQRSHRN adds half before it shifts: 2^15 at first, then 2^(bits - 17), which is 2^(bits - 1)
    before the first shift.  Both are subtracted here; nested floors are one floor.
    """
    return k.addend - (1 << (FIRST_SHIFT - 1)) - (1 << (k.fraction_bits - 1))


class AddMve(SumKernel):
    """Two multiplications with addition and two narrowing shifts for four elements."""

    name: ClassVar[str] = "add_mve"
    op: ClassVar[str] = "add"
    template: ClassVar[str] = "add/mve.c.j2"

    def lacks(self, core: Core) -> str | None:
        """Helium."""
        return None if core.mve else "the core lacks Helium (MVE)"

    def refusal(self, k: AddConstants) -> str | None:
        """Bits for two narrowing shifts, and sums of 32 bits."""
        if not LEAST_BITS <= k.fraction_bits <= MOST_BITS:
            return f"not {LEAST_BITS} to {MOST_BITS} fraction bits"
        if floor_addend(k) - 128 * (abs(k.multiplier_a) + abs(k.multiplier_b)) < INT32_MIN:
            return "a sum can leave int32"
        return None

    def context(self, layer: Layer) -> dict[str, Any]:
        """The loop and what is left over."""
        k = constants_of(layer)
        return {
            "k": k,
            "addend": floor_addend(k),
            "second_shift": k.fraction_bits - FIRST_SHIFT,
            "clamps": (k.low, k.high) != (-128, 127),
            "size": layer.output.size,
            "at_once": AT_ONCE,
            "turns": layer.output.size // AT_ONCE,
            "left_over": layer.output.size % AT_ONCE,
        }


class SubMve(AddMve):
    """Subtraction: an addition with a negative multiplier."""

    name: ClassVar[str] = "sub_mve"
    op: ClassVar[str] = "sub"

"""Addition and subtraction on cores with Helium (MVE)."""

from typing import Any, ClassVar

from edgecomp.fixedpoint import INT32_MIN
from edgecomp.kernels.base import Kernel, Layer
from edgecomp.kernels.events import broadcast_elements, in_order
from edgecomp.kernels.finish import sum_constants, sum_refusal
from edgecomp.kernels.schedule import Schedule
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


class AddMve(Kernel):
    """Two multiplications with addition and two narrowing shifts for four elements."""

    name: ClassVar[str] = "add_mve"
    op: ClassVar[str] = "add"
    template: ClassVar[str] = "add/mve.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Two computed operands of one shape."""
        if not core.mve:
            return "the core lacks Helium (MVE)"
        if reason := sum_refusal(layer):
            return reason
        if any(x.is_const or x.shape != layer.output.shape for x in layer.inputs):
            return "a constant or repeated operand"
        k = sum_constants(layer)
        assert k is not None
        if not LEAST_BITS <= k.fraction_bits <= MOST_BITS:
            return f"not {LEAST_BITS} to {MOST_BITS} fraction bits"
        if floor_addend(k) - 128 * (abs(k.multiplier_a) + abs(k.multiplier_b)) < INT32_MIN:
            return "a sum can leave int32"
        return None

    def schedule(self, layer: Layer) -> Schedule:
        """Element by element: that four are read before four are written only helps."""
        return in_order(*(broadcast_elements(x.shape, layer.output.shape) for x in layer.inputs))

    def context(self, layer: Layer) -> dict[str, Any]:
        """The loop and what is left over."""
        k = sum_constants(layer)
        assert k is not None
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

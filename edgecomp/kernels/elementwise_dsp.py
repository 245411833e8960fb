"""Addition and subtraction on cores with the DSP extension."""

from typing import Any, ClassVar

from edgecomp.kernels.base import Kernel, Layer
from edgecomp.kernels.events import broadcast_elements, in_order
from edgecomp.kernels.finish import sum_constants, sum_refusal
from edgecomp.kernels.schedule import Schedule
from edgecomp.targets.cores import Core

AT_ONCE = 16
"""Elements that the loop takes at once."""


class AddDsp(Kernel):
    """Two multiplications with addition and one SSAT per element, four elements at a time."""

    name: ClassVar[str] = "add_dsp"
    op: ClassVar[str] = "add"
    template: ClassVar[str] = "add/dsp.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Two computed operands of one shape."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        if reason := sum_refusal(layer):
            return reason
        if any(x.is_const or x.shape != layer.output.shape for x in layer.inputs):
            return "a constant or repeated operand"
        return None

    def schedule(self, layer: Layer) -> Schedule:
        """Element by element: that four are read before four are written only helps."""
        return in_order(*(broadcast_elements(x.shape, layer.output.shape) for x in layer.inputs))

    def context(self, layer: Layer) -> dict[str, Any]:
        """The loop and what is left over: layers that agree in these share a function."""
        size, k = layer.output.size, sum_constants(layer)
        assert k is not None
        turns, fours, ones = size // AT_ONCE, size % AT_ONCE // 4, size % 4
        shape = (k.fraction_bits, *((k.low, k.high) if (k.low, k.high) != (-128, 127) else ()))
        left_over = (f"and_{4 * fours + ones}",) if fours or ones else ()
        words = ("sums" if turns else "sum", *shape, *left_over)
        return {
            "k": k,
            "name": "_".join(str(word).replace("-", "m") for word in words),
            "size": size,
            "at_once": AT_ONCE,
            "turns": turns,
            "fours": fours,
            "ones": ones,
        }


class SubDsp(AddDsp):
    """Subtraction: an addition with a negative multiplier."""

    name: ClassVar[str] = "sub_dsp"
    op: ClassVar[str] = "sub"

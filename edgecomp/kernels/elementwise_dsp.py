"""Addition and subtraction on cores with the DSP extension."""

from typing import Any, ClassVar

from edgecomp.kernels.base import Layer
from edgecomp.kernels.sums import SumKernel, constants_of
from edgecomp.targets.cores import Core

AT_ONCE = 16
"""Elements that the loop takes at once."""


class AddDsp(SumKernel):
    """Two multiplications with addition and one SSAT per element, four elements at a time."""

    name: ClassVar[str] = "add_dsp"
    op: ClassVar[str] = "add"
    template: ClassVar[str] = "add/dsp.c.j2"

    def lacks(self, core: Core) -> str | None:
        """The DSP extension."""
        return None if core.dsp else "the core lacks the DSP extension"

    def context(self, layer: Layer) -> dict[str, Any]:
        """The loop and what is left over: layers that agree in these share a function."""
        size, k = layer.output.size, constants_of(layer)
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

"""Addition and subtraction on Armv7-M without the DSP extension."""

from typing import Any, ClassVar

from edgecomp.kernels.base import Layer
from edgecomp.kernels.gemm_m3 import clamp_suffix, core_refusal
from edgecomp.kernels.sums import SumKernel, constants_of
from edgecomp.targets.cores import Core

AT_ONCE = 8
"""Elements that the loop takes at once."""


class AddM3(SumKernel):
    """Two multiplications with addition and one SSAT per element, four elements at a time."""

    name: ClassVar[str] = "add_m3"
    op: ClassVar[str] = "add"
    template: ClassVar[str] = "add/m3.c.j2"

    def lacks(self, core: Core) -> str | None:
        """Armv7-M, without the DSP extension."""
        return core_refusal(core)

    def context(self, layer: Layer) -> dict[str, Any]:
        """The factors and the number of elements."""
        k = constants_of(layer)
        return {
            "k": k,
            "size": layer.output.size,
            "at_once": AT_ONCE,
            "name": f"ec_sum_{k.fraction_bits}{clamp_suffix(k)}",
        }


class SubM3(AddM3):
    """Subtraction: an addition with a negative multiplier."""

    name: ClassVar[str] = "sub_m3"
    op: ClassVar[str] = "sub"

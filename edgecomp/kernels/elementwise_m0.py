"""Addition and subtraction on Armv6-M."""

from typing import Any, ClassVar

from edgecomp.kernels.base import Layer
from edgecomp.kernels.conv2d_m0 import function_name
from edgecomp.kernels.sums import SumKernel, constants_of
from edgecomp.ops.add import AddConstants
from edgecomp.targets.cores import Core

UNROLL = 4
"""Elements that the loop takes at once, where their number allows it."""


class AddM0(SumKernel):
    """Two multiplications per element; layers share the function."""

    name: ClassVar[str] = "add_m0"
    op: ClassVar[str] = "add"
    template: ClassVar[str] = "add/m0.c.j2"

    def lacks(self, core: Core) -> str | None:
        """Armv6-M."""
        return None if core.is_v6m else "the core is not of Armv6-M"

    def refusal(self, k: AddConstants) -> str | None:
        """A point behind which there are bits."""
        return None if k.fraction_bits else "no bits behind the point"

    def context(self, layer: Layer) -> dict[str, Any]:
        """The function and its numbers."""
        size, k = layer.output.size, constants_of(layer)
        unroll = UNROLL if size % UNROLL == 0 else 1
        return {
            "k": k,
            "size": size,
            "unroll": unroll,
            "name": function_name("sum", unroll, k.fraction_bits, k.low, k.high),
        }


class SubM0(AddM0):
    """Subtraction: an addition with a negative multiplier."""

    name: ClassVar[str] = "sub_m0"
    op: ClassVar[str] = "sub"

"""Addition and subtraction on Armv6-M."""

from typing import Any, ClassVar

from edgecomp.kernels.base import Kernel, Layer
from edgecomp.kernels.conv2d_m0 import function_name
from edgecomp.kernels.events import broadcast_elements, in_order
from edgecomp.kernels.finish import sum_constants, sum_refusal
from edgecomp.kernels.schedule import Schedule
from edgecomp.targets.cores import Core

UNROLL = 4
"""Elements that the loop takes at once, where their number allows it."""


class AddM0(Kernel):
    """Two multiplications per element; layers share the function."""

    name: ClassVar[str] = "add_m0"
    op: ClassVar[str] = "add"
    template: ClassVar[str] = "add/m0.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Two computed operands of one shape."""
        if not core.is_v6m:
            return "the core is not of Armv6-M"
        if reason := sum_refusal(layer):
            return reason
        if any(x.is_const or x.shape != layer.output.shape for x in layer.inputs):
            return "a constant or repeated operand"
        k = sum_constants(layer)
        assert k is not None
        if k.fraction_bits == 0:
            return "no bits behind the point"
        return None

    def schedule(self, layer: Layer) -> Schedule:
        """Element by element."""
        return in_order(*(broadcast_elements(x.shape, layer.output.shape) for x in layer.inputs))

    def context(self, layer: Layer) -> dict[str, Any]:
        """The function and its numbers."""
        size, k = layer.output.size, sum_constants(layer)
        assert k is not None
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

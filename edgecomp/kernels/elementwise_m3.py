"""Addition and subtraction on Armv7-M without the DSP extension."""

from typing import Any, ClassVar

from edgecomp.kernels.base import Kernel, Layer
from edgecomp.kernels.events import broadcast_elements, in_order
from edgecomp.kernels.finish import sum_constants, sum_refusal
from edgecomp.kernels.gemm_m3 import clamp_suffix, core_refusal
from edgecomp.kernels.schedule import Schedule
from edgecomp.targets.cores import Core

AT_ONCE = 8
"""Elements that the loop takes at once."""


class AddM3(Kernel):
    """Two multiplications with addition and one SSAT per element, four elements at a time."""

    name: ClassVar[str] = "add_m3"
    op: ClassVar[str] = "add"
    template: ClassVar[str] = "add/m3.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Two computed operands of one shape."""
        if reason := core_refusal(core) or sum_refusal(layer):
            return reason
        if any(x.is_const or x.shape != layer.output.shape for x in layer.inputs):
            return "a constant or repeated operand"
        return None

    def schedule(self, layer: Layer) -> Schedule:
        """Element by element: that four are read before four are written only helps."""
        return in_order(*(broadcast_elements(x.shape, layer.output.shape) for x in layer.inputs))

    def context(self, layer: Layer) -> dict[str, Any]:
        """The factors and the number of elements."""
        k = sum_constants(layer)
        assert k is not None
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

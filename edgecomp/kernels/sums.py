"""What every core's kernel of an addition or subtraction shares."""

from abc import abstractmethod

from edgecomp.kernels.base import Kernel, Layer
from edgecomp.kernels.events import broadcast_elements, in_order
from edgecomp.kernels.finish import sum_constants
from edgecomp.kernels.schedule import Schedule
from edgecomp.ops.add import AddConstants
from edgecomp.targets.cores import Core


class SumKernel(Kernel):
    """Two products per element of two computed operands of one shape."""

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Two computed operands of one shape, and what the core adds to that."""
        if reason := self.lacks(core):
            return reason
        if sum_constants(layer) is None:
            return "no two products give TFLite's sum for every pair of codes"
        if any(x.is_const or x.shape != layer.output.shape for x in layer.inputs):
            return "a constant or repeated operand"
        return self.refusal(constants_of(layer))

    @abstractmethod
    def lacks(self, core: Core) -> str | None:
        """Say what keeps a core from it."""

    def refusal(self, k: AddConstants) -> str | None:
        """Say which integers it cannot compute with."""
        return None

    def schedule(self, layer: Layer) -> Schedule:
        """Element by element: that several are read before they are written only helps."""
        return in_order(*(broadcast_elements(x.shape, layer.output.shape) for x in layer.inputs))


def constants_of(layer: Layer) -> AddConstants:
    """The integers of a layer that a kernel takes."""
    k = sum_constants(layer)
    assert k is not None, layer.node.name
    return k

"""Sums over the frames of a ring and their means, in plain C."""

from typing import Any, ClassVar

from edgecomp.kernels.base import Kernel, Layer
from edgecomp.kernels.history_generic import place_of_number


class RunningSumGeneric(Kernel):
    """Add what comes and subtract what goes, one element after the other."""

    name: ClassVar[str] = "running_sum_generic"
    op: ClassVar[str] = "running_sum"
    template: ClassVar[str] = "history/running_sum.c.j2"
    in_place: ClassVar[tuple[int, ...]] = (0,)

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes."""
        ring = layer.params
        return {
            **place_of_number(layer),
            "slots": ring.slots,
            "step": ring.step,
            "elements": ring.frame_elements,
        }


class RunningMeanGeneric(Kernel):
    """One sum after the other."""

    name: ClassVar[str] = "running_mean_generic"
    op: ClassVar[str] = "running_mean"
    template: ClassVar[str] = "history/running_mean.c.j2"

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes and constants."""
        frames = layer.params.frames
        return {
            "k": layer.prepared,
            "elements": layer.output.size,
            "lowest": -128 * frames,
            "highest": 127 * frames,
        }

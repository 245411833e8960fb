"""Which kernel computes a layer."""

from edgecomp.errors import UnsupportedError
from edgecomp.kernels import KERNELS, Kernel, Layer
from edgecomp.kernels.base import Goal
from edgecomp.targets.cores import Core


def choose_kernel(layer: Layer, core: Core, goal: Goal = "balanced") -> Kernel:
    """Return the first kernel of the table that serves `goal` and can compute `layer` on `core`.

    Raises:
        UnsupportedError: there is none; the reasons of each are listed.
    """
    reasons = []
    for kernel in KERNELS.values():
        if kernel.op == layer.node.op and goal in kernel.goals:
            reason = kernel.applies(layer, core)
            if reason is None:
                return kernel
            reasons.append(f"{kernel.name}: {reason}")
    raise UnsupportedError(
        layer.node.op, layer.node.name, "; ".join(reasons) or "no kernel computes it"
    )

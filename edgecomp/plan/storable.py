"""Whether weights can be stored in a way: by what they are, and by what kernels do."""

import numpy as np

from edgecomp.errors import UserError
from edgecomp.kernels import DECODED, KERNELS, Layer
from edgecomp.kernels.stored import Stored
from edgecomp.plan.costs import PLAIN
from edgecomp.storage import STORAGES
from edgecomp.targets.cores import Core


def storage_refusal(layer: Layer, storage: str, core: Core, times: tuple[str, ...]) -> str | None:
    """Say why a layer's weights cannot be stored so; None if they can.

    Args:
        layer: with weights.
        storage: key of `STORAGES`.
        core: the processor.
        times: when the weights may be decoded, values of `Decode`.

    Raises:
        UserError: they could, but not be decoded at any of `times`.
    """
    if storage == PLAIN:
        return None
    if layer.stored_weights.dtype != np.int8:
        return "weights of 16 bits are stored as they are"
    reason = STORAGES[storage].refusal(layer.stored_weights)
    if reason is not None:
        return reason
    every = (*KERNELS.values(), *DECODED.values())
    able = [
        kernel
        for kernel in every
        if kernel.op == layer.node.op
        and kernel.storage == storage
        and layer.node.numerics in kernel.numerics
        and kernel.applies(layer, core) is None
    ]
    if any(kernel.decode in times for kernel in able):
        return None
    if able:
        known = " or ".join(sorted({str(kernel.decode) for kernel in able}))
        reason = f"no kernel decodes such a layer by {' or '.join(times)}, it can be {known}"
        if layer.decodes and len(layer.storages) == 1:
            raise UserError(f"layer {layer.node.name!r}, {storage} weights: {reason}")
        return reason
    generic = [
        kernel
        for kernel in KERNELS.values()
        if isinstance(kernel, Stored)
        and kernel.is_generic
        and (kernel.op, kernel.storage) == (layer.node.op, storage)
        and kernel.form_refusal(layer) is None
    ]
    return "; ".join(filter(None, (kernel.applies(layer, core) for kernel in generic)))

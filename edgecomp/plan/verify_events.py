"""The replay of a kernel's events where its output lies over one of its inputs."""

import numpy as np

from edgecomp.errors import InternalError
from edgecomp.kernels import Kernel, Layer


def check_events(where: str, kernel: Kernel, layer: Layer, index: int, gap: int) -> None:
    """Check that no event reads what an earlier one has overwritten.

    Args:
        where: begin of the message.
        kernel: computes the layer.
        layer: the layer.
        index: of the input that the output lies over.
        gap: bytes from the begin of the input to the begin of the output.

    Raises:
        InternalError: an element is lost before it is read, or the kernel allows no such thing.
    """
    source, result = layer.inputs[index], layer.output
    if gap >= source.size_bytes or -gap >= result.size_bytes:
        return
    schedule = kernel.schedule(layer)
    if schedule is None:
        if gap != 0 or index not in kernel.in_place_inputs(layer):
            raise InternalError(f"{where}, which {kernel.name} does not allow")
        return
    if index not in schedule.reads:
        raise InternalError(f"{where}, which {kernel.name} does not allow")
    reads = schedule.reads[index]
    last_read = np.full(source.size, -1)
    for event, (low, high) in enumerate(zip(reads.low.tolist(), reads.high.tolist(), strict=True)):
        last_read[low : high + 1] = event
    hit = schedule.writes + gap  # the element of the input over which each event writes
    events = np.arange(len(hit))
    inside = (hit >= 0) & (hit < source.size)
    lost = events[inside][last_read[hit[inside]] > events[inside]]
    if len(lost):
        raise InternalError(f"{where} before element {int(hit[lost[0]])} is read")

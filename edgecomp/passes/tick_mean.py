"""A mean over all frames: sums are kept, what comes is added and what goes subtracted."""

import math
from dataclasses import replace

import numpy as np

from edgecomp.ir import Node, State
from edgecomp.ops.history import RingParams
from edgecomp.ops.running import RunningMeanParams, digits_of
from edgecomp.ops.spatial import Window
from edgecomp.passes.ticks import Ticks, params_of

FEWEST = 8
"""Frames of which a mean is kept as sums: fewer are added up as fast."""


def running_mean(ticks: Ticks, node: Node) -> bool:
    """Add a mean over all frames of each feature by sums that are kept.

    Returns:
        Whether it was added: not where features are averaged as well, nor where the frames are not
        a whole number of ticks, nor by TFLite's arithmetic.
    """
    name = node.inputs[0]
    line, whole = ticks.lines[name], ticks.whole.tensors[name]
    length = whole.shape[line.axis]
    output = ticks.whole.tensors[node.output]
    elements = whole.size // length
    is_mean = node.op in {"reduce_mean", "average_pool"} and node.numerics == "edgecomp"
    is_whole = length % line.frames == 0 and line.delay % line.frames == 0
    is_outer = math.prod(whole.shape[: line.axis]) == 1
    if not (is_mean and is_whole and is_outer and output.size == elements and length >= FEWEST):
        return False
    if isinstance(params_of(node), Window) and math.prod(_kernel(node)) != length:
        return False
    code = ticks.zero(line) if line.fill is None else line.fill
    ring = RingParams(length, elements, line.frames)
    written = ticks.state(line, "ring", ring, ring.shape, code)
    kept = replace(whole, name=ticks.unused(f"{name}.sums"), shape=(1, 4 * elements))
    ticks.tensors[kept.name] = kept
    sums = ticks.layer(kept, "running_sum", [kept.name, written.source, line.name], ring)
    # What leaves the ring is read before it is written over.
    writer = [made.output for made in ticks.nodes].index(written.update)
    ticks.nodes.insert(writer, ticks.nodes.pop())
    first = digits_of(np.full(elements, code * length))
    ticks.states.append(State(kept.name, sums, tuple(first.tolist())))
    params = RunningMeanParams(
        ring.frames, ring.frame_elements, ring.step, output.shape, params_of(node).clamp
    )
    ticks.emit(replace(node, op="running_mean"), [sums], params)
    ticks.names[node.output] = node.output
    ticks.ready = max(ticks.ready, (length + line.delay) // line.frames - 1)
    return True


def _kernel(node: Node) -> tuple[int, int]:
    params = params_of(node)
    return params.kernel_h, params.kernel_w

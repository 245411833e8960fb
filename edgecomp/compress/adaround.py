"""AdaRound: which way each weight is rounded is learned, layer by layer.

Rounding to the nearest is not what keeps a layer's outputs nearest.  Each layer learns, from what
it sees in the network rounded so far, to give what the float network gives.  Source: M. Nagel et
al., "Up or down? Adaptive rounding for post-training quantization" (2020).
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecomp.compress.grids import MOST
from edgecomp.compress.train.graph_module import as_module, import_torch, with_constants
from edgecomp.compress.train.torch_ops import TORCH_OPS
from edgecomp.ir import Array, Graph, Node
from edgecomp.ir.weights import LINEAR

if TYPE_CHECKING:
    from torch import Tensor

STEPS = 500
"""Optimizer steps per layer."""
SAMPLES = 256
BATCH = 32
RATE = 0.02
WARM = 0.2
"""Share of the steps in which roundings move freely, before they are drawn to 0 or 1."""
PULL = 0.02
STRETCH = (-0.1, 1.1)
"""The rectified sigmoid reaches 0 and 1 at finite arguments."""


def adaround(
    graph: Graph,
    bits: Mapping[str, int],
    scales: Mapping[str, Array],
    inputs: Mapping[str, Array],
    seed: int,
    say: Callable[[str], None],
) -> Graph:
    """Round the weights in `bits` that are int4; the others are left alone.

    Args:
        graph: a float graph.
        bits: by the weights' name.
        scales: of the output channels, by the weights' name.
        inputs: training samples by graph input, `(samples, *shape)`; 256 are used.
        seed: of the order in which samples are seen.
        say: told of each layer.

    Returns:
        The graph, with weights on their grids.
    """
    torch = import_torch()
    few = [torch.tensor(inputs[name][:SAMPLES]) for name in graph.inputs]
    rounded = graph
    for node in graph.nodes:
        if node.op not in LINEAR or bits.get(node.inputs[1]) != 4:
            continue
        name = node.inputs[1]
        with torch.no_grad():
            goal = as_module(graph)(*few, names=(node.output,))[node.output]
            seen = as_module(rounded)(*few, names=(node.inputs[0],))[node.inputs[0]]
        value = _round_layer(rounded, node, seen, goal, scales[name], seed)
        say(f"{node.name}: rounded")
        rounded = with_constants(rounded, {name: value})
    return rounded


def _round_layer(
    graph: Graph, node: Node, seen: "Tensor", goal: "Tensor", scales: Array, seed: int
) -> Array:
    """Learn the roundings of one layer; return its weights."""
    torch = import_torch()
    value = torch.tensor(graph.tensors[node.inputs[1]].value)
    scale = torch.tensor(np.float32(scales)).reshape(-1, *(1,) * (value.dim() - 1))
    floor = torch.floor(value / scale)
    part = (value / scale - floor).clamp(0.01, 0.99)
    low, high = STRETCH
    free = torch.nn.Parameter(torch.logit((part - low) / (high - low)))
    rest: list[Any] = [torch.tensor(graph.tensors[name].value) for name in node.inputs[2:]]
    pruned = value == 0

    def weights(up: "Tensor") -> "Tensor":
        codes = (floor + up).clamp(-MOST[4], MOST[4])
        made: Tensor = torch.where(pruned, torch.zeros(()), codes * scale)
        return made

    def up_share() -> "Tensor":
        share: Tensor = (torch.sigmoid(free) * (high - low) + low).clamp(0, 1)
        return share

    optimizer = torch.optim.Adam([free], lr=RATE)
    generator = torch.Generator().manual_seed(seed)
    spread = goal.square().mean().clamp(min=1e-12)
    for index in range(STEPS):
        done = index / STEPS
        batch = torch.randint(len(seen), (min(BATCH, len(seen)),), generator=generator)
        optimizer.zero_grad()
        up = up_share()
        made = TORCH_OPS[node.op](graph, node, [seen[batch], weights(up), *rest])
        loss = (made - goal[batch]).square().mean() / spread
        if done > WARM:
            # From round to pointed: few roundings are left undecided at the end.
            power = 20 - 18 * (done - WARM) / (1 - WARM)
            loss = loss + PULL * (1 - (2 * up - 1).abs().pow(power)).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        result: Array = weights((up_share() >= 0.5).to(value.dtype)).numpy()
    return result

"""Every technique by the verb of its step."""

from collections.abc import Callable
from typing import Any

from edgecomp.compress.cluster import cluster_step
from edgecomp.compress.factorize import factorize_step
from edgecomp.compress.lottery import lottery_step
from edgecomp.compress.prune_channels import prune_channels
from edgecomp.compress.prune_weights import prune_weights
from edgecomp.compress.quantizing import quantize_step
from edgecomp.compress.retrain import train_step
from edgecomp.compress.storing import huffman_step, store_step
from edgecomp.compress.technique import Outcome, Workshop
from edgecomp.config import Prune
from edgecomp.ir import Graph

Technique = Callable[[Graph, Any, Workshop], Outcome]


def prune_step(graph: Graph, step: Prune, workshop: Workshop) -> Outcome:
    """Prune what the step says."""
    prune = prune_channels if step.what == "channels" else prune_weights
    return prune(graph, step, workshop)


TECHNIQUES: dict[str, Technique] = {
    "train": train_step,
    "distill": train_step,
    "prune": prune_step,
    "lottery": lottery_step,
    "factorize": factorize_step,
    "quantize": quantize_step,
    "cluster": cluster_step,
    "huffman": huffman_step,
    "store": store_step,
}
"""What each verb does."""

"""The steps that say how weights may lie in flash, and what they take there."""

import numpy as np

from edgecomp.compress.technique import Outcome, Workshop, chosen_weights
from edgecomp.compress.train.graph_module import weight_tensors
from edgecomp.config import Huffman, Store
from edgecomp.ir import Array, Graph, QParams, Tensor
from edgecomp.storage import STORAGES, allow_storage


def huffman_step(graph: Graph, step: Huffman, workshop: Workshop) -> Outcome:
    """Let the chosen layers' weights be Huffman coded."""
    return _stored(graph, step, workshop, ("huffman",))


def store_step(graph: Graph, step: Store, workshop: Workshop) -> Outcome:
    """Let the chosen layers' weights lie as the step says."""
    return _stored(graph, step, workshop, step.storages)


def _stored(
    graph: Graph, step: Huffman | Store, workshop: Workshop, storages: tuple[str, ...]
) -> Outcome:
    chosen = chosen_weights(graph, step)
    for name in chosen:
        graph = allow_storage(graph, name, storages, step.times)
    found = stored_bytes(graph)
    note = "bytes of weights: " + ", ".join(f"{count:,} as {name}" for name, count in found.items())
    for storage in storages:
        reasons = [STORAGES[storage].refusal(weight_codes(graph.tensors[n])) for n in chosen]
        if all(reasons):
            note += f"; {storage} can hold none of the layers: {reasons[0]}"
    return Outcome(graph, workshop.score(graph), note=note)


def allow_also(graph: Graph, names: tuple[str, ...], storage: str) -> Graph:
    """Let weights also lie in another way."""
    for name in names:
        tensor = graph.tensors[name]
        if storage not in tensor.storages:
            graph = allow_storage(graph, name, (*tensor.storages, storage), tensor.decode)
    return graph


def stored_bytes(graph: Graph) -> dict[str, int]:
    """Bytes of the weights of a float graph by storage, each in the smallest that it may have.

    Codes are those of the weights' own grids, or of one grid per output channel: what quantization
    gives them.  Which storage is taken for a board, the planner decides by its cost.
    """
    found: dict[str, int] = {}
    for name in weight_tensors(graph):
        tensor = graph.tensors[name]
        codes = weight_codes(tensor)
        best = min(
            (STORAGES[s].encode(codes).bytes, s)
            for s in (*tensor.storages, "dense8")
            if STORAGES[s].refusal(codes) is None and (s in tensor.storages or s == "dense8")
        )
        found[best[1]] = found.get(best[1], 0) + best[0]
    return dict(sorted(found.items()))


def weight_codes(tensor: Tensor) -> Array:
    """The int8 codes of float weights."""
    qparams = tensor.qparams
    if qparams is None:
        largest = np.abs(tensor.value.reshape(tensor.shape[0], -1)).max(axis=1).astype(np.float64)
        qparams = QParams.per_channel(np.where(largest > 0, largest, 1.0) / 127, 0)
    return qparams.quantize(tensor.value).astype(np.int8)

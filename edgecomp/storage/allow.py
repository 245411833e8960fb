"""Which storages the weights of a graph may have."""

from collections.abc import Iterable
from dataclasses import replace

from edgecomp.errors import UserError
from edgecomp.ir import Graph
from edgecomp.ir.weights import weights_of
from edgecomp.storage.table import STORAGES

DECODES = ("row", "layer", "boot")
"""When weights may be decoded: some output channels just before they are computed, a whole layer
before it is computed, all once before the first inference."""


def allow_storage(
    graph: Graph, tensor: str, storages: Iterable[str], decode: Iterable[str] = ()
) -> Graph:
    """Return `graph` with a weight constant that may be stored in these ways.

    The planner takes the best of them for its goal; where each would cost both flash and cycles it
    keeps plain int8 and says so.  The mark survives quantization.

    Args:
        graph: a float or quantized graph.
        tensor: name of the weights of a layer; those of a recurrent layer lie in one way, so that
            its other matrix is marked as well.
        storages: keys of `STORAGES`.
        decode: when coded weights may be decoded, of `DECODES`; whatever is best unless given.

    Raises:
        UserError: there is no such storage, no such time, or no such weights.
    """
    names = tuple(dict.fromkeys(storages))
    for name in names:
        if name not in STORAGES:
            raise UserError(f"no storage is called {name!r}; there are {', '.join(STORAGES)}")
    times = tuple(dict.fromkeys(decode))
    for time in times:
        if time not in DECODES:
            raise UserError(f"weights are not decoded {time!r}; there are {', '.join(DECODES)}")
    together = [weights_of(graph, node) for node in graph.nodes]
    marked = {name for names in together if tensor in names for name in names}
    if not marked:
        known = ", ".join(sorted({name for names in together for name in names})) or "none"
        raise UserError(f"{tensor!r} is not the weights of a layer; there are {known}")
    if not names:
        raise UserError(f"no storage is given for {tensor!r}; there are {', '.join(STORAGES)}")
    allowed = {n: replace(graph.tensors[n], storages=names, decode=times) for n in marked}
    return graph.replace(tensors={**graph.tensors, **allowed})

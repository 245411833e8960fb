"""Inputs that are indices of tables: which numbers their samples may have."""

import numpy as np

from edgecomp.data.preprocessing import Preprocessing
from edgecomp.errors import UserError
from edgecomp.ir import Array, Graph

_MOVEMENTS = frozenset({"reshape", "transpose", "gather", "concat"})
"""Operators behind which indices are still the same numbers."""


def index_limits(graph: Graph) -> dict[str, int]:
    """Rows of the smallest table that each graph input, moved or not, chooses from, by input."""
    producers = graph.producers()
    limits: dict[str, int] = {}
    for node in graph.nodes:
        if node.op != "embedding":
            continue
        rows, names = graph.tensors[node.inputs[1]].shape[0], [node.inputs[0]]
        while names:
            name = names.pop()
            maker = producers.get(name)
            if name in graph.inputs:
                limits[name] = min(rows, limits.get(name, rows))
            elif maker is not None and maker.op in _MOVEMENTS:
                names += maker.inputs
    return limits


def check_indices(
    source: str, key: str, array: Array, rows: int, preprocessing: Preprocessing
) -> None:
    """Refuse samples that are no indices of a table of so many rows.

    Args:
        source: what the user called the data set.
        key: the array's name in it.
        array: samples of an input.
        rows: of the table.
        preprocessing: which would make other numbers of them.

    Raises:
        UserError: they are not whole, or outside of the table, or would be scaled.
    """
    if preprocessing != Preprocessing(layout=preprocessing.layout):
        raise UserError(
            f"{source}: array {key!r} has indices of a table, which scale, mean and std would "
            "change\n  leave these out"
        )
    whole = array.dtype.kind in "ui" or bool(np.all(array == np.floor(array)))
    if not whole or (array.size and not 0 <= array.min() <= array.max() < rows):
        found = f"{array.min():g} to {array.max():g}" + ("" if whole else ", not all of them whole")
        raise UserError(
            f"{source}: array {key!r} must have indices of a table of {rows:,} rows, "
            f"0 to {rows - 1:,}; it has {found}"
        )

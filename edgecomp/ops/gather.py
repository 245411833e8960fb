"""Elements chosen by constant indices: slices, tiles, crops, nearest neighbours, borders.

Every layer that takes whole rows, columns or channels of its input, in any order and as often as it
likes, is this one operator.  Source of the semantics: numpy's `take` along each axis.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.ir import Array, OpParams, Shape, Tensor
from edgecomp.ops.base import Builder, Constraint, ImportedNode
from edgecomp.ops.movement import Movement

Indices = tuple[int, ...] | None


@dataclass(frozen=True)
class GatherParams(OpParams):
    """For each axis the input's index at each of the output's, or None for all in order."""

    indices: tuple[Indices, ...]


def indices_are_inside(params: GatherParams, inputs: Sequence[Tensor]) -> bool:
    """Indices must lie inside the input, at least one for each axis."""
    return all(
        index is None or (len(index) > 0 and min(index) >= 0 and max(index) < n)
        for index, n in zip(params.indices, inputs[0].shape, strict=True)
    )


class Gather(Movement[GatherParams]):
    """`output[i, j, …] = input[indices[0][i], indices[1][j], …]`, with constant indices."""

    name: ClassVar[str] = "gather"

    def constraints(self) -> Sequence[Constraint[GatherParams]]:
        """Limits of a choice of elements."""
        return (indices_are_inside,)

    def infer(self, params: GatherParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: the number of indices of each axis."""
        return tuple(
            n if index is None else len(index)
            for index, n in zip(params.indices, inputs[0].shape, strict=True)
        )

    def float_ref(
        self, params: GatherParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Take the elements of each sample."""
        return taken(params, arrays[0], first_axis=1)


def taken(params: GatherParams, array: Array, *, first_axis: int = 0) -> Array:
    """Take elements of an array whose axes begin at `first_axis`."""
    for axis, index in enumerate(params.indices):
        if index is not None:
            array = np.take(array, np.asarray(index, np.int64), axis=axis + first_axis)
    return array


def emit_gather(
    build: Builder,
    node: ImportedNode,
    name: str,
    chosen: Mapping[int, Sequence[int]],
    suffix: str = "",
) -> str:
    """Emit a choice of elements; nothing where every axis stays as it is.

    Args:
        build: the graph in the making.
        node: the layer of the file.
        name: its input.
        chosen: indices by axis; the other axes stay.
        suffix: of the layer's name, see `Builder.emit`.
    """
    shape = build.shape(name)
    indices = tuple(
        tuple(int(i) for i in chosen[axis])
        if axis in chosen and list(chosen[axis]) != list(range(n))
        else None
        for axis, n in enumerate(shape)
    )
    if any(index is not None and not index for index in indices):
        raise build.unsupported(node, "its result would be empty", "remove the layer")
    if all(index is None for index in indices):
        return name
    return build.emit("gather", [name], GatherParams(indices), node, suffix)

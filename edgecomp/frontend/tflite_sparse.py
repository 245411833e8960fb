"""TFLite's sparse constants: stored by levels, each dense or with the places that are not 0.

The levels are the tensor's axes in some order, and behind them the axes of its blocks.
Source: TensorFlow Lite `schema/schema.fbs`, `SparsityParameters`.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecomp.ir import Array, Shape

_DENSE, _CSR = 0, 1
_MOST_LEVELS = 16


@dataclass(frozen=True)
class Level:
    """One axis in the order in which the elements are stored.

    Attributes:
        axis: of the tensor, or behind these the number of an axis of its blocks.
        size: indices of a dense level; 0 of a sparse one.
        segments: for each place of the level before, where its entries begin; and the end.
        indices: of the entries of a sparse level.
    """

    axis: int
    size: int
    segments: Array | None = None
    indices: Array | None = None


def dense_elements(sparsity: Any, values: Array, shape: Shape) -> Array:
    """The elements of a constant that is stored sparsely.

    Args:
        sparsity: the schema's `SparsityParameters`.
        values: what is stored, in order.
        shape: of the constant.

    Raises:
        ValueError: the levels do not fit the shape or the values.
    """
    count = sparsity.DimMetadataLength()
    order = [int(sparsity.TraversalOrder(i)) for i in range(sparsity.TraversalOrderLength())]
    blocks = [int(sparsity.BlockMap(i)) for i in range(sparsity.BlockMapLength())]
    rank = len(shape)
    fits = count == rank + len(blocks) <= _MOST_LEVELS and sorted(order) == list(range(count))
    if not fits or any(not 0 <= axis < rank for axis in blocks) or len(set(blocks)) < len(blocks):
        raise ValueError(f"sparse levels {order} in blocks of the axes {blocks} for {shape}")
    levels = [_level(sparsity.DimMetadata(i), axis) for i, axis in enumerate(order)]
    places, coordinates = _walk(levels, math.prod(shape))
    if len(places) != len(values):
        raise ValueError(f"{len(values)} values for {len(places)} sparse places")
    index = [coordinates[axis] for axis in range(rank)]
    for number, axis in enumerate(blocks):
        (level,) = (one for one in levels if one.axis == rank + number)
        index[axis] = index[axis] * level.size + coordinates[rank + number]
    for places_of_axis, size in zip(index, shape, strict=True):
        if len(places_of_axis) and not 0 <= places_of_axis.min() <= places_of_axis.max() < size:
            raise ValueError(f"a sparse index outside of {shape}")
    dense = np.zeros(shape, values.dtype)
    dense[tuple(index)] = values
    return dense


def _level(metadata: Any, axis: int) -> Level:
    if metadata.Format() == _DENSE:
        return Level(axis, int(metadata.DenseSize()))
    if metadata.Format() != _CSR:
        raise ValueError(f"a sparse level of format {metadata.Format()}")
    segments = _numbers(metadata.ArraySegmentsType(), metadata.ArraySegments())
    return Level(axis, 0, segments, _numbers(metadata.ArrayIndicesType(), metadata.ArrayIndices()))


def _numbers(kind: int, table: Any) -> Array:
    """A vector of 32, 16 or 8 bits."""
    import tflite

    names = {
        tflite.SparseIndexVector.Int32Vector: "Int32Vector",
        tflite.SparseIndexVector.Uint16Vector: "Uint16Vector",
        tflite.SparseIndexVector.Uint8Vector: "Uint8Vector",
    }
    if table is None or kind not in names:
        raise ValueError("a sparse level without indices")
    vector = getattr(tflite, names[kind])()
    vector.Init(table.Bytes, table.Pos)
    return np.asarray(vector.ValuesAsNumpy(), np.int64).reshape(-1)


def _walk(levels: list[Level], most: int) -> tuple[Array, dict[int, Array]]:
    """Places of the values in their order, and for each the index on every level's axis."""
    places = np.zeros(1, np.int64)
    found: dict[int, Array] = {}
    for level in levels:
        if level.segments is None or level.indices is None:
            if not 0 < level.size <= most or len(places) * level.size > most:
                raise ValueError(f"a sparse level of {level.size} indices")
            repeat = np.full(len(places), level.size)
            index = np.tile(np.arange(level.size), len(places))
            places = np.repeat(places, level.size) * level.size + index
        else:
            ends = level.segments
            steps = np.diff(ends)
            inside = len(steps) > int(places.max(initial=-1)) and steps.min(initial=0) >= 0
            if (
                not (inside and len(ends))
                or ends[0] != 0
                or ends[-1] != len(level.indices)
                or ends[-1] > most
            ):
                raise ValueError("the segments of a sparse level do not fit")
            repeat = steps[places]
            starts = np.repeat(ends[places], repeat)
            before = np.repeat(np.cumsum(repeat) - repeat, repeat)
            places = starts + np.arange(len(starts)) - before
            index = level.indices[places]
        found = {axis: np.repeat(given, repeat) for axis, given in found.items()}
        found[level.axis] = index
    return places, found

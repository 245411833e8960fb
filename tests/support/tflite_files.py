"""TFLite files made by hand, with sparse constants as TensorFlow's tools write them."""

from dataclasses import dataclass

import flatbuffers
import numpy as np
import tflite


@dataclass(frozen=True)
class SparseLevels:
    """How a constant is stored: axes in order, the sizes of blocks, which levels are sparse."""

    order: tuple[int, ...]
    sparse: tuple[bool, ...]
    blocks: tuple[tuple[int, int], ...] = ()
    width: type = np.int32


def _ints(b, start, add, numbers):
    start(b, len(numbers))
    for number in reversed(numbers):
        add(b, int(number))
    return b.EndVector()


def expanded(dense, levels):
    """The constant with the axes of its blocks behind its own, in the levels' order."""
    shape, rank = list(dense.shape), dense.ndim
    split, last = [], []
    sizes = dict(levels.blocks)
    for axis in range(rank):
        size = sizes.get(axis)
        split += [shape[axis] // size, size] if size else [shape[axis]]
    array, places, at = dense.reshape(split), {}, 0
    for axis in range(rank):
        places[axis] = at
        at += 1
        if axis in sizes:
            last.append((axis, at))
            at += 1
    for number, (axis, _) in enumerate(levels.blocks):
        places[rank + number] = dict(last)[axis]
    return array.transpose([places[axis] for axis in levels.order])


def encoded(dense, levels):
    """Values in order, and for each level either its size or segments and indices."""
    array = expanded(dense, levels)
    found, prefixes = [], [()]
    for depth, is_sparse in enumerate(levels.sparse):
        size = array.shape[depth]
        if not is_sparse:
            found.append(size)
            prefixes = [(*p, i) for p in prefixes for i in range(size)]
            continue
        segments, indices, kept = [0], [], []
        for p in prefixes:
            here = [i for i in range(size) if np.any(array[(*p, i)])]
            indices += here
            kept += [(*p, i) for i in here]
            segments.append(len(indices))
        found.append((segments, indices))
        prefixes = kept
    return np.array([array[p] for p in prefixes], dense.dtype), found


def sparsity(b, dense, levels):
    """Write `SparsityParameters`; return the values that are stored and the table."""
    values, found = encoded(dense, levels)
    names = {np.int32: "Int32Vector", np.uint16: "Uint16Vector", np.uint8: "Uint8Vector"}
    name = names[levels.width]
    kind = getattr(tflite.SparseIndexVector, name)
    metadata = []
    for level in found:
        vectors = []
        for numbers in () if isinstance(level, int) else level:
            vector = b.CreateNumpyVector(np.array(numbers, levels.width))
            getattr(tflite, f"{name}Start")(b)
            getattr(tflite, f"{name}AddValues")(b, vector)
            vectors.append(getattr(tflite, f"{name}End")(b))
        tflite.DimensionMetadataStart(b)
        tflite.DimensionMetadataAddFormat(b, 1 if vectors else 0)
        if vectors:
            tflite.DimensionMetadataAddArraySegmentsType(b, kind)
            tflite.DimensionMetadataAddArraySegments(b, vectors[0])
            tflite.DimensionMetadataAddArrayIndicesType(b, kind)
            tflite.DimensionMetadataAddArrayIndices(b, vectors[1])
        else:
            tflite.DimensionMetadataAddDenseSize(b, level)
        metadata.append(tflite.DimensionMetadataEnd(b))
    tflite.SparsityParametersStartDimMetadataVector(b, len(metadata))
    for offset in reversed(metadata):
        b.PrependUOffsetTRelative(offset)
    metadata_vector = b.EndVector()
    order = b.CreateNumpyVector(np.array(levels.order, np.int32))
    blocks = b.CreateNumpyVector(np.array([axis for axis, _ in levels.blocks], np.int32))
    tflite.SparsityParametersStart(b)
    tflite.SparsityParametersAddTraversalOrder(b, order)
    tflite.SparsityParametersAddBlockMap(b, blocks)
    tflite.SparsityParametersAddDimMetadata(b, metadata_vector)
    return values, tflite.SparsityParametersEnd(b)


def read_sparsity(dense, levels):
    """Values, and the schema's table of how they are stored."""
    b = flatbuffers.Builder(256)
    values, table = sparsity(b, dense, levels)
    b.Finish(table)
    return values, tflite.SparsityParameters.GetRootAs(b.Output(), 0)

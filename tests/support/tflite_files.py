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
    metadata_vector = _tables(b, tflite.SparsityParametersStartDimMetadataVector, metadata)
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


def sparse_layer(dense, levels, *, densify):
    """A float model of one FULLY_CONNECTED whose weights are stored sparsely."""
    b = flatbuffers.Builder(1024)
    values, table = sparsity(b, dense, levels)
    outputs, inputs = dense.shape
    tensors = [
        _tensor(b, "x", (1, inputs), 0),
        _tensor(b, "w", dense.shape, 1, table),
        _tensor(b, "y", (1, outputs), 0),
    ]
    names = ["FULLY_CONNECTED"]
    operators = [_operator(b, 0, (0, 3 if densify else 1), (2,))]
    if densify:
        tensors.append(_tensor(b, "w.dense", dense.shape, 0))
        names.append("DENSIFY")
        operators.insert(0, _operator(b, 1, (1,), (3,)))
    buffers = []
    for content in (None, values.tobytes()):
        data = None if content is None else b.CreateByteVector(content)
        tflite.BufferStart(b)
        if data is not None:
            tflite.BufferAddData(b, data)
        buffers.append(tflite.BufferEnd(b))
    codes = []
    for name in names:
        number = getattr(tflite.BuiltinOperator, name)
        tflite.OperatorCodeStart(b)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(b, number)
        tflite.OperatorCodeAddBuiltinCode(b, number)
        codes.append(tflite.OperatorCodeEnd(b))
    vectors = [
        _tables(b, tflite.SubGraphStartTensorsVector, tensors),
        _tables(b, tflite.SubGraphStartOperatorsVector, operators),
        b.CreateNumpyVector(np.array([0], np.int32)),
        b.CreateNumpyVector(np.array([2], np.int32)),
    ]
    tflite.SubGraphStart(b)
    tflite.SubGraphAddTensors(b, vectors[0])
    tflite.SubGraphAddOperators(b, vectors[1])
    tflite.SubGraphAddInputs(b, vectors[2])
    tflite.SubGraphAddOutputs(b, vectors[3])
    graphs = _tables(b, tflite.ModelStartSubgraphsVector, [tflite.SubGraphEnd(b)])
    code_vector = _tables(b, tflite.ModelStartOperatorCodesVector, codes)
    buffer_vector = _tables(b, tflite.ModelStartBuffersVector, buffers)
    tflite.ModelStart(b)
    tflite.ModelAddVersion(b, 3)
    tflite.ModelAddOperatorCodes(b, code_vector)
    tflite.ModelAddSubgraphs(b, graphs)
    tflite.ModelAddBuffers(b, buffer_vector)
    b.Finish(tflite.ModelEnd(b), b"TFL3")
    return bytes(b.Output())


def _tables(b, start, offsets):
    start(b, len(offsets))
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()


def _tensor(b, name, shape, buffer, table=None):
    label, axes = b.CreateString(name), b.CreateNumpyVector(np.array(shape, np.int32))
    tflite.TensorStart(b)
    tflite.TensorAddName(b, label)
    tflite.TensorAddShape(b, axes)
    tflite.TensorAddBuffer(b, buffer)
    if table is not None:
        tflite.TensorAddSparsity(b, table)
    return tflite.TensorEnd(b)


def _operator(b, code, inputs, outputs):
    read, made = (b.CreateNumpyVector(np.array(part, np.int32)) for part in (inputs, outputs))
    tflite.OperatorStart(b)
    tflite.OperatorAddOpcodeIndex(b, code)
    tflite.OperatorAddInputs(b, read)
    tflite.OperatorAddOutputs(b, made)
    return tflite.OperatorEnd(b)

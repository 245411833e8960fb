"""ONNX's sparse constants become dense ones, before anything else looks at the graph.

Source: ONNX `SparseTensorProto`, `GraphProto.sparse_initializer`, Constant's `sparse_value`.
"""

import math

import numpy as np
import onnx
from onnx import numpy_helper

from edgecomp.errors import UserError
from edgecomp.frontend.limits import LARGEST_CONSTANT, check_size


def with_dense_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with every sparse constant written out.

    Raises:
        UserError: a constant's indices do not fit its shape or its values.
    """
    sparse = list(model.graph.sparse_initializer)
    if sparse:
        made = [_dense(constant, constant.values.name) for constant in sparse]
        del model.graph.sparse_initializer[:]
        model.graph.initializer.extend(made)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.SPARSE_TENSOR:
                dense = _dense(attribute.sparse_tensor, node.output[0] if node.output else "")
                attribute.CopyFrom(onnx.helper.make_attribute("value", dense))
    return model


def _dense(constant: onnx.SparseTensorProto, name: str) -> onnx.TensorProto:
    shape = tuple(int(n) for n in constant.dims)
    check_size(name, shape, LARGEST_CONSTANT)
    try:
        values = numpy_helper.to_array(constant.values)
        indices = numpy_helper.to_array(constant.indices).astype(np.int64)
    except (ValueError, TypeError) as error:
        raise UserError(f"the sparse constant {name!r} is damaged: {error}") from error
    if indices.ndim == 2 and indices.shape[1] == len(shape):
        inside = bool((indices >= 0).all() and (indices < np.array(shape)).all())
        flat = np.ravel_multi_index(tuple(indices.T), shape) if inside else indices
    else:
        flat = indices
        inside = indices.ndim == 1 and bool(
            (indices >= 0).all() and (indices < math.prod(shape)).all()
        )
    if not inside or values.ndim != 1 or len(flat) != len(values):
        raise UserError(
            f"the sparse constant {name!r} is damaged: its indices do not fit the shape "
            f"{'x'.join(map(str, shape))} and {values.size} values"
        )
    dense = np.zeros(math.prod(shape), values.dtype)
    dense[flat] = values
    return numpy_helper.from_array(dense.reshape(shape), name)

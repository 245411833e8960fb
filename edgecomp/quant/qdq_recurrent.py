"""Recurrent layers as ONNX operators: real numbers inside, codes at both ends."""

from typing import Any

import numpy as np
from onnx import helper

from edgecomp.errors import InternalError
from edgecomp.ir import Array, Node, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.gru import GruParams
from edgecomp.ops.lstm import LstmParams
from edgecomp.ops.recurrent import Recurrent, RecurrentParams
from edgecomp.ops.rnn import RnnParams
from edgecomp.quant.qdq_builder import QdqBuilder
from edgecomp.quant.qdq_spatial import Emitted, operands, real_name

BATCH_SECOND = (1, 0, 2)


def emit_recurrent(build: QdqBuilder, node: Node) -> Emitted:
    """Add an LSTM, GRU or RNN.

    Hidden states are quantized where they leave the layer, not from step to step: the codes of
    later steps may differ from the device's.

    Raises:
        InternalError: the layer keeps its state from call to call, or clips its cell.
    """
    params, op = node.params, OPS[node.op]
    assert isinstance(params, RecurrentParams)
    assert isinstance(op, Recurrent)
    if "state" in {params.begins, params.emits}:
        raise InternalError("a network that keeps states cannot be written as ONNX")
    if isinstance(params, LstmParams) and not np.isinf(params.cell_clip):
        raise InternalError("ONNX's LSTM has no clipped cells")
    tensors: dict[str, Tensor] = op.by_role(params, operands(build, node))
    x = build.take(tensors["x"].name, first=False)
    inputs = [
        build.emit("Transpose", [x], f"{node.name}.steps", perm=BATCH_SECOND),
        *(
            build.dequantized(tensors[role], tensors[role].value[None], axis=1)
            for role in ("weights", "recurrent")
        ),
        build.constant(_biases(tensors["bias"].value, op.gates, tensors), f"{node.name}.bias"),
        "",
        *_starts(build, node, tensors),
    ]
    inputs[7:] = [
        build.constant(tensors[role].value.reshape(1, -1).astype(np.float32), f"{node.name}.p")
        for role in ("peepholes",)
        if role in tensors
    ]
    place = {"sequence": 0, "last": 1, "memory": 2}[params.emits]
    made = build.unique(f"{node.output}.steps")
    outputs = [*[""] * place, made]
    while not inputs[-1]:
        inputs.pop()
    attributes = {"hidden_size": op.units(list(tensors.values())), **_attributes(params)}
    build.nodes.append(helper.make_node(node.op.upper(), inputs, outputs, name=made, **attributes))
    if params.emits == "sequence":
        axis = build.constant(np.array([1], np.int64), f"{node.name}.direction")
        made = build.emit("Squeeze", [made, axis], f"{node.output}.rows")
    return build.emit("Transpose", [made], real_name(node), perm=BATCH_SECOND), False


def _biases(bias: Array, gates: int, tensors: dict[str, Tensor]) -> Array:
    """Both biases of ONNX, `(1, 2 * gates * units)`; the second one has what is kept apart."""
    rows = gates * tensors["recurrent"].shape[1]
    both = np.zeros((2, rows), np.float32)
    both[0] = bias[:rows]
    if len(bias) > rows:
        both[1, rows - (len(bias) - rows) :] = bias[rows:]
    return both.reshape(1, -1)


def _starts(build: QdqBuilder, node: Node, tensors: dict[str, Tensor]) -> list[str]:
    """The states to begin with, `(1, batch, units)`; the empty string for zeros."""
    names = []
    shape = (1, tensors["x"].shape[0], tensors["recurrent"].shape[1])
    for role in ("hidden", "memory"):
        tensor = tensors.get(role)
        if tensor is None:
            names.append("")
        elif tensor.is_const:
            value = np.broadcast_to(tensor.value, shape[1:]).astype(np.float32).reshape(shape)
            names.append(build.constant(value, f"{node.name}.{role}"))
        else:
            wanted = build.constant(np.array(shape, np.int64), f"{node.name}.{role}.shape")
            taken = build.take(tensor.name, first=False)
            names.append(build.emit("Reshape", [taken, wanted], f"{node.name}.{role}"))
    return names


def _attributes(params: RecurrentParams) -> dict[str, Any]:
    found: dict[str, Any] = {} if np.isinf(params.clip) else {"clip": params.clip}
    match params:
        case LstmParams(coupled=True):
            found["input_forget"] = 1
        case GruParams(reset_after=after):
            found["linear_before_reset"] = int(after)
        case RnnParams(activation="relu"):
            found["activations"] = ["Relu"]
    return found

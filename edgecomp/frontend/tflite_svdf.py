"""SVDF, a recurrent layer of keyword spotters: features of now and of earlier runs, weighed by age.

It becomes a dense layer, whose outputs join a window that is a state of the network, and a
convolution over that window with a group of `rank` features for each unit.
Source: `tensorflow/lite/micro/kernels/svdf_common.cc` (`EvalIntegerSvdfReference`); R. Alvarez,
R. Prabhavalkar, A. Bakhtin, *On the Efficient Representation and Execution of Deep Acoustic
Models*, 2016.
"""

from dataclasses import replace

from edgecomp.frontend.onnx_builder import GraphBuilder
from edgecomp.frontend.tflite_file import TfliteFile, TfliteOperator, TfliteTensor
from edgecomp.frontend.tflite_more import constant_input
from edgecomp.ir import QParams
from edgecomp.ops.base import ImportedNode
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.dense import DenseParams
from edgecomp.ops.history import ShiftParams

SVDF = "SVDF"
_FEATURES, _TIME, _BIAS, _STATE = 1, 2, 3, 4


def with_svdf_states(file: TfliteFile) -> TfliteFile:
    """Take the states of SVDFs out of a file, and show them to the importer."""
    tensors = list(file.tensors)
    operators = tuple(
        _without_state(op, tensors) if op.op_type == SVDF else op for op in file.operators
    )
    return replace(file, tensors=tuple(tensors), operators=operators)


def _without_state(operator: TfliteOperator, tensors: list[TfliteTensor]) -> TfliteOperator:
    if len(operator.inputs) <= _STATE or min(operator.inputs[_TIME], operator.inputs[_STATE]) < 0:
        return operator
    index = operator.inputs[_STATE]
    given = {"state": tensors[index], "time": tensors[operator.inputs[_TIME]].dtype}
    tensors[index] = replace(tensors[index], is_variable=False)
    inputs = (*operator.inputs[:_STATE], -1)
    return replace(operator, inputs=inputs, options={**operator.options, **given})


def import_svdf(node: ImportedNode, build: GraphBuilder) -> str:
    """SVDF of one sequence, with a state of int8 or int16."""
    x, state = node.inputs[0], node.attrs["state"]
    narrow, wide = {"int8"}, {"int16"}
    if {state.dtype, node.attrs["time"]} not in (narrow, wide) or state.zero_point != (0,):
        raise build.unsupported(
            node,
            f"a state of {state.dtype} with weights over time of {node.attrs['time']}",
            "quantize both to int8 or int16, with zero point 0",
        )
    features, time = (constant_input(node, build, n, "the weights") for n in (_FEATURES, _TIME))
    rank, shape = int(node.attrs.get("Rank", 0)), build.shape(x)
    filters, memory = time.shape
    fits = rank > 0 and filters % rank == 0 and features.shape == (filters, shape[-1])
    if shape[:-1] != (1,) or not fits:
        raise build.unsupported(
            node, f"an input of {shape} with weights of {features.shape} and {time.shape}"
        )
    qparams = replace(QParams.per_tensor(state.scale[0]), is_wide=state.dtype == "int16")
    weights = build.constant(features, f"{node.name}.features", "OI", node.inputs[_FEATURES])
    frame = build.emit("dense", [x, weights], DenseParams(), node, ".features")
    build.annotate(frame, qparams)
    frame = build.reshape(frame, (1, 1, 1, filters), node)
    source = build.add_state(f"{node.name}.state", (1, memory, 1, filters), qparams)
    window = build.emit("shift", [source, frame], ShiftParams(1), node, ".window")
    build.keep(source, window, (0,))
    units = filters // rank
    ordered = time.reshape(units, rank, memory, 1).transpose(0, 2, 3, 1)
    inputs = [window, build.constant(ordered, f"{node.name}.time", "OHWI", node.inputs[_TIME])]
    if node.has_input(_BIAS):
        bias = constant_input(node, build, _BIAS, "the bias")
        inputs.append(build.constant(bias, f"{node.name}.bias", "O", node.inputs[_BIAS]))
    params = Conv2dParams(kernel_h=memory, kernel_w=1, groups=units)
    y = build.emit("conv2d", inputs, params, node)
    return build.reshape(y, (1, units), node)

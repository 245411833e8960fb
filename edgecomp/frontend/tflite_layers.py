"""How each TFLite operator becomes layers of the graph.

TFLite lies as the device does: NHWC activations, OHWI weights.  Depthwise weights are 1HWC.
Source: TensorFlow Lite `schema/schema.fbs`, `kernels/padding.h`, `kernels/internal/reference`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgecomp.frontend.onnx_builder import GraphBuilder
from edgecomp.frontend.tflite_functions import FUNCTIONS
from edgecomp.frontend.tflite_lstm import OPERATOR, import_lstm
from edgecomp.frontend.tflite_more import MORE_TFLITE, TfliteImporter, constant_input
from edgecomp.frontend.tflite_svdf import SVDF, import_svdf
from edgecomp.ir import NO_CLAMP, Clamp
from edgecomp.ops.add import AddParams
from edgecomp.ops.base import ImportedNode
from edgecomp.ops.batches import emit_conv2d
from edgecomp.ops.binary import align, import_binary
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.dense import DenseParams
from edgecomp.ops.div import import_division
from edgecomp.ops.expression import X, call
from edgecomp.ops.maximum import MaximumParams
from edgecomp.ops.movement import ConcatParams, PadParams
from edgecomp.ops.mul import MulParams
from edgecomp.ops.pool import AveragePoolParams, MaxPoolParams
from edgecomp.ops.power import import_power
from edgecomp.ops.reduce_mean import ReduceMeanParams
from edgecomp.ops.spatial import Window
from edgecomp.ops.unary import UnaryParams

_ACTIVATIONS: Mapping[int, Clamp] = {
    0: NO_CLAMP,
    1: Clamp(0.0, math.inf),
    2: Clamp(-1.0, 1.0),
    3: Clamp(0.0, 6.0),
}
_SAME = 0


def _clamp(node: ImportedNode, build: GraphBuilder) -> Clamp:
    """The fused activation, as bounds."""
    number = int(node.attrs.get("FusedActivationFunction", 0))
    if number not in _ACTIVATIONS:
        raise build.unsupported(node, f"the fused activation {number} (tanh or sign bit)")
    return _ACTIVATIONS[number]


def _window(
    node: ImportedNode, build: GraphBuilder, kernel: Sequence[int], shape: Sequence[int]
) -> Window:
    """Strides, dilations and padding of a window over an NHWC `shape`."""
    strides = [int(node.attrs.get(f"Stride{axis}", 1)) for axis in "HW"]
    dilations = [int(node.attrs.get(f"Dilation{axis}Factor", 1)) for axis in "HW"]
    if min(*strides, *dilations, *kernel) < 1 or len(shape) != 4:
        raise build.unsupported(node, "strides, dilations and windows must be positive, inputs 4-D")
    pads = []
    for size, window, stride, dilation in zip(shape[1:3], kernel, strides, dilations, strict=True):
        span = dilation * (window - 1) + 1
        total = 0
        if int(node.attrs.get("Padding", _SAME)) == _SAME:
            total = max(0, (-(-size // stride) - 1) * stride + span - size)
        if size + total < span:
            raise build.unsupported(node, "the kernel is larger than its padded input")
        pads.append((total // 2, total - total // 2))
    return Window(
        kernel_h=int(kernel[0]), kernel_w=int(kernel[1]),
        stride_h=strides[0], stride_w=strides[1],
        dilation_h=dilations[0], dilation_w=dilations[1],
        pad_top=pads[0][0], pad_bottom=pads[0][1], pad_left=pads[1][0], pad_right=pads[1][1],
    )  # fmt: skip


def _linear_inputs(
    node: ImportedNode, build: GraphBuilder, x: str, weights: np.ndarray, layout: str
) -> list[str]:
    inputs = [x, build.constant(weights, f"{node.name}.weights", layout, node.inputs[1])]
    if node.has_input(2):
        bias = constant_input(node, build, 2, "the bias")
        inputs.append(build.constant(bias, f"{node.name}.bias", "O", node.inputs[2]))
    return inputs


def _has_wide(build: GraphBuilder, names: Sequence[str]) -> bool:
    """Whether an operand has int16 codes."""
    computed = (name for name in names if name and build.value(name) is None)
    return any(q is not None and q.is_wide for q in map(build.qparams, computed))


def _refuse_narrow_bias(node: ImportedNode, build: GraphBuilder, inputs: list[str]) -> None:
    """Refuse what TFLite would read as 64 bits."""
    if _has_wide(build, inputs[:1]) and len(inputs) > 2:
        q = build.qparams(inputs[2])
        if q is None or not q.is_wide:
            raise build.unsupported(node, "int16 activations need a bias of int64")


def _conv(node: ImportedNode, build: GraphBuilder) -> str:
    """CONV_2D; groups follow from the shapes."""
    weights = constant_input(node, build, 1, "the weights")
    shape = build.shape(node.inputs[0])
    window = _window(node, build, weights.shape[1:3], shape)
    groups = max(shape[3] // weights.shape[3], 1)
    params = Conv2dParams(**vars(window), groups=groups, clamp=_clamp(node, build))
    inputs = _linear_inputs(node, build, node.inputs[0], weights, "OHWI")
    return emit_conv2d(node, build, inputs, params)


def _depthwise(node: ImportedNode, build: GraphBuilder) -> str:
    """DEPTHWISE_CONV_2D."""
    weights = constant_input(node, build, 1, "the weights")
    shape = build.shape(node.inputs[0])
    window = _window(node, build, weights.shape[1:3], shape)
    params = Conv2dParams(**vars(window), groups=shape[3], clamp=_clamp(node, build))
    moved = np.ascontiguousarray(weights.transpose(3, 1, 2, 0))
    inputs = _linear_inputs(node, build, node.inputs[0], moved, "OHWI")
    _refuse_narrow_bias(node, build, inputs)
    return emit_conv2d(node, build, inputs, params)


def _fully_connected(node: ImportedNode, build: GraphBuilder) -> str:
    """FULLY_CONNECTED; leading axes become one unless they are kept."""
    if int(node.attrs.get("WeightsFormat", 0)):
        raise build.unsupported(node, "shuffled weights")
    weights = constant_input(node, build, 1, "the weights")
    x, width = node.inputs[0], weights.shape[1]
    shape = build.shape(x)
    keeps = bool(node.attrs.get("KeepNumDims", False))
    if math.prod(shape) % width:
        raise build.unsupported(node, f"{math.prod(shape)} inputs for weights of {width}")
    if shape[-1] != width or (len(shape) > 2 and not keeps):
        x = build.reshape(x, (math.prod(shape) // width, width), node)
    inputs = _linear_inputs(node, build, x, weights, "OI")
    return build.emit("dense", inputs, DenseParams(_clamp(node, build)), node)


def _pool(node: ImportedNode, build: GraphBuilder) -> str:
    """AVERAGE_POOL_2D and MAX_POOL_2D; averages leave the padding out."""
    kernel = (int(node.attrs["FilterHeight"]), int(node.attrs["FilterWidth"]))
    window = vars(_window(node, build, kernel, build.shape(node.inputs[0])))
    clamp = _clamp(node, build)
    if node.op_type == "AVERAGE_POOL_2D":
        params = AveragePoolParams(**window, clamp=clamp)
        return build.emit("average_pool", node.inputs[:1], params, node)
    y = build.emit("max_pool", node.inputs[:1], MaxPoolParams(**window), node)
    return _clamped(node, build, y, clamp)


def _clamped(node: ImportedNode, build: GraphBuilder, name: str, clamp: Clamp) -> str:
    """Apply a fused activation that the layer itself cannot hold."""
    if clamp == NO_CLAMP:
        return name
    expr = call("clip", X, clamp.low, clamp.high)
    return build.emit("unary", [name], UnaryParams(expr), node, ".activation")


def _binary(op: str, function: str, params: AddParams | MulParams) -> TfliteImporter:
    """Importer of an element-wise operator of two operands with a fused activation."""

    def importer(node: ImportedNode, build: GraphBuilder) -> str:
        clamped = replace(params, clamp=_clamp(node, build))
        if _has_wide(build, node.inputs):
            # Functions of int16 codes are no tables: a number stays an operand.
            return build.emit(op, align(node, build), clamped, node)
        return import_binary(op, function, clamped)(node, build)

    return importer


def _squared_difference(node: ImportedNode, build: GraphBuilder) -> str:
    """SQUARED_DIFFERENCE, as a difference and a table."""
    difference = import_binary("sub", "sub", AddParams())(node, build)
    return build.emit("unary", [difference], UnaryParams(call("mul", X, X)), node, ".squared")


def _division(node: ImportedNode, build: GraphBuilder) -> str:
    return _clamped(node, build, import_division(node, build), _clamp(node, build))


def _mean(node: ImportedNode, build: GraphBuilder) -> str:
    axes = constant_input(node, build, 1, "the axes").reshape(-1).tolist()
    rank = len(build.shape(node.inputs[0]))
    if any(not -rank <= axis < rank for axis in axes):
        raise build.unsupported(node, f"axes {axes} of an input with {rank} axes")
    params = ReduceMeanParams(
        tuple(sorted({int(axis) % rank for axis in axes})), bool(node.attrs.get("KeepDims", False))
    )
    return build.emit("reduce_mean", node.inputs[:1], params, node)


def _reshape(node: ImportedNode, build: GraphBuilder) -> str:
    """RESHAPE, SQUEEZE and EXPAND_DIMS: the file says the output's shape."""
    shape = tuple(node.attrs["shape"])
    if math.prod(shape) != math.prod(build.shape(node.inputs[0])):
        raise build.unsupported(node, "the output has another number of elements")
    return build.reshape(node.inputs[0], shape, node)


def _transpose(node: ImportedNode, build: GraphBuilder) -> str:
    perm = [int(axis) for axis in constant_input(node, build, 1, "the permutation").reshape(-1)]
    if sorted(perm) != list(range(len(build.shape(node.inputs[0])))):
        raise build.unsupported(node, f"{perm} is no permutation of the input's axes")
    return build.transpose(node.inputs[0], perm, node)


def _pad(node: ImportedNode, build: GraphBuilder) -> str:
    """PAD and PADV2."""
    widths = constant_input(node, build, 1, "the widths").reshape(-1, 2)
    if len(widths) != len(build.shape(node.inputs[0])) or widths.min(initial=0) < 0:
        raise build.unsupported(node, "the widths must be positive, two per axis")
    value = 0.0
    if node.has_input(2):
        value = float(constant_input(node, build, 2, "the value").reshape(()))
    before, after = (tuple(int(n) for n in column) for column in widths.T)
    return build.emit("pad", node.inputs[:1], PadParams(before, after, value), node)


def _concat(node: ImportedNode, build: GraphBuilder) -> str:
    rank = len(build.shape(node.inputs[0]))
    axis = int(node.attrs.get("Axis", 0))
    if not -rank <= axis < rank:
        raise build.unsupported(node, f"axis {axis} of inputs with {rank} axes")
    axis %= rank
    others = [(*shape[:axis], *shape[axis + 1 :]) for shape in map(build.shape, node.inputs)]
    if any(other != others[0] for other in others):
        raise ValueError("its inputs differ along another axis")
    y = build.emit("concat", node.inputs, ConcatParams(axis), node)
    return _clamped(node, build, y, _clamp(node, build))


TFLITE: Mapping[str, TfliteImporter] = {
    **MORE_TFLITE,
    **FUNCTIONS,
    OPERATOR: import_lstm,
    SVDF: import_svdf,
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "ADD": _binary("add", "add", AddParams()),
    "SUB": _binary("sub", "sub", AddParams()),
    "MUL": _binary("mul", "mul", MulParams()),
    "DIV": _division,
    "MINIMUM": import_binary("minimum", "min", MaximumParams()),
    "MAXIMUM": import_binary("maximum", "max", MaximumParams()),
    "POW": import_power,
    "SQUARED_DIFFERENCE": _squared_difference,
    "MEAN": _mean,
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
    "TRANSPOSE": _transpose,
    "PAD": _pad,
    "PADV2": _pad,
    "CONCATENATION": _concat,
}
"""Every operator that can be imported, by its name in the schema."""

"""One small network for every reason to refuse a layer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from edgecomp.frontend.tflite_file import TfliteFile, TfliteOperator, TfliteTensor
from tests.frontend import refusals_lstm, refusals_variables
from tests.frontend.onnx_cases import make_model, node

Shape = tuple[int, ...]
IMAGE = (1, 2, 6, 6)
RNG = np.random.default_rng(5)


def reals(*shape: int) -> np.ndarray:
    return RNG.normal(0, 0.5, shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@dataclass(frozen=True)
class Onnx:
    """A network of one layer, what is said of it, and what is suggested.

    Attributes:
        reason: part of what is said.
        op: the operator.
        inputs: `x` and `z` are inputs of the network, others constants; `-` is absent.
        shape: of `x`.
        constants: by name.
        attributes: of the layer.
        instead: part of the suggestion.
        second: shape of `z`.
        opset: operator set.
        before: layers before it.
        outputs: its results, all of them outputs of the network; `*` before one that is not.
    """

    reason: str
    op: str
    inputs: str = "x"
    shape: Shape = IMAGE
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    instead: str = ""
    second: Shape = (1, 2, 6, 6)
    opset: int = 17
    before: tuple[onnx.NodeProto, ...] = ()
    outputs: str = "y"
    types: Mapping[str, int] = field(default_factory=dict)

    def model(self) -> onnx.ModelProto:
        inputs = {"x": self.shape}
        words = {word for made in self.before for word in made.input} | set(self.inputs.split())
        if "z" in words:
            inputs["z"] = self.second
        names = self.outputs.replace("*", "")
        wanted = [name for name in self.outputs.split() if name[0] != "*"]
        layer = node(self.op, self.inputs, names, "layer", **self.attributes)
        return make_model(
            [*self.before, layer],
            inputs,
            wanted,
            self.constants,
            opset=self.opset,
            types=self.types,
        )


FLAT = "use 1-D, 2-D or 3-D layers"
VOLUME = (1, 2, 4, 4, 4)
POOL = {"kernel_shape": [2, 2]}
WEIGHTS = {"w": reals(2, 2, 3, 3)}
STATES = {"w": reals(1, 8, 3), "r": reals(1, 8, 2)}
UNIT = np.array(0.1, np.float32)
ZERO = np.array(0, np.int8)
QUANTIZED = (node("QuantizeLinear", "x s z0", "q"),)
INDICES = (node("ArgMax", "x", "i", axis=0, keepdims=0),)
INTEGERS = (node("Cast", "x", "i", to=TensorProto.INT32),)
UNKNOWN = (node("Unheard", "x", "u", domain="com.microsoft"),)
"""Where there is such a layer, ONNX cannot say beforehand that others make no sense."""
_SAME = helper.make_tensor_value_info("r", TensorProto.FLOAT, IMAGE)
SAME = helper.make_graph([node("Relu", "x", "r")], "same", [], [_SAME])

ONNX = (
    Onnx("not supported", "CumProd", "x a", constants={"a": np.array(1)}, opset=26,
         instead="Split"),
    Onnx("not supported", "Det", instead="host"),
    Onnx("condition is computed", "If", "c", attributes={"then_branch": SAME, "else_branch": SAME},
         before=(node("ReduceMax", "x", "l", keepdims=0),
                 node("Cast", "l", "c", to=TensorProto.BOOL)), instead="condition fixed"),
    Onnx("an index among 300", "Hardmax", shape=(1, 300), instead="scores"),
    Onnx("depth must be", "OneHot", "i z v", before=INDICES, second=(1,),
         constants={"v": np.float32([0, 1])}),
    Onnx("a depth of 300", "OneHot", "i d v", before=INDICES,
         constants={"d": np.array(300), "v": np.float32([0, 1])}, instead="look it up"),
    Onnx("bias or alpha", "LRN", attributes={"size": 3, "bias": 0.0}, instead="bias 1"),
    Onnx("the norm 0", "GlobalLpPool", attributes={"p": 0}, instead="p = 1"),
    Onnx("not supported", "Det", shape=(1, 2, 6, 6), instead="on the host"),
    Onnx("4 spatial axes", "AveragePool", shape=(*VOLUME, 4),
         attributes={"kernel_shape": [2, 2, 2, 2]}, instead=FLAT),
    Onnx("4 spatial axes", "Conv", "x w", (*VOLUME, 4), {"w": reals(2, 2, 2, 2, 2, 2)},
         instead=FLAT),
    Onnx("negative padding", "MaxPool", attributes={**POOL, "pads": [-1, 0, 0, 0]}, before=UNKNOWN,
         instead="crop with Slice"),
    Onnx("larger than its padded", "Conv", "x w", (1, 2, 2, 2), WEIGHTS),
    Onnx("every window", "MaxPool", shape=(1, 2, 2, 2), attributes={**POOL, "pads": [2, 2, 2, 2]}),
    Onnx("every window", "AveragePool", shape=(1, 2, 2, 2),
         attributes={**POOL, "pads": [2, 2, 2, 2]}),
    Onnx("every window", "AveragePool", shape=VOLUME, instead="less than the kernel",
         attributes={"kernel_shape": [2, 2, 2], "pads": [2, 0, 0, 2, 0, 0]}),
    Onnx("every window", "MaxPool", shape=(1, 1, 4, 4), outputs="y i",
         attributes={**POOL, "pads": [2, 0, 2, 0]}, types={"i": TensorProto.INT64}),
    Onnx("indices of 288 elements", "MaxPool", shape=(1, 2, 12, 12), attributes=POOL,
         outputs="y i", types={"i": TensorProto.INT64}, instead="first output only"),
    Onnx("weights must be a constant", "Conv", "x z", second=(2, 2, 3, 3),
         instead="folded weights"),
    Onnx("bias must be a constant", "Conv", "x w z", constants=WEIGHTS, second=(2,)),
    Onnx("statistics must be constants", "BatchNormalization", "x z z z z", second=(2,),
         instead="evaluation mode"),
    Onnx("smaller than their stride", "ConvTranspose", "x w", constants={"w": reals(2, 2, 1, 1)},
         attributes={"strides": [2, 2], "auto_pad": "SAME_UPPER"}, instead="say pads"),
    Onnx("an output of", "ConvTranspose", "x w", (1, 2, 1, 1), {"w": reals(2, 2, 2, 2)},
         {"pads": [1, 1, 1, 1]}),
    Onnx("weights must be a constant", "ConvTranspose", "x z", second=(2, 2, 3, 3)),
    Onnx("4 spatial axes", "ConvTranspose", "x w", (*VOLUME, 4), {"w": reals(2, 2, 2, 2, 2, 2)},
         instead=FLAT),
    Onnx("bias must be a constant", "ConvTranspose", "x w z", constants=WEIGHTS, second=(2,)),
    Onnx("its R must be constant", "LSTM", "x w z", (4, 1, 3), STATES, {"hidden_size": 2},
         second=(1, 8, 2)),
    Onnx("its W is (1, 6, 3)", "LSTM", "x w r", (4, 1, 3),
         {"w": reals(1, 6, 3), "r": reals(1, 8, 2)}, {"hidden_size": 2}),
    Onnx("a length other than", "LSTM", "x w r - n", (4, 1, 3),
         {**STATES, "n": np.array([3], np.int32)}, {"hidden_size": 2}, instead="one length"),
    Onnx("activations relu", "LSTM", "x w r", (4, 1, 3), STATES,
         {"hidden_size": 2, "activations": ["Relu", "Tanh", "Tanh"]}, instead="use sigmoid"),
    Onnx("activations sigmoid", "RNN", "x w r", (4, 1, 3),
         {"w": reals(1, 2, 3), "r": reals(1, 2, 2)},
         {"hidden_size": 2, "activations": ["Sigmoid"]}, instead="tanh or relu"),
    Onnx("the divisor has zeros", "Div", "x k", constants={"k": np.zeros((6, 6), np.float32)}),
    Onnx("bounds must be constants", "Clip", "x z", second=()),
    Onnx("must be constant", "Pow", "x z", instead="Exp, Log"),
    Onnx("not positive", "Pow", "k x", constants={"k": reals(6)}, instead="one constant"),
    Onnx("72 different exponents", "Pow", "x k", constants={"k": reals(2, 6, 6)},
         instead="Exp, Log"),
    Onnx("slope must be a constant", "PRelu", "x z"),
    Onnx("slopes of shape (5,)", "PRelu", "x k", constants={"k": reals(5)}),
    Onnx("shape must be constant", "Reshape", "x i", (4,),
         before=(node("ArgMax", "x", "i", axis=0),)),
    Onnx("cannot become", "Reshape", "x s", ("N", 4), {"s": ints(2, 4)}, instead="batch 1"),
    Onnx("axis 7 of an input", "Split", "x", attributes={"axis": 7}, before=UNKNOWN),
    Onnx("a step of 0", "Slice", "x a b c d", before=UNKNOWN, constants={
        "a": ints(0), "b": ints(2), "c": ints(1), "d": ints(0)}),
    Onnx("cannot be cut into", "Split", "x s", ("N", 2), {"s": ints(1, 1)}, {"axis": 0},
         outputs="y *other"),
    Onnx("pieces for 2 outputs", "Split", "x s", constants={"s": ints(2, 2, 2)},
         attributes={"axis": 2}, outputs="y *other", before=UNKNOWN),
    Onnx("cannot become", "Expand", "x s", ("N", 5), {"s": ints(1, 3)}, before=UNKNOWN),
    Onnx("what they choose from must be constant", "Gather", "x i", before=INDICES,
         instead="outside the network"),
    Onnx("rows of a table of int64", "Gather", "k i", before=INDICES, constants={"k": ints(4, 7)},
         types={"y": TensorProto.INT64}, instead="real numbers"),
    Onnx("table has 33,000 rows", "Gather", "k x", (1, 5), {"k": reals(33000, 2)},
         types={"x": TensorProto.INT64}, instead="a smaller vocabulary"),
    Onnx("'x' has whole numbers", "Relu", opset=14, instead="as float",
         types={"x": TensorProto.INT32, "y": TensorProto.INT32}),
    Onnx("indices must be constant", "GatherElements", "k i", before=INDICES,
         constants={"k": reals(4, 7)}, instead="outside the network"),
    Onnx("outside of an axis of 6", "GatherElements", "x k", attributes={"axis": 2},
         constants={"k": ints(9).reshape(1, 1, 1, 1)}),
    Onnx("indices of (2, 1)", "GatherND", "x k", attributes={"batch_dims": 1}, before=UNKNOWN,
         constants={"k": ints(1, 1).reshape(2, 1)}),
    Onnx("17 updates of one place", "ScatterND", "x k z", (4, 2), opset=18, second=(17, 2),
         constants={"k": np.ones((17, 1), np.int64)}, attributes={"reduction": "add"},
         instead="Reduce"),
    Onnx("result would be empty", "Compress", "x k", constants={"k": np.zeros(2, bool)},
         attributes={"axis": 1}, instead="remove the layer", before=UNKNOWN),
    Onnx("indices outside", "Gather", "x k", constants={"k": ints(9)}, attributes={"axis": 2}),
    Onnx("channels in blocks", "DepthToSpace", attributes={"blocksize": 3}),
    Onnx("a map of 6x6", "SpaceToDepth", attributes={"blocksize": 4}),
    Onnx("result would be empty", "Slice", "x a b c", constants={
        "a": ints(2), "b": ints(2), "c": ints(2)}, instead="remove the layer"),
    Onnx("gain and offset must be", "LayerNormalization", "x z", second=(6,)),
    Onnx("2 channels in 3 groups", "GroupNormalization", "x k k", opset=21,
         constants={"k": np.ones(2, np.float32)}, attributes={"num_groups": 3}),
    Onnx("at most 32,768", "LayerNormalization", "x k", (1, 40_000),
         {"k": np.ones(40_000, np.float32)}),
    Onnx("along 3 axes", "Resize", "x - s", VOLUME, {"s": np.float32([1, 1, 2, 2, 2])},
         {"mode": "linear"}, instead="two axes at a time"),
    Onnx("scales must be constant", "Resize", "x - z", second=(4,)),
    Onnx("needed for every axis", "Resize", "x - s", ("N", 2, 3, 3), {"s": np.float32([2, 2])},
         before=UNKNOWN),
    Onnx("would be empty", "Resize", "x - s", constants={"s": np.float32([1, 1, 0.1, 1])},
         instead="enlarge"),
    Onnx("area interpolation", "Resize", "x - s", constants={"s": np.float32([1, 1, 2, 2])},
         attributes={"mode": "area"}, instead="mode linear"),
    Onnx("the coordinates middle", "Resize", "x - s", constants={"s": np.float32([1, 1, 2, 2])},
         attributes={"coordinate_transformation_mode": "middle"}),
    Onnx("region must be constant", "Resize", "x z s", constants={"s": np.float32([1, 1, 2, 2])},
         attributes={"coordinate_transformation_mode": "tf_crop_and_resize"}, second=(8,)),
    Onnx("region lies outside", "Resize", "x r s", instead="another one",
         constants={"r": np.float32([0, 0, 1.1, 0, 1, 1, 1.2, 1]), "s": np.float32([1, 1, 2, 2])},
         attributes={"coordinate_transformation_mode": "tf_crop_and_resize"}),
    Onnx("two numbers per axis", "Pad", "x p", ("N", 4), {"p": ints(1, 1)}, before=UNKNOWN),
    Onnx("cannot be reflected", "Pad", "x p", (1, 1, 4), {"p": ints(0, 1, 0, 0, 0, 0)},
         {"mode": "reflect"}),
    Onnx("the mode 'mirror'", "Pad", "x p", constants={"p": ints(*[1] * 8)},
         attributes={"mode": "mirror"}),
    Onnx("padding value must be constant", "Pad", "x p z", constants={"p": ints(*[1] * 8)},
         second=()),
    Onnx("padding value must be finite", "Pad", "x p k", constants={
        "p": ints(0, 0, 1, 1, 0, 0, 0, 0), "k": np.float32(-np.inf)}),
    Onnx("an index among 300", "ArgMax", shape=(1, 300), attributes={"axis": 1},
         types={"y": TensorProto.INT64},
         instead="end the network"),
    Onnx("7 elements of 6", "TopK", "x k", constants={"k": ints(7)}, outputs="y *other",
         before=UNKNOWN),
    Onnx("an index among 300", "TopK", "x k", (1, 300), {"k": ints(2)}, outputs="y other",
         types={"other": TensorProto.INT64}, instead="on the host"),
    Onnx("at most 1,048,576", "TopK", "x k", (1, 1100), {"k": ints(1000)}, outputs="y *other"),
    Onnx("quantized per tensor", "QuantizeLinear", "x s", constants={"s": np.float32([0.1, 0.2])},
         attributes={"axis": 1}, types={"y": TensorProto.UINT8},
         instead="only weights per channel"),
    Onnx("activations are int16", "QuantizeLinear", "x s k", opset=21,
         constants={"s": UNIT, "k": np.array(0, np.int16)}, types={"y": TensorProto.INT16}),
    Onnx("constants of int16", "DequantizeLinear", "k s", opset=21,
         constants={"k": np.zeros((2, 2), np.int16), "s": UNIT}, before=(node("Relu", "x", "r"),)),
    Onnx("quantization by blocks", "QuantizeLinear", "x s", (1, 4), opset=21,
         attributes={"block_size": 2}, constants={"s": reals(1, 2)},
         types={"y": TensorProto.UINT8}),
    Onnx("quantized per tensor", "DequantizeLinear", "q t z1", before=QUANTIZED,
         constants={"s": UNIT, "z0": ZERO, "t": np.float32([0.1, 0.2]), "z1": np.zeros(2, np.int8)},
         attributes={"axis": 1}, instead="only weights per channel"),
    Onnx("must be constants", "QuantizeLinear", "x z", second=(), instead="quantize statically",
         types={"y": TensorProto.UINT8}),
    Onnx("not a positive number", "QuantizeLinear", "x s", constants={"s": np.float32(-1)},
         types={"y": TensorProto.UINT8}),
    Onnx("its input 'q' is integer", "Relu", "q", opset=14, before=QUANTIZED,
         constants={"s": UNIT, "z0": ZERO}, instead="QDQ form", types={"y": TensorProto.INT8}),
    Onnx("codes of a scale", "Cast", "q", before=QUANTIZED, constants={"s": UNIT, "z0": ZERO},
         attributes={"to": TensorProto.INT32}, types={"y": TensorProto.INT32}, instead="QDQ form"),
    Onnx("differs from that of", "DequantizeLinear", "q t z0", before=QUANTIZED,
         constants={"s": UNIT, "z0": ZERO, "t": np.float32(0.3)}),
    Onnx("further output", "BatchNormalization", "x k k k k", opset=13,
         constants={"k": np.ones(2, np.float32)}, outputs="y mean *var *a *b"),
    Onnx("it drops elements", "Dropout", "x r t", instead="evaluation mode",
         constants={"r": np.float32(0.5), "t": np.array(True)}),
    Onnx("constant places", "SequenceAt", "q i", before=(
        node("SplitToSequence", "x k", "q", axis=2), *INDICES), constants={"k": ints(2, 4)},
        shape=(5, 2, 6)),
    Onnx("cannot become STRING", "Cast", attributes={"to": TensorProto.STRING},
         types={"y": TensorProto.STRING}, instead="cast to float"),
    Onnx("could become huge", "Cast", "i", before=INTEGERS, attributes={"to": TensorProto.UINT32},
         types={"y": TensorProto.UINT32}, instead="clip at 0"),
    Onnx("one constant number only", "Div", "i i", before=INTEGERS, instead="cast to float",
         types={"y": TensorProto.INT32}),
    Onnx("33,025 products", "MatMul", "x z", (1, 2, 33_100), second=(1, 33_100, 2)),
)  # fmt: skip
"""A reason each; the layers are as small as they can be."""


@dataclass(frozen=True)
class Tflite:
    """A TFLite file of one layer.

    Attributes:
        reason: part of what is said.
        op: the operator.
        inputs: shapes of computed inputs, arrays of constant ones.
        output: shape of the result.
        options: the builtin options.
        instead: part of the suggestion.
        dtype: of the computed inputs.
        outputs: how many results there are.
    """

    reason: str
    op: str
    inputs: tuple[Any, ...] = ((1, 6, 6, 2),)
    output: Shape = (1, 6, 6, 2)
    options: Mapping[str, Any] = field(default_factory=dict)
    instead: str = ""
    dtype: str = "float32"
    outputs: int = 1

    def file(self) -> TfliteFile:
        tensors = [
            TfliteTensor(f"t{n}", given.shape, str(given.dtype), given)
            if isinstance(given, np.ndarray)
            else TfliteTensor(f"t{n}", given, self.dtype if n == 0 else "float32")
            for n, given in enumerate(self.inputs)
        ]
        count = len(tensors)
        results = tuple(range(count, count + self.outputs))
        tensors += [TfliteTensor(f"t{n}", self.output, "float32") for n in results]
        layer = TfliteOperator(self.op, 0, tuple(range(count)), results, self.options)
        computed = tuple(n for n in range(count) if tensors[n].data is None)
        if self.dtype == "float32":
            return TfliteFile(tuple(tensors), (layer,), computed, results)
        # Only layers before it can make what no input may be.
        real = TfliteTensor("x", tensors[0].shape, "float32")
        before = TfliteOperator("ABS", 0, (len(tensors),), (0,))
        return TfliteFile((*tensors, real), (before, layer), (len(tensors),), results)


def numbers(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


MAP = (1, 6, 6, 2)
OHWI = reals(2, 3, 3, 2)

TFLITE = (
    Tflite("not supported", "CUSTOM Thing", instead="docs/ops.md"),
    Tflite("fused activation 4", "ADD", (MAP, MAP), options={"FusedActivationFunction": 4}),
    Tflite("must be positive", "MAX_POOL_2D", options={"FilterHeight": 2, "FilterWidth": 2,
                                                       "StrideH": 0}),
    Tflite("larger than its padded", "CONV_2D", ((1, 2, 2, 2), OHWI),
           options={"Padding": 1, "StrideH": 1, "StrideW": 1}),
    Tflite("shuffled weights", "FULLY_CONNECTED", ((1, 4), reals(2, 4)), (1, 2),
           {"WeightsFormat": 1}),
    Tflite("inputs for weights of", "FULLY_CONNECTED", ((1, 5), reals(2, 4)), (1, 2)),
    Tflite("one number, or one per channel", "PRELU", (MAP, reals(6, 1))),
    Tflite("axes [7]", "MEAN", (MAP, numbers(7)), (1, 6, 6)),
    Tflite("another number of elements", "RESHAPE", (MAP, numbers(5)), (5,)),
    Tflite("no permutation", "TRANSPOSE", (MAP, numbers(0, 1, 1, 2))),
    Tflite("must be positive, two per axis", "PAD", (MAP, np.full((4, 2), -1, np.int32))),
    Tflite("every input must be computed", "CONCATENATION", (MAP, reals(*MAP)), (1, 6, 6, 4),
           options={"Axis": 3}),
    Tflite("axis 9", "CONCATENATION", (MAP, MAP), options={"Axis": 9}),
    Tflite("0 outputs", "ABS", outputs=0),
    Tflite("2 outputs", "ABS", outputs=2),
    Tflite("its input is a constant", "ABS", (reals(1, 4),), (1, 4), instead="fold it"),
    Tflite("activations of int32", "ABS", dtype="int32"),
    Tflite("the weights must be a constant", "CONV_2D", (MAP, (2, 3, 3, 2))),
    Tflite("reaches outside", "SLICE", (MAP, numbers(0, 5, 0, 0), numbers(1, 5, 1, 1))),
    Tflite("masks of ellipses", "STRIDED_SLICE", (MAP, numbers(0), numbers(1), numbers(1)),
           options={"EllipsisMask": 1}),
    Tflite("indices for each batch", "GATHER", (MAP, numbers(0)), options={"BatchDims": 1}),
    Tflite("in blocks of 5x5", "SPACE_TO_DEPTH", options={"BlockSize": 5}),
    Tflite("a fused activation", "TRANSPOSE_CONV", (numbers(1, 6, 6, 2), OHWI, MAP),
           options={"FusedActivationFunction": 1}, instead="behind the layer"),
    *refusals_lstm.CASES,
    *refusals_variables.CASES,
)  # fmt: skip
"""The same for TFLite."""

"""Layers with several outputs, transposed convolutions, comparisons, products: as onnxruntime."""

import numpy as np
import pytest
from onnx import TensorProto

from edgecomp.errors import UserError
from edgecomp.frontend import read_model
from tests.frontend.onnx_cases import check_model, make_model, node, save

RNG = np.random.default_rng(11)


def real(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*values):
    return np.asarray(values, np.int64)


IMAGE = {"x": [1, 4, 6, 5]}
TWO = {"x": [1, 4, 6, 5], "z": [1, 4, 6, 5]}
MODELS = {
    "split": ([node("Split", "x s", "a b c", axis=1), node("Mul", "a b", "m"),
               node("Concat", "m c", "y", axis=1)], IMAGE, {"s": ints(1, 1, 2)}),
    "top": ([node("TopK", "x k", "v i", axis=2), node("Cast", "i", "f", to=1),
             node("Add", "v f", "y")], IMAGE, {"k": ints(1)}),
    "top-three": ([node("TopK", "x k", "v i", axis=2), node("Cast", "i", "f", to=1),
                   node("Add", "v f", "y")], IMAGE, {"k": ints(3)}),
    "smallest-two": ([node("TopK", "x k", "v i", largest=0),
                      node("Cast", "i", "f", to=1), node("Mul", "v f", "y")], IMAGE,
                     {"k": ints(2)}),
    "argmin": ([node("ArgMin", "x", "i", axis=1, keepdims=0), node("Cast", "i", "y", to=1)],
               IMAGE, {}),
    "where": ([node("Greater", "x z", "c"), node("Neg", "x", "n"), node("Where", "c n z", "y")],
              TWO, {}),
    "mask": ([node("Where", "c x n", "y")], IMAGE,
             {"c": RNG.random((6, 5)) < 0.5, "n": np.array(-3, np.float32)}),
    "hidden": ([node("Add", "x n", "s"), node("Transpose", "s", "t", perm=[0, 1, 3, 2]),
                node("Where", "c h t", "w"), node("Softmax", "w", "y", axis=-1)], IMAGE,
               {"n": np.triu(np.full((6, 5), -np.inf, np.float32), 1),
                "c": np.array([[0], [1], [0], [0], [1]], bool).repeat(6, 1) & (np.arange(6) < 5),
                "h": np.array(-3.4e38, np.float32)}),
    "logic": ([node("Less", "x h", "a"), node("GreaterOrEqual", "x z", "b"),
               node("And", "a b", "c"), node("Xor", "a b", "d"), node("Not", "d", "e"),
               node("Or", "c e", "f"), node("Cast", "f", "y", to=1)],
              TWO, {"h": np.array(0.3, np.float32)}),
    "sum-and-mean": ([node("Sum", "x z x", "s"), node("Mean", "s z", "y")], TWO, {}),
    "extrema": ([node("Max", "x z h", "a"), node("Min", "a w", "y")], TWO,
                {"h": np.array(-0.2, np.float32), "w": real(4, 1, 1)}),
    "gemm": ([node("Reshape", "x s", "a"), node("Gemm", "a a c", "y", alpha=0.5, beta=2.0,
              transB=1)], IMAGE, {"s": ints(4, 30), "c": real(4, 4)}),
    "left-constant": ([node("MatMul", "w x", "y")], IMAGE, {"w": real(3, 6)}),
    "batches": ([node("MatMul", "x w", "y")], IMAGE, {"w": real(4, 5, 3)}),
    "vector": ([node("MatMul", "x w", "y")], IMAGE, {"w": real(5)}),
    "expand": ([node("GlobalAveragePool", "x", "a"), node("Expand", "a s", "y")], IMAGE,
               {"s": ints(1, 4, 3, 2)}),
    "reflect": ([node("Pad", "x p", "y", mode="reflect")], IMAGE,
                {"p": ints(0, 0, 2, 1, 0, 0, 1, 2)}),
    "crop": ([node("Pad", "x p", "y")], IMAGE, {"p": ints(0, 0, -2, 1, 0, 0, -1, 2)}),
    "gather": ([node("Gather", "x i", "y", axis=2)], IMAGE, {"i": np.array([[3, 0], [-1, 2]])}),
    "group-norm": ([node("GroupNormalization", "x g b", "y", num_groups=2)], IMAGE,
                   {"g": real(4), "b": real(4)}),
    "slopes-of-rows": ([node("PRelu", "x w", "y")], IMAGE, {"w": real(6, 1)}),
    "slopes-of-channels-and-rows": ([node("PRelu", "x w", "y")], IMAGE, {"w": real(4, 1, 5)}),
    "slopes-of-elements": ([node("PRelu", "x w", "y")], IMAGE, {"w": real(4, 6, 5)}),
    "slopes-of-channels": ([node("PRelu", "x w", "y")], {"x": [1, 4, 3]}, {"w": real(4, 1)}),
    "powers": ([node("Relu", "x", "r"), node("Pow", "r w", "y")], IMAGE,
               {"w": np.array([1, 2, 0.5, 3, 1], np.float32)}),
    "powers-of-elements": ([node("Abs", "x", "r"), node("Pow", "r w", "y")], IMAGE,
                           {"w": RNG.permutation(30).reshape(6, 5).astype(np.float32) / 10}),
    "powers-of-channels": ([node("Conv", "x f", "c"), node("Abs", "c", "r"),
                            node("Pow", "r w", "p"), node("Conv", "p f", "y")], IMAGE,
                           {"f": real(4, 4, 1, 1), "w": np.float32([2, 0.5, 2, 1])[:, None, None]}),
    "more-powers": ([node("GlobalMaxPool", "x", "m"), node("Abs", "m", "r"),
                     node("Pow", "r w", "y")], IMAGE,
                    {"w": np.array([[1, 2, 0.5], [3, 1, 2]], np.float32)}),
    "one-power-of-more": ([node("GlobalMaxPool", "x", "m"), node("Pow", "m w", "y")], IMAGE,
                          {"w": np.full((2, 3), 2, np.float32)}),
    "power-of-constants": ([node("Pow", "w x", "y")], IMAGE, {"w": np.abs(real(4, 1, 1)) + 0.1}),
    "row-statistics": ([node("LayerNormalization", "x w", "n m s", axis=2),
                        node("Mul", "n s", "p"), node("Add", "p m", "y")], IMAGE,
                       {"w": real(6, 5)}),
    "volume-norm": ([node("BatchNormalization", "x a a b c", "y")], {"x": [1, 4, 2, 3, 5]},
                    {"a": real(4), "b": real(4), "c": np.abs(real(4)) + 0.1}),
    "batch-norm": ([node("BatchNormalization", "x a a b c", "y")], {"x": [3, 4, 2, 5]},
                   {"a": real(4), "b": real(4), "c": np.abs(real(4)) + 0.1}),
    "cubic": ([node("Resize", "x - s", "y", mode="cubic")], IMAGE,
              {"s": np.array([1, 1, 1.7, 0.6], np.float32)}),
    "cubic-inside": ([node("Resize", "x - s", "y", mode="cubic", exclude_outside=1,
                      cubic_coeff_a=-0.5, coordinate_transformation_mode="align_corners")], IMAGE,
                     {"s": np.array([1, 1, 2, 3], np.float32)}),
    "smooth": ([node("Resize", "x - s", "y", mode="linear", antialias=1)], IMAGE,
               {"s": np.array([1, 1, 0.4, 1.7], np.float32)}),
    "smooth-cubic": ([node("Resize", "x - s", "y", mode="cubic", antialias=1)], IMAGE,
                     {"s": np.array([1, 1, 0.6, 0.5], np.float32)}),
    "smooth-cubic-inside": ([node("Resize", "x - - s", "y", mode="cubic", antialias=1,
                             exclude_outside=1, cubic_coeff_a=-0.5)], IMAGE,
                            {"s": ints(1, 4, 2, 8)}),
    "region": ([node("Resize", "x r s", "y", mode="linear", extrapolation_value=2.0,
                coordinate_transformation_mode="tf_crop_and_resize")], IMAGE,
               {"r": np.float32([0, 0, -0.3, 0.2, 1, 1, 0.6, 1.4]),
                "s": np.array([1, 1, 1.5, 2], np.float32)}),
    "constant-like": ([node("Mul", "x n", "m"), node("Cast", "m", "i", to=6),
                       node("CastLike", "h i", "c"), node("Add", "i c", "j"),
                       node("Cast", "j", "y", to=1)], IMAGE,
                      {"h": np.float32([1.7, -1.7, 2, 0.4, 3.5]), "n": np.float32(5)}),
    "upsample": ([node("Upsample", "x s", "y", mode="nearest")], IMAGE,
                 {"s": np.array([1, 1, 2, 3], np.float32)}),
}  # fmt: skip
OPSETS = {
    "upsample": 9,
    "group-norm": 21,
    "constant-like": 19,
    "smooth": 18,
    "smooth-cubic": 18,
    "smooth-cubic-inside": 18,
}


@pytest.mark.parametrize("name", MODELS)
def test_layer_is_onnxruntimes(name, tmp_path):
    nodes, inputs, constants = MODELS[name]
    check_model(make_model(nodes, inputs, ["y"], constants, opset=OPSETS.get(name, 17)), tmp_path)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    "attrs",
    [
        {"strides": [2, 2]},
        {"strides": [2, 3], "pads": [1, 0, 2, 1], "output_padding": [1, 2]},
        {"dilations": [2, 1], "pads": [1, 1, 0, 1]},
        {"strides": [3, 2], "auto_pad": "SAME_UPPER"},
        {"strides": [3, 2], "auto_pad": "SAME_LOWER"},
        {"strides": [2, 2], "output_shape": [11, 10]},
    ],
    ids=str,
)
def test_transposed_convolution_is_onnxruntimes(attrs, groups, tmp_path):
    weights = {"w": real(4, 3, 3, 4), "b": real(3 * groups)}
    layer = node("ConvTranspose", "x w b", "y", group=groups, **attrs)
    check_model(make_model([layer], IMAGE, ["y"], weights), tmp_path)


@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (2, 4, 9)], ids=str)
def test_batch_of_a_transposed_convolution_is_onnxruntimes(shape, tmp_path):
    layer = node("ConvTranspose", "x w", "y", strides=[2, 3][: len(shape) - 2])
    weights = {"w": real(4, 2, *(3, 5)[: len(shape) - 2])}
    check_model(make_model([layer], {"x": shape}, ["y"], weights), tmp_path)


def test_transposed_convolution_of_a_sequence_is_onnxruntimes(tmp_path):
    layer = node("ConvTranspose", "x w", "y", strides=[3], pads=[1, 2])
    check_model(make_model([layer], {"x": [1, 4, 9]}, ["y"], {"w": real(4, 2, 5)}), tmp_path)


@pytest.mark.parametrize("shape", [(3, 4, 7, 6), (2, 4, 9)], ids=str)
@pytest.mark.parametrize(
    "attrs",
    [
        {"stride": 1},
        {"stride": 2, "pads": (1, 2)},
        {"stride": 3, "dilation": 2, "pads": (2, 0)},
        {"stride": 2, "group": 4},
    ],
    ids=str,
)
def test_batch_of_a_convolution_is_onnxruntimes(attrs, shape, tmp_path):
    axes = len(shape) - 2
    group = attrs.get("group", 1)
    weights = {"w": real(8, 4 // group, *(3, 2)[:axes]), "b": real(8)}
    begin, end = attrs.get("pads", (0, 0))
    layer = node(
        "Conv", "x w b", "y", group=group, strides=[attrs["stride"]] * axes,
        dilations=[attrs.get("dilation", 1)] * axes, pads=[begin] * axes + [end] * axes,
    )  # fmt: skip
    check_model(make_model([layer], {"x": shape}, ["y"], weights), tmp_path)


def test_indices_and_truth_values_are_outputs(tmp_path):
    layers = [node("ArgMax", "x", "y", axis=1), node("Less", "x h", "t")]
    model = make_model(
        layers, IMAGE, ["y", "t"], {"h": np.array(0.1, np.float32)},
        types={"y": TensorProto.INT64, "t": TensorProto.BOOL},
    )  # fmt: skip
    check_model(model, tmp_path)


@pytest.mark.parametrize("reader", ["Relu", "Softmax"])
def test_infinite_numbers_only_hide_from_softmax(tmp_path, reader):
    hidden = np.where(np.arange(5) == 2, -np.inf, 0).astype(np.float32)
    nodes = [node("Add", "x h", "s"), node(reader, "s", "y"), node("Sigmoid", "s", "z")]
    save(
        make_model(nodes[: 3 if reader == "Softmax" else 2], IMAGE, ["y"], {"h": hidden}), tmp_path
    )
    with pytest.raises(UserError, match="'h' hides scores by -inf"):
        read_model(tmp_path / "net.onnx")

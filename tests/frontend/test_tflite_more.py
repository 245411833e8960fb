"""TFLite's slices, reductions, resizes and products, beside numpy and torch."""

import numpy as np
import pytest

from edgecomp.errors import UnsupportedError
from edgecomp.frontend.onnx_builder import Constant, GraphBuilder
from edgecomp.frontend.tflite_layers import TFLITE
from edgecomp.interp import run_float
from edgecomp.ops.base import ImportedNode

RNG = np.random.default_rng(3)
X = RNG.normal(size=(1, 6, 4, 8)).astype(np.float32)


def results(op_type, *inputs, count=1, x=X, **attrs):
    """Import one layer by itself and compute it; None among the inputs stands for `x`."""
    names = tuple("x" if value is None else f"c{i}" for i, value in enumerate(inputs))
    build = GraphBuilder([*dict.fromkeys(names), *(f"y{i}" for i in range(count))])
    build.add_input("x", x.shape)
    for name, value in zip(names, inputs, strict=True):
        if value is not None:
            build.add_constant(name, Constant(np.asarray(value)))
    node = ImportedNode(op_type, "layer", names, tuple(f"y{i}" for i in range(count)), attrs)
    made = TFLITE[op_type](node, build)
    outputs = [made] if isinstance(made, str) else made
    graph = build.build("graph", ["x"], outputs, {})
    found = run_float(graph, {"x": x[None]})
    return [found[name][0] for name in outputs]


ONE_OUTPUT = {
    "slice": (("SLICE", None, [0, 1, 2, 0], [1, 3, -1, 8]), {}, X[:, 1:4, 2:]),
    "strided": (
        ("STRIDED_SLICE", None, [0, 5, 1, 0], [1, 0, 0, 8], [1, -2, 2, 1]),
        {"EndMask": 4, "BeginMask": 8},
        X[:, 5:0:-2, 1::2],
    ),
    "one-row": (
        ("STRIDED_SLICE", None, [0, -1, 0, 0], [1, 0, 4, 8], [1, 1, 1, 1]),
        {"ShrinkAxisMask": 2},
        X[:, -1],
    ),
    "tile": (("TILE", None, [1, 2, 1, 3]), {}, np.tile(X, (1, 2, 1, 3))),
    "gather": (("GATHER", None, [[3, 0], [5, 5]]), {"Axis": 1}, X[:, [[3, 0], [5, 5]]]),
    "reflect": (
        ("MIRROR_PAD", None, [[0, 0], [2, 1], [0, 3], [0, 0]]),
        {"Mode": 0},
        np.pad(X, ((0, 0), (2, 1), (0, 3), (0, 0)), mode="reflect"),
    ),
    "symmetric": (
        ("MIRROR_PAD", None, [[0, 0], [2, 1], [0, 3], [0, 0]]),
        {"Mode": 1},
        np.pad(X, ((0, 0), (2, 1), (0, 3), (0, 0)), mode="symmetric"),
    ),
    "sum": (("SUM", None, [1, -1]), {}, X.sum((1, 3))),
    "largest": (("REDUCE_MAX", None, [2]), {"KeepDims": True}, X.max(2, keepdims=True)),
    "smallest": (("REDUCE_MIN", None, [1, 2]), {}, X.min((1, 2))),
    "argmax": (("ARG_MAX", None, -1), {}, X.argmax(-1)),
    "argmin": (("ARG_MIN", None, 1), {}, X.argmin(1)),
    "pack": (("PACK", None, None), {"Axis": 2}, np.stack([X, X], 2)),
    "nearest": (
        ("RESIZE_NEAREST_NEIGHBOR", None, [9, 8]),
        {},
        X[:, np.arange(9) * 6 // 9][:, :, np.arange(8) // 2],
    ),
    "product": (("BATCH_MATMUL", None, None), {"AdjY": True}, X @ X.transpose(0, 1, 3, 2)),
    "depth": (
        ("DEPTH_TO_SPACE", None),
        {"BlockSize": 2},
        X.reshape(1, 6, 4, 2, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(1, 12, 8, 2),
    ),
    "space": (
        ("SPACE_TO_DEPTH", None),
        {"BlockSize": 2},
        X.reshape(1, 3, 2, 2, 2, 8).transpose(0, 1, 3, 2, 4, 5).reshape(1, 3, 2, 32),
    ),
    "larger": (("MAXIMUM", None, X[:, ::-1].copy()), {}, np.maximum(X, X[:, ::-1])),
    "quotient": (("DIV", None, np.exp(X)), {}, X / np.exp(X)),
    "power": (("POW", None, np.float32(2)), {}, X**2),
    "squared": (("SQUARED_DIFFERENCE", None, np.ones_like(X)), {}, (X - 1) ** 2),
}


@pytest.mark.parametrize("name", ONE_OUTPUT)
def test_layer_computes_what_numpy_does(name):
    (op_type, *inputs), attrs, wanted = ONE_OUTPUT[name]
    (found,) = results(op_type, *inputs, **attrs)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


WINDOWS = {
    "MAX_POOL_2D": (),
    "AVERAGE_POOL_2D": (),
    "CONV_2D": (RNG.normal(size=(5, 3, 2, 8)).astype(np.float32),),
    "DEPTHWISE_CONV_2D": (RNG.normal(size=(1, 3, 2, 8)).astype(np.float32),),
}


@pytest.mark.parametrize("padding", [0, 1], ids=["same", "valid"])
@pytest.mark.parametrize("op_type", WINDOWS)
def test_images_of_a_batch_are_as_each_alone(op_type, padding):
    images = RNG.normal(size=(3, 6, 4, 8)).astype(np.float32)
    attrs = {"FilterHeight": 3, "FilterWidth": 2, "StrideH": 2, "StrideW": 1, "Padding": padding}
    attrs |= {"FusedActivationFunction": 1}
    (found,) = results(op_type, None, *WINDOWS[op_type], x=images, **attrs)
    each = [results(op_type, None, *WINDOWS[op_type], x=image[None], **attrs)[0]
            for image in images]  # fmt: skip
    np.testing.assert_allclose(found, np.concatenate(each), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("centered", [False, True])
def test_bilinear_resize_is_torchs(centered):
    functional = pytest.importorskip("torch").nn.functional
    torch = pytest.importorskip("torch")
    attrs = {"HalfPixelCenters": True} if centered else {"AlignCorners": True}
    (found,) = results("RESIZE_BILINEAR", None, [11, 9], **attrs)
    wanted = functional.interpolate(
        torch.tensor(X.transpose(0, 3, 1, 2)), (11, 9), mode="bilinear", align_corners=not centered
    )
    np.testing.assert_allclose(found, wanted.numpy().transpose(0, 2, 3, 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kernel", "padding"), [(2, 0), (3, 0), (4, 1), (3, 1)])
def test_transposed_convolution_is_torchs(kernel, padding):
    torch = pytest.importorskip("torch")
    weights = RNG.normal(size=(5, kernel, kernel, 8)).astype(np.float32)
    out = (12 + kernel - 2, 8 + kernel - 2) if padding else (12, 8)
    (found,) = results(
        "TRANSPOSE_CONV", [1, *out, 5], weights, None,
        Padding=padding, StrideH=2, StrideW=2, shape=(1, *out, 5),
    )  # fmt: skip
    full = torch.nn.functional.conv_transpose2d(
        torch.tensor(X.transpose(0, 3, 1, 2)), torch.tensor(weights.transpose(3, 0, 1, 2)), stride=2
    )
    cut = (full.shape[2] - out[0]) // 2
    wanted = full.numpy().transpose(0, 2, 3, 1)[:, cut : cut + out[0], cut : cut + out[1]]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_pieces():
    for part, wanted in zip(results("SPLIT", 3, None, count=4), np.split(X, 4, 3), strict=True):
        np.testing.assert_array_equal(part, wanted)
    parts = results("SPLIT_V", None, [1, -1, 2], 1, count=3)
    assert [part.shape[1] for part in parts] == [1, 3, 2]
    rows = results("UNPACK", None, count=6, Axis=1)
    for index, row in enumerate(rows):
        np.testing.assert_array_equal(row, X[:, index])


def test_largest_elements():
    values, indices = results("TOPK_V2", None, 3, count=2)
    order = np.argsort(-X, axis=-1, kind="stable")[..., :3]
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(values, np.take_along_axis(X, order, -1))


@pytest.mark.parametrize(
    ("call", "attrs", "message"),
    [
        (("TOPK_V2", None, 9), {}, "9 elements of 8"),
        (("SLICE", None, [0, 9, 0, 0], [1, 1, 1, 1]), {}, "outside"),
        (("STRIDED_SLICE", None, [0], [1], [1]), {"EllipsisMask": 1}, "masks"),
        (("GATHER", None, [9]), {"Axis": 1}, "indices outside"),
        (("GATHER", None, [1]), {"Axis": 1, "BatchDims": 1}, "each batch"),
        (("DEPTH_TO_SPACE", None), {"BlockSize": 3}, "blocks"),
        (("SUM", None, [7]), {}, "axis 7"),
        (("POW", None, X), {}, "different exponents"),
    ],
)
def test_what_cannot_be_compiled_says_so(call, attrs, message):
    with pytest.raises(UnsupportedError, match=message):
        results(*call, **attrs)

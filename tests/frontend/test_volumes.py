"""Three spatial axes, and batches of pools: beside onnxruntime, and code by code."""

import numpy as np
import pytest

from edgecomp.frontend import read_model
from edgecomp.passes import run_passes
from tests.frontend.onnx_cases import check_model, make_model, node, ops, run_graph, save

RNG = np.random.default_rng(12)


def real(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def spatial(rank, **attributes):
    """Attributes of the last `rank` axes of three."""
    return {
        name: [*value[3 - rank : 3], *value[len(value) - rank :]] if name == "pads"
        else value[-rank:] if isinstance(value, list) else value
        for name, value in attributes.items()
    }  # fmt: skip


POOLS = {
    "stride-1": {"kernel_shape": [2, 3, 2]},
    "tiles": {"kernel_shape": [2, 2, 3], "strides": [2, 2, 3]},
    "strides": {"kernel_shape": [2, 3, 2], "strides": [1, 2, 3]},
    "pads": {"kernel_shape": [3, 3, 2], "strides": [2, 1, 2], "pads": [1, 2, 0, 2, 0, 1]},
    "ceil": {"kernel_shape": [3, 3, 2], "strides": [2, 2, 2], "ceil_mode": 1},
    "ceil-and-pads": {"kernel_shape": [3, 2, 3], "strides": [2, 2, 2], "ceil_mode": 1,
                      "pads": [1, 1, 1, 0, 0, 1]},
    "dilations": {"kernel_shape": [2, 2, 2], "dilations": [2, 1, 3], "pads": [1, 0, 1, 1, 1, 0]},
    "same": {"kernel_shape": [2, 3, 2], "strides": [2, 2, 1], "auto_pad": "SAME_LOWER"},
    "flat": {"kernel_shape": [1, 2, 2], "strides": [1, 2, 2]},
}  # fmt: skip
SHAPES = [(1, 3, 5, 6, 7), (2, 3, 5, 6, 7), (3, 2, 6, 7), (3, 2, 7)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "padding-counts", "LpPool"])
def test_pool_is_onnxruntimes(op, kind, shape, tmp_path):
    attributes = spatial(len(shape) - 2, **POOLS[kind])
    if op == "padding-counts":
        op, attributes = "AveragePool", {**attributes, "count_include_pad": 1}
    if op == "LpPool":
        attributes["p"] = len(shape) - 2
    model = make_model([node(op, "x", "y", **attributes)], {"x": shape}, ["y"], opset=19)
    check_model(model, tmp_path)


@pytest.mark.parametrize("op", ["GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_global_pool_is_onnxruntimes(op, shape, tmp_path):
    graph = check_model(make_model([node(op, "x", "y")], {"x": shape}, ["y"]), tmp_path)
    assert ops(graph).count("max_pool") + ops(graph).count("average_pool") == 1


def test_max_pools_of_four_axes(tmp_path):
    """More than onnxruntime has: one axis after the other."""
    layers = [node("MaxPool", "x", "a", kernel_shape=[2, 3, 2, 2], strides=[1, 2, 1, 2]),
              node("GlobalMaxPool", "a", "y")]  # fmt: skip
    path = save(make_model(layers, {"x": (1, 2, 3, 5, 4, 5)}, ["a", "y"]), tmp_path)
    graph = run_passes(read_model(path))
    assert ops(graph).count("max_pool") == 4
    x = real(2, 1, 2, 3, 5, 4, 5)
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 3, 2, 2), (3, 4, 5, 6))
    wanted = windows[:, :, :, ::1, ::2, ::1, ::2].max(axis=(7, 8, 9, 10))
    y = run_graph(graph, {"x": x})
    np.testing.assert_array_equal(y["a"], wanted)
    np.testing.assert_array_equal(y["y"].ravel(), x[..., :4].max(axis=(3, 4, 5, 6)).ravel())


CONVOLUTIONS = {
    "stride-1": {"kernel_shape": [2, 3, 2]},
    "strides": {"kernel_shape": [3, 2, 3], "strides": [2, 1, 2]},
    "pads": {"kernel_shape": [3, 3, 2], "strides": [1, 2, 1], "pads": [1, 2, 0, 2, 0, 1]},
    "dilations": {"kernel_shape": [2, 2, 2], "dilations": [2, 3, 1], "pads": [1, 1, 0, 0, 1, 1]},
    "planes-apart": {"kernel_shape": [1, 3, 3], "strides": [2, 1, 1]},
    "point": {"kernel_shape": [1, 1, 1]},
}


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("group", [1, 2, 4])
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolution_of_a_volume_is_onnxruntimes(kind, group, count, tmp_path):
    attributes = CONVOLUTIONS[kind]
    weights = {"w": real(8, 4 // group, *attributes["kernel_shape"]), "b": real(8)}
    layer = node("Conv", "x w b", "y", group=group, **attributes)
    check_model(make_model([layer], {"x": (count, 4, 5, 6, 5)}, ["y"], weights), tmp_path)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"strides": [2, 1, 3], "pads": [1, 0, 1, 0, 1, 0], "output_padding": [1, 0, 2]},
        {"dilations": [2, 1, 1], "strides": [1, 2, 1]},
    ],
    ids=str,
)
def test_transposed_convolution_of_a_volume_is_onnxruntimes(attributes, group, count, tmp_path):
    weights = {"w": real(4, 3, 2, 3, 2), "b": real(3 * group)}
    layer = node("ConvTranspose", "x w b", "y", group=group, **attributes)
    check_model(make_model([layer], {"x": (count, 4, 3, 2, 3)}, ["y"], weights), tmp_path)


@pytest.mark.parametrize("shape", [(1, 2, 5, 6, 5), (3, 2, 6, 5)], ids=str)
def test_batch_norm_folds_into_the_convolution(shape, tmp_path):
    """That of a volume, or of a batch, is one of many planes."""
    constants = {"w": real(4, 2, *[3] * (len(shape) - 2)), "v": np.abs(real(4)) + 0.5}
    constants |= {name: real(4) for name in "bgs"}
    layers = [node("Conv", "x w b", "a"), node("BatchNormalization", "a g s b v", "c"),
              node("Relu", "c", "y")]  # fmt: skip
    graph = check_model(make_model(layers, {"x": shape}, ["y"], constants), tmp_path)
    assert ops(graph).count("conv2d") == 1
    assert "unary" not in ops(graph)


def test_layers_of_a_volume_have_no_transposes_between_them(tmp_path):
    """Two convolutions with their activations, pooled: each is one convolution on the device."""
    layers = [
        node("Conv", "x v", "a", pads=[1] * 6), node("Relu", "a", "b"),
        node("MaxPool", "b", "c", kernel_shape=[2, 2, 2], strides=[2, 2, 2]),
        node("Conv", "c w", "d"), node("Relu", "d", "e"), node("GlobalAveragePool", "e", "y"),
    ]  # fmt: skip
    weights = {"v": real(4, 1, 3, 3, 3), "w": real(6, 4, 2, 2, 2)}
    graph = check_model(make_model(layers, {"x": (1, 1, 6, 8, 8)}, ["y"], weights), tmp_path)
    made = ops(graph)
    assert made.count("conv2d") == 2
    assert "unary" not in made, "the activations are part of the convolutions"
    # Planes of windows become channels; one channel needs nothing for that.
    assert made.count("transpose") == 2

"""Views, and the layout pass: channels last without transposes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecomp.ir import Graph, View
from edgecomp.passes.views import Layout, as_view, inverse
from tests.frontend.onnx_cases import check_model, make_model, node, ops

RNG = np.random.default_rng(3)


def weights(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.asarray(values, np.int64)


def apply(view: Layout, base: np.ndarray) -> np.ndarray:
    split = view.split or (1,)
    perm = view.perm or (0,)
    return base.reshape(split).transpose(perm).reshape(view.shape)


@st.composite
def movements(draw: st.DrawFn) -> tuple[np.ndarray, list[tuple[str, tuple[int, ...]]]]:
    """A base, and reshapes and transposes one after another."""
    shape = tuple(draw(st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=4)))
    base = np.arange(int(np.prod(shape))).reshape(shape)
    current, steps = base, []
    for _ in range(draw(st.integers(1, 5))):
        if draw(st.booleans()):
            perm = tuple(draw(st.permutations(range(current.ndim))))
            current = current.transpose(perm)
            steps.append(("transpose", perm))
            continue
        rest, new = current.size, []
        while rest > 1:
            factor = draw(st.sampled_from([n for n in range(2, rest + 1) if rest % n == 0]))
            new.append(factor)
            rest //= factor
        for _ in range(draw(st.integers(0, 2))):
            new.insert(draw(st.integers(0, len(new))), 1)
        current = current.reshape(new)
        steps.append(("reshape", tuple(new)))
    return base, steps


@settings(max_examples=300, deadline=None)
@given(movements())
def test_views_compose(case: tuple[np.ndarray, list[tuple[str, tuple[int, ...]]]]) -> None:
    base, steps = case
    view, current = Layout.plain("b", base.shape), base
    for kind, argument in steps:
        if kind == "reshape":
            view, current = view.reshaped(argument), current.reshape(argument)
        else:
            moved = view.transposed(argument)
            if moved is None:
                return
            view, current = moved, current.transpose(argument)
        np.testing.assert_array_equal(apply(view, base), current)
        flat = current.reshape(-1)
        np.testing.assert_array_equal(flat[view.source_index()], base.reshape(-1))
        assert view.is_plain == bool((flat == base.reshape(-1)).all())
        np.testing.assert_array_equal(apply(inverse(view), current).reshape(-1), base.reshape(-1))
        order = view.axis_order(base.shape)
        if order is not None:
            np.testing.assert_array_equal(base.transpose(order), current)
        natural = view.natural_order()
        if natural is not None:
            device = current.transpose(np.argsort(natural))
            np.testing.assert_array_equal(device.reshape(-1), base.reshape(-1))
        said = as_view(view, base.shape)
        if said is not None:
            np.testing.assert_array_equal(base.transpose(said.perm).reshape(said.shape), current)


def test_view_that_cannot_be_split_is_refused() -> None:
    turned = Layout.plain("b", (2, 3)).transposed((1, 0))
    assert turned is not None
    assert turned.reshaped((2, 3)).transposed((1, 0)) is None


def no_transpose(graph: Graph) -> None:
    assert "transpose" not in ops(graph)


CONV = {"w": weights(4, 3, 3, 3)}


def test_nchw_input_becomes_nhwc(tmp_path: Path) -> None:
    model = make_model([node("Conv", "x w", "y")], {"x": [1, 3, 8, 7]}, ["y"], CONV)
    graph = check_model(model, tmp_path)
    assert ops(graph) == ["conv2d"]
    assert graph.tensor("x").shape == (1, 8, 7, 3)
    assert graph.views["x"] == View((0, 3, 1, 2), (1, 3, 8, 7))
    (output,) = graph.outputs
    assert graph.tensor(output).shape == (1, 6, 5, 4)
    assert graph.views[output] == View((0, 3, 1, 2), (1, 4, 6, 5))
    assert graph.io_names == {"x": "x", output: "y"}


def test_nhwc_model_stays_as_it_is(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", "x", "a", perm=[0, 3, 1, 2]),
        node("Conv", "a w", "b", auto_pad="SAME_UPPER", strides=[2, 2]),
        node("Relu", "b", "c"),
        node("Transpose", "c", "y", perm=[0, 2, 3, 1]),
    ]
    graph = check_model(make_model(nodes, {"x": ["N", 8, 8, 3]}, ["y"], CONV), tmp_path)
    assert ops(graph) == ["conv2d"]
    assert graph.views == {}


def test_one_channel_needs_no_transpose(tmp_path: Path) -> None:
    model = make_model(
        [node("Conv", "x w", "y")], {"x": [1, 1, 8, 7]}, ["y"], {"w": weights(4, 1, 3, 3)}
    )
    graph = check_model(model, tmp_path)
    assert ops(graph) == ["conv2d"]
    assert graph.tensor("x").shape == (1, 8, 7, 1)


def test_one_dimensional(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "a", pads=[1, 1]),
        node("MaxPool", "a", "b", kernel_shape=[2], strides=[2]),
        node("GlobalAveragePool", "b", "c"),
        node("Flatten", "c", "d"),
        node("Gemm", "d m", "y", transB=1),
    ]
    constants = {"w": weights(5, 3, 3), "m": weights(2, 5)}
    graph = check_model(make_model(nodes, {"x": [1, 3, 10]}, ["y"], constants), tmp_path)
    assert ops(graph) == ["conv2d", "max_pool", "average_pool", "reshape", "dense"]
    assert graph.views["x"] == View((0, 2, 1), (1, 3, 10))


def test_flatten_permutes_the_columns_of_the_dense_layer(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "a"), node("Flatten", "a", "b"), node("MatMul", "b m", "y")]
    constants = {**CONV, "m": weights(4 * 6 * 5, 7)}
    graph = check_model(make_model(nodes, {"x": [1, 3, 8, 7]}, ["y"], constants), tmp_path)
    assert ops(graph) == ["conv2d", "reshape", "dense"]


def test_batch_norm_after_flatten_is_permuted_too(tmp_path: Path) -> None:
    nodes = [
        node("MaxPool", "x", "a", kernel_shape=[2, 2]),
        node("Flatten", "a", "b"),
        node("BatchNormalization", "b s s s v", "c"),
        node("Relu", "c", "d"),
        node("MatMul", "d m", "y"),
    ]
    constants = {
        "s": weights(3 * 49),
        "v": RNG.uniform(0.5, 2, 3 * 49).astype(np.float32),
        "m": weights(3 * 49, 4),
    }
    graph = check_model(make_model(nodes, {"x": [1, 3, 8, 8]}, ["y"], constants), tmp_path)
    assert ops(graph) == ["max_pool", "reshape", "conv2d", "dense"]


def test_flattened_input_is_taken_as_an_image(tmp_path: Path) -> None:
    nodes = [node("Reshape", "x s", "a"), node("Conv", "a w", "y")]
    constants = {**CONV, "s": ints(1, 3, 8, 7)}
    graph = check_model(make_model(nodes, {"x": [1, 168]}, ["y"], constants), tmp_path)
    assert ops(graph) == ["conv2d"]
    assert graph.views["x"] == View((0, 3, 1, 2), (1, 168))


def test_residual_concat_and_pad(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "a", pads=[1, 1, 1, 1]),
        node("Add", "a x", "b"),
        node("Concat", "b a x", "c", axis=1),
        node("Pad", "c p", "d"),
        node("ReduceMean", "d", "y", axes=[2, 3], keepdims=0),
    ]
    constants = {"w": weights(3, 3, 3, 3), "p": ints(0, 1, 2, 0, 0, 0, 1, 3)}
    graph = check_model(make_model(nodes, {"x": [1, 3, 8, 7]}, ["y"], constants), tmp_path)
    assert ops(graph) == ["conv2d", "add", "concat", "pad", "reduce_mean"]
    assert graph.nodes[2].params.axis == 3
    assert graph.nodes[3].params.before == (0, 2, 0, 1)
    assert graph.nodes[4].params.axes == (1, 2)


def test_squeeze_and_excite(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "a"),
        node("GlobalAveragePool", "a", "b"),
        node("Flatten", "b", "c"),
        node("Gemm", "c m", "d", transB=1),
        node("HardSigmoid", "d", "e"),
        node("Reshape", "e s", "f"),
        node("Mul", "a f", "y"),
    ]
    constants = {**CONV, "m": weights(4, 4), "s": ints(1, 4, 1, 1)}
    graph = check_model(make_model(nodes, {"x": [1, 3, 8, 7]}, ["y"], constants), tmp_path)
    no_transpose(graph)
    assert graph.tensor(graph.nodes[-1].inputs[1]).shape == (1, 1, 1, 4)


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 4, 1, 1), (6, 5), (1,), (1, 4, 6, 5), (5,)])
def test_constant_operands_follow(shape: tuple[int, ...], tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "a"), node("Relu", "a", "b"), node("Mul", "k b", "y")]
    constants = {**CONV, "k": weights(*shape)}
    model = make_model(nodes, {"x": [1, 3, 8, 7]}, ["y"], constants)
    no_transpose(check_model(model, tmp_path))


def test_softmax_over_channels_of_a_map(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "a"), node("Softmax", "a", "y", axis=1)]
    graph = check_model(make_model(nodes, {"x": [1, 3, 8, 7]}, ["y"], CONV), tmp_path)
    assert ops(graph) == ["conv2d", "softmax"]


def test_softmax_over_width_needs_one_transpose(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "a"), node("Softmax", "a", "y", axis=3)]
    graph = check_model(make_model(nodes, {"x": [1, 3, 8, 7]}, ["y"], CONV), tmp_path)
    assert ops(graph).count("transpose") == 1


def test_channel_shuffle_moves_the_map_once(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "a"),
        node("Reshape", "a s5", "b"),
        node("Transpose", "b", "c", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "c s4", "d"),
        node("Conv", "d v", "y"),
    ]
    constants = {
        **CONV,
        "v": weights(2, 4, 3, 3),
        "s5": ints(1, 2, 2, 6, 5),
        "s4": ints(1, 4, 6, 5),
    }
    graph = check_model(make_model(nodes, {"x": [1, 3, 8, 7]}, ["y"], constants), tmp_path)
    assert ops(graph).count("transpose") == 1


def test_input_in_two_layouts(tmp_path: Path) -> None:
    """The convolution would like channels last, the rows of the dense layer the file's order."""
    nodes = [
        node("Conv", "x w", "a", pads=[1, 1, 1, 1]),
        node("MatMul", "x m", "b"),
        node("Add", "a b", "y"),
    ]
    constants = {"w": weights(3, 3, 3, 3), "m": weights(7, 7)}
    graph = check_model(make_model(nodes, {"x": [1, 3, 8, 7]}, ["y"], constants), tmp_path)
    assert 1 <= ops(graph).count("transpose") <= 2


def test_output_that_is_a_turned_input(tmp_path: Path) -> None:
    nodes = [node("Transpose", "x", "y", perm=[0, 3, 1, 2])]
    graph = check_model(make_model(nodes, {"x": [1, 4, 5, 3]}, ["y"]), tmp_path)
    assert ops(graph) == ["unary"]
    assert graph.nodes[0].params.is_identity
    assert graph.views["x"] == View((0, 2, 3, 1), (1, 4, 5, 3))


def test_two_outputs_of_one_tensor(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "a"),
        node("Transpose", "a", "b", perm=[0, 2, 3, 1]),
        node("Flatten", "a", "c"),
    ]
    graph = check_model(make_model(nodes, {"x": [1, 3, 8, 7]}, ["a", "b", "c"], CONV), tmp_path)
    assert len(set(graph.outputs)) == 3
    assert [graph.io_names[name] for name in graph.outputs] == ["a", "b", "c"]

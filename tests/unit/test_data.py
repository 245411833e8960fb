"""Data sets: sources, layouts, preprocessing, input codes, and the recipe's sections."""

import textwrap
from fractions import Fraction

import numpy as np
import pytest

from edgecomp.config import parse_recipe, read_recipe
from edgecomp.data import Preprocessing, load_dataset, split_calibration
from edgecomp.data.dataset import from_arrays
from edgecomp.data.layout import device_to_model, to_device
from edgecomp.errors import RecipeError, UserError
from edgecomp.ir import Graph, QParams, Tensor, View
from edgecomp.quant.input_codes import input_quantizer


def graph_of(shape, view=None, inputs=("in",), io_names=None):
    tensors = {name: Tensor(name, shape) for name in inputs} | {"out": Tensor("out", (1, 3))}
    views = {} if view is None else {name: view for name in inputs}
    return Graph("m", tuple(inputs), ("out",), (), tensors, views, io_names or {})


NCHW = View((0, 3, 1, 2), (1, 3, 4, 5))


def test_samples_in_the_models_layout_come_to_the_device(tmp_path):
    x = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    np.savez(tmp_path / "d.npz", x=x, y=np.array([1, 2]))
    graph = graph_of((1, 4, 5, 3), NCHW)
    data = load_dataset(str(tmp_path / "d.npz"), graph)
    assert len(data) == 2
    device = data.real()["in"]
    assert device.shape == (2, 1, 4, 5, 3)
    assert np.array_equal(device[1, 0, :, :, 2], x[1, 2])
    assert np.array_equal(device_to_model(device, NCHW)[:, 0], x)
    assert data.target("out").tolist() == [1, 2]


def test_targets_come_to_where_the_outputs_lie():
    y = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    tensors = {"in": Tensor("in", (1, 2)), "out": Tensor("out", (1, 4, 5, 3))}
    graph = Graph("m", ("in",), ("out",), (), tensors, {"out": NCHW}, {})
    wanted = np.moveaxis(y, 1, -1)
    labels = np.array([3, 1])
    for given in (y, y[:, None], y.reshape(2, -1), wanted):
        arrays = {"x": np.zeros((2, 2), np.float32), "y": given}
        found = from_arrays("made up", arrays, graph, Preprocessing()).target("out")
        assert np.array_equal(found.reshape(wanted.shape), wanted)
    arrays["y"] = labels
    assert np.array_equal(
        from_arrays("made up", arrays, graph, Preprocessing()).target("out"), labels
    )


@pytest.mark.parametrize(
    ("sample", "layout", "shape", "view"),
    [
        ((4, 5, 3), "hwc", (1, 4, 5, 3), NCHW),
        ((3, 4, 5), "chw", (1, 4, 5, 3), None),
        ((4, 5), "hw", (1, 4, 5, 1), View((0, 3, 1, 2), (1, 1, 4, 5))),
        ((5, 3), "wc", (1, 5, 3), View((0, 2, 1), (1, 3, 5))),
        ((3, 5), "cw", (1, 5, 3), None),
        ((5, 3), "wc", (1, 1, 5, 3), None),
        ((1, 5, 3), "hwc", (1, 5, 3), None),
        ((4, 5), "hw", (1, 4, 5), None),
    ],
)
def test_layouts(sample, layout, shape, view):
    x = np.random.default_rng(0).normal(size=(2, *sample))
    device = to_device(graph_of(shape, view), "in", x, layout)
    assert device.shape == (2, *shape)
    order = [axis for axis in "hwc" if axis in layout]
    expected = np.einsum(f"n{layout}->n{''.join(order)}", x)
    assert np.array_equal(device.reshape(expected.shape), expected)


def test_missing_axes_of_one_are_added():
    x = np.arange(40.0).reshape(2, 4, 5)
    view = View((0, 3, 1, 2), (1, 1, 4, 5))
    assert to_device(graph_of((1, 4, 5, 1), view), "in", x).shape == (2, 1, 4, 5, 1)


@pytest.mark.parametrize(
    ("sample", "layout", "says"),
    [
        ((4, 5, 3), None, "3x4x5"),
        ((4, 5, 3), "hw", "not 'hw'"),
        ((5, 4, 3), "hwc", "4x5x3"),
    ],
)
def test_wrong_shapes_say_what_is_needed(sample, layout, says):
    with pytest.raises(UserError, match=says):
        to_device(graph_of((1, 4, 5, 3), NCHW), "in", np.zeros((2, *sample)), layout)


def test_preprocessing_is_per_channel_and_named_inputs_are_found(tmp_path):
    x = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    np.savez(tmp_path / "d.npz", image=x, classes=np.zeros(2))
    graph = graph_of((1, 4, 5, 3), NCHW, io_names={"in": "image", "out": "classes"})
    options = Preprocessing(1 / 255, (0.1, 0.2, 0.3), (1.0, 2.0, 4.0), "hwc")
    data = load_dataset(str(tmp_path / "d.npz"), graph, options)
    real = data.real()["in"]
    assert real.dtype == np.float32
    assert real[1, 0, 2, 3, 2] == np.float32((x[1, 2, 3, 2] / 255 - 0.3) / 4)
    assert data.raw["in"].dtype == np.uint8
    with pytest.raises(UserError, match="2 numbers"):
        load_dataset(str(tmp_path / "d.npz"), graph, Preprocessing(mean=(1.0, 2.0), layout="hwc"))


def test_raw_codes(tmp_path):
    graph = graph_of((1, 4))
    np.savez(tmp_path / "d.npz", x_q=np.array([[-128, 0, 1, 127]], np.int16))
    data = load_dataset(str(tmp_path / "d.npz"), graph)
    assert data.codes["in"].dtype == np.int8
    assert data.codes["in"].tolist() == [[[-128, 0, 1, 127]]]
    with pytest.raises(UserError, match="real values"):
        data.real()
    np.savez(tmp_path / "d.npz", x_q=np.array([[-129, 0, 1, 127]], np.int16))
    with pytest.raises(UserError, match="-128 to 127"):
        load_dataset(str(tmp_path / "d.npz"), graph)


def test_what_a_file_may_lack(tmp_path):
    graph = graph_of((1, 4))
    path = tmp_path / "d.npz"
    np.savez(path, x=np.zeros((3, 4)))
    with pytest.raises(UserError, match="array 'y'"):
        load_dataset(str(path), graph).target("out")
    np.savez(path, z=np.zeros((3, 4)))
    with pytest.raises(UserError, match="'z'"):
        load_dataset(str(path), graph)
    np.savez(path, x=np.array([["a"] * 4]))
    with pytest.raises(UserError, match="numbers are needed"):
        load_dataset(str(path), graph)
    np.savez(path, x=np.full((3, 4), np.nan))
    with pytest.raises(UserError, match="not finite"):
        load_dataset(str(path), graph)
    np.savez(path, x=np.zeros((3, 4)), y=np.zeros(2))
    with pytest.raises(UserError, match="different numbers of samples"):
        load_dataset(str(path), graph)
    np.savez(path, x=np.array([{}], dtype=object))
    with pytest.raises(UserError, match="cannot be read"):
        load_dataset(str(path), graph)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match="cannot be read"):
        load_dataset(str(path), graph)
    with pytest.raises(UserError, match="does not exist"):
        load_dataset(str(tmp_path / "none.npz"), graph)
    with pytest.raises(UserError, match="unknown data set"):
        load_dataset("digit", graph)


def test_python_functions(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        textwrap.dedent("""
        import numpy as np
        def samples(): return np.ones((2, 4)), np.array([0, 1])
        def only_x(): return [[1, 2, 3, 4]]
        def fails(): raise ValueError("no disk")
        """)
    )
    graph = graph_of((1, 4))
    assert load_dataset(f"{path}:samples", graph).target("out").tolist() == [0, 1]
    assert load_dataset(f"{path}:only_x", graph).real()["in"].tolist() == [[[1, 2, 3, 4]]]
    with pytest.raises(UserError, match="ValueError: no disk"):
        load_dataset(f"{path}:fails", graph)
    with pytest.raises(UserError, match="did you mean 'samples'"):
        load_dataset(f"{path}:sample", graph)


def test_digits_take_the_shape_of_the_input():
    pytest.importorskip("sklearn")
    for shape, view in [((1, 8, 8, 1), View((0, 3, 1, 2), (1, 1, 8, 8))), ((1, 64), None)]:
        data = load_dataset("digits", graph_of(shape, view))
        assert data.real()["in"].shape == (1797, *shape)
        assert data.real()["in"].max() == 16


def test_the_split_leaves_the_rest_in_order():
    chosen, rest = split_calibration(10, 3)
    assert chosen.tolist() == np.random.default_rng(0).permutation(10)[:3].tolist()
    assert rest.tolist() == sorted(set(range(10)) - set(chosen.tolist()))
    assert split_calibration(3, 5)[1].size == 0
    with pytest.raises(UserError):
        split_calibration(3, 0)


def test_take_keeps_samples_together(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.arange(12).reshape(3, 4), y=np.array([5, 6, 7]))
    part = load_dataset(str(tmp_path / "d.npz"), graph_of((1, 4))).take(np.array([2, 0]))
    assert part.target("out").tolist() == [7, 5]
    assert part.raw["in"][:, 0, 0].tolist() == [8, 0]


def test_input_codes_are_the_nearest_codes_of_the_preprocessed_values():
    q = QParams.per_tensor(0.017, -11)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    quantizer = input_quantizer(q, 1 / 255, mean, std)
    assert quantizer.is_per_channel
    x = np.repeat(np.arange(256)[:, None], 3, axis=1)
    codes = quantizer.codes(x)
    assert codes.dtype == np.int8
    different = 0
    for channel in range(3):
        for value in range(256):
            real = (Fraction(value) / 255 - Fraction(mean[channel])) / Fraction(std[channel])
            exact = real / Fraction(q.scalar) + q.zero_point + Fraction(1, 2)
            expected = min(max(exact.__floor__(), -128), 127)
            # Only a value within float32's rounding of a half-way case may fall to either side.
            if codes[value, channel] != expected:
                different += 1
                assert abs(exact - round(exact)) < Fraction(1, 10**4)
    assert different <= 2


def test_input_codes_clamp_and_survive_anything():
    quantizer = input_quantizer(QParams.per_tensor(1 / 128, 0))
    assert not quantizer.is_per_channel
    x = np.array([-np.inf, -2.0, -1.0, 0.0, 0.0039, 0.00391, 5.0, np.inf, np.nan], np.float32)
    assert quantizer.codes(x).tolist() == [-128, -128, -128, 0, 0, 1, 127, 127, -128]


def test_a_recipe_is_read(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "data: {scale: 0.5, mean: [1, 2], std: 3, layout: hwc}\n"
        "quantize: {calibration: mse, equalize: true}\n"
    )
    recipe = read_recipe(path)
    assert recipe.data.mean == (1.0, 2.0)
    assert recipe.quantize.equalize
    assert not recipe.quantize.symmetric
    options = Preprocessing(**recipe.data.model_dump())
    assert options == Preprocessing(0.5, (1.0, 2.0), 3.0, "hwc")
    assert parse_recipe("") == parse_recipe("data:\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("data:\n  scale: 1\n  lyaout: hwc\n", "recipe:3: data.lyaout: .*'layout'"),
        ("datas: {}\n", "recipe:1: datas: .*'data'"),
        ("quantize:\n  calibration: entropi\n", "recipe:2: quantize.calibration: .*'entropy'"),
        ("data:\n  scale: fast\n", "recipe:2: data.scale: "),
        ("data:\n  mean: [1, x]\n", "recipe:2: data.mean: "),
        ("data:\n  mean: .nan\n", "recipe:2: data.mean: "),
        ("data: [\n", "recipe:.*: not YAML"),
        ("- data\n", "sections"),
    ],
)
def test_recipe_errors_name_line_and_key(text, says):
    with pytest.raises(RecipeError, match=says):
        parse_recipe(text)

"""Normalizations written as sums, means and roots become one layer; what only looks so does not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecomp.frontend import read_model
from edgecomp.interp import run_float, run_int
from edgecomp.ir import QParams
from edgecomp.passes import run_passes
from edgecomp.passes.fuse_norm import fuse_norm
from edgecomp.quant import quantize_model
from tests.frontend.onnx_cases import check_model, make_model, node, ops, save

RNG = np.random.default_rng(8)
WIDTH = 6
CONSTANTS: dict[str, np.ndarray] = {
    "gain": RNG.uniform(0.5, 1.5, WIDTH).astype(np.float32),
    "offset": RNG.standard_normal(WIDTH).astype(np.float32),
    **{name: np.array(value, np.float32) for name, value in {
        "e": 1e-5, "two": 2, "half": -0.5, "n": WIDTH, "m": WIDTH - 1}.items()},
}  # fmt: skip
CENTRE = [node("ReduceMean", "x", "mean", axes=[-1]), node("Sub", "x mean", "c")]
POWER = [node("Pow", "c two", "s"), node("ReduceMean", "s", "v", axes=[-1])]
ROOT = [node("Add", "v e", "ve"), node("Sqrt", "ve", "d")]
AFFINE = [node("Mul", "r gain", "g"), node("Add", "g offset", "y")]
SQUARE = [node("Mul", "x x", "s"), node("ReduceMean", "s", "v", axes=[-1])]
FORMS = {
    "layer": [*CENTRE, *POWER, *ROOT, node("Div", "c d", "r"), *AFFINE],
    "layer-product": [*CENTRE, node("Mul", "c c", "s"), POWER[1], *ROOT,
                      node("Reciprocal", "d", "i"), node("Mul", "i c", "r"), *AFFINE],
    "sample-variance": [
        *CENTRE, node("ReduceMean", "x", "mean2", axes=[-1]), node("Sub", "x mean2", "c2"),
        node("Mul", "c2 c2", "s"), POWER[1], node("Mul", "v n", "vn"), node("Div", "vn m", "vu"),
        node("Add", "vu e", "ve"), ROOT[1], node("Div", "c d", "r"), *AFFINE],
    "mean-square": [*SQUARE, *ROOT, node("Div", "x d", "r"), node("Mul", "gain r", "y")],
    "inverse-power": [*SQUARE, ROOT[0], node("Pow", "ve half", "i"), node("Mul", "x i", "y")],
}  # fmt: skip
"""As exporters and people write them."""
OTHERS = {
    "added behind the root": [*CENTRE, *POWER, node("Sqrt", "v", "d0"), node("Add", "d0 e", "d"),
                              node("Div", "c d", "y")],
    "no root": [*CENTRE, *POWER, ROOT[0], node("Div", "c ve", "y")],
    "of other rows": [*CENTRE, *POWER, *ROOT, node("Exp", "x", "z"), node("Div", "z d", "y")],
    "centred by halves": [CENTRE[0], node("Sub", "x mean", "c0"), node("Mul", "x two", "c"), *POWER,
                          *ROOT, node("Div", "c0 d", "y")],
    "cubed": [*CENTRE, node("Mul", "c c", "c2"), node("Mul", "c2 c", "s"), POWER[1],
              node("Add", "v n", "ve"), node("Abs", "ve", "va"), node("Sqrt", "va", "d"),
              node("Div", "c d", "y")],
}  # fmt: skip


def model(nodes: list[onnx.NodeProto], shape: tuple[int, ...] = (1, 4, WIDTH)) -> onnx.ModelProto:
    return make_model(nodes, {"x": shape}, ["y"], CONSTANTS, opset=13)


@pytest.mark.parametrize("form", FORMS)
def test_becomes_one_layer(form: str, tmp_path: Path) -> None:
    graph = check_model(model(FORMS[form]), tmp_path)
    assert ops(graph) == ["layer_norm"]


@pytest.mark.parametrize("form", OTHERS)
def test_is_left_as_it_is(form: str, tmp_path: Path) -> None:
    assert "layer_norm" not in ops(check_model(model(OTHERS[form]), tmp_path))


def test_channels_of_an_image(tmp_path: Path) -> None:
    """ConvNeXt's `channels_first` norm: axis 1, gains of shape (C, 1, 1)."""
    constants = {
        **CONSTANTS,
        "w": RNG.standard_normal((WIDTH, 2, 3, 3)).astype(np.float32),
        **{name: CONSTANTS[name].reshape(WIDTH, 1, 1) for name in ("gain", "offset")},
    }
    nodes = [node("Conv", "image w", "x", pads=[1, 1, 1, 1])]
    for made in FORMS["layer"]:
        over = made.op_type == "ReduceMean"
        nodes.append(node("ReduceMean", made.input[0], made.output[0], axes=[1]) if over else made)
    built = make_model(nodes, {"image": (1, 2, 5, 4)}, ["y"], constants, opset=13)
    assert ops(check_model(built, tmp_path)) == ["conv2d", "layer_norm"]


def test_a_mean_that_is_read_elsewhere(tmp_path: Path) -> None:
    built = make_model(
        [*FORMS["layer"], node("Exp", "d", "z")], {"x": (1, 4, WIDTH)}, ["y", "z"], CONSTANTS,
        opset=13,
    )  # fmt: skip
    made = ops(check_model(built, tmp_path))
    assert "layer_norm" in made
    assert "div" not in made


def test_scales_of_the_file_stay(tmp_path: Path) -> None:
    graph = read_model(save(model(FORMS["layer"]), tmp_path))
    squares = graph.tensor("s")
    kept = replace(squares, qparams=QParams.per_tensor(0.1, -128))
    marked = graph.replace(tensors={**graph.tensors, "s": kept})
    assert fuse_norm(marked).nodes == marked.nodes


def test_rows_of_very_different_size_keep_their_precision(tmp_path: Path) -> None:
    """Taken apart, the small variances were code 0."""
    graph = run_passes(read_model(save(model(FORMS["layer"]), tmp_path)))
    sizes = 10.0 ** RNG.uniform(-1, 0.3, (100, 1, 4, 1))
    x = (sizes * RNG.standard_normal((100, 1, 4, WIDTH))).astype(np.float32)
    quantized, _ = quantize_model(graph, {"x": x})
    (name,) = quantized.outputs
    before, after = quantized.tensor("x").qparams, quantized.tensor(name).qparams
    assert before is not None
    assert after is not None
    codes = before.quantize(x).astype(np.int8)
    found = after.dequantize(run_int(quantized, {"x": codes})[name])
    real = run_float(graph, {"x": x})[name]
    assert 20 * np.log10(np.linalg.norm(real) / np.linalg.norm(found - real)) > 25

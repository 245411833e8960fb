"""Exported TFLite files in TensorFlow Lite for Microcontrollers (PyPI `tflite-micro`), and back."""

from dataclasses import replace

import numpy as np
import pytest

from edgecomp.errors import InternalError, UnsupportedError
from edgecomp.export.tflite import EMITTERS, export_tflite
from edgecomp.frontend import read_model
from edgecomp.interp import run_float, run_int
from edgecomp.ir import NO_CLAMP, Clamp
from edgecomp.ops import OPS
from edgecomp.ops.expression import X, call
from edgecomp.ops.layer_norm import LayerNormParams
from edgecomp.ops.pool import AveragePoolParams
from edgecomp.ops.unary import UnaryParams
from edgecomp.passes import run_passes
from edgecomp.quant import QuantizeOptions, quantize_model
from edgecomp.quant.tflite_form import as_tflite
from tests.ops.tables import ALL_CASES
from tests.support.cases import case_codes, case_graph, random_codes, real_outputs
from tests.support.quantized_networks import quantized_network
from tests.support.tflm import Tflm, structure
from tests.witness.networks import Network, samples_of

pytest.importorskip(
    "tflite_micro.python.tflite_micro.runtime",
    reason="tflite-micro is not installed: no witness for exported files",
)

NOT_THERE = {
    "conv2d-tiny-output": "its multiplier is too large for TFLM",
    "mul-tiny": "its multiplier is too small for TFLM",
    "unary-gelu": "TFLM has no GELU",
    "gather-five-axes": "TFLM slices four axes",
    "softmax-1000-sharp": "TFLM ends the process over its sum",
}
"""Cases that TFLM refuses."""
UNREADABLE = {"mul-huge": "no real network has its scales"}
ROUNDED_ELSEWHERE = frozenset({"prelu", "resize", "div", "log_softmax", "layer_norm"})
"""Operators in which even TFLite's numerics leave edgecomp's own arithmetic: at most one code."""
MOVES = frozenset({"reshape", "transpose"})
FEW = 8
MANY = 100
EVERY_THIRD = [case for n, case in enumerate(ALL_CASES) if n % 3 == 0 or case.numerics == "tflite"]
THE_OTHERS = [case for case in ALL_CASES if case not in EVERY_THIRD]


def quantized(graph, numerics="tflite"):
    options = QuantizeOptions(calibration="minmax", numerics=numerics)
    return quantize_model(graph, samples_of(graph), options)[0]


def read_back(content, folder, name="again"):
    path = folder / f"{name}.tflite"
    path.write_bytes(content)
    return quantize_model(run_passes(read_model(path)), None)[0]


def assert_comes_back(graph, folder):
    """Exported, read and exported again: the same operators, options, shapes, scales and data.

    Transposes between layers find their places when the file is read: then that is what lasts.
    """
    first = export_tflite(graph)
    again = read_back(first, folder, "first")
    assert {node.numerics for node in again.nodes if node.op not in MOVES} <= {"tflite"}
    second = export_tflite(again)
    again = read_back(second, folder, "second")
    before = "first"
    if any(node.op == "transpose" for node in graph.nodes):
        before, second = "second", export_tflite(again)
    (folder / "last.tflite").write_bytes(second)
    assert structure(folder / "last.tflite") == structure(folder / f"{before}.tflite")
    return first


def computed_in_reals(node):
    """Functions that TFLM computes in float32, whose rounding may differ at a tie."""
    names = {"relu", "leaky_relu", "hard_swish", "sigmoid", "tanh", "clip", "max", "min", "x"}
    names |= {"add", "sub", "mul", "div"}
    return isinstance(node.params, UnaryParams) and node.params.expr[0] not in names


def example():
    net = Network()
    x = net.input(12, 10, 3)
    a = net.conv(x, 8, stride=2)
    b = net.conv(a, 8, depthwise=True, clamp=Clamp(0.0, 6.0))
    c = net.add(net.conv(b, 8, kernel=1, clamp=Clamp(-0.4, 0.7)), a)
    gate = net.unary(net.conv(net.average_pool(c, 2), 8, kernel=1), "sigmoid")
    scaled = net.mul(net.max_pool(c), gate)
    out = net.softmax(net.dense(net.flatten(net.concat(scaled, gate)), 7))
    return net.graph(out, name="example")


@pytest.mark.parametrize("numerics", ["tflite", "edgecomp"])
def test_a_network_comes_back_with_the_same_bytes(numerics, tmp_path):
    graph = quantized(example(), numerics)
    first = assert_comes_back(graph, tmp_path)
    assert export_tflite(read_back(first, tmp_path)) == first
    assert export_tflite(graph) == first


@pytest.mark.slow
@pytest.mark.parametrize("op", sorted({case.op for case in ALL_CASES}))
def test_what_was_read_once_is_written_alike_for_ever(op, tmp_path):
    """A file may be read in simpler terms than it was written in, and these once more."""
    for case in ALL_CASES:
        if case.op != op or case.id in UNREADABLE:
            continue
        try:
            content = export_tflite(case_graph(case))
        except UnsupportedError:
            continue
        for name in ("first", "second", "third"):
            content = export_tflite(read_back(content, tmp_path, name))
        (tmp_path / "last.tflite").write_bytes(content)
        assert structure(tmp_path / "last.tflite") == structure(tmp_path / "third.tflite"), case.id


def test_the_same_bits_under_the_same_numerics():
    graph = quantized(example())
    codes = random_codes(graph, np.random.default_rng(3), 30)
    got, wanted = run_int(graph, codes), Tflm(graph)(codes)
    assert len(np.unique(wanted[graph.outputs[0]])) >= 10
    np.testing.assert_array_equal(got[graph.outputs[0]], wanted[graph.outputs[0]])


def has_value(graph, codes):
    """Where a function or a quotient has a value; elsewhere neither side has anything to say."""
    (node,) = graph.nodes
    if node.op == "div":
        node = replace(node, params=replace(node.params, clamp=NO_CLAMP))
    return np.isfinite(real_outputs(graph.replace(nodes=(node,)), codes)["y"])


def assert_case_agrees(case):
    graph = case_graph(case)
    codes = {name: array[:FEW] for name, array in case_codes(case, graph).items()}
    try:
        runtime = Tflm(graph)
    except UnsupportedError:
        return
    got, wanted = (found["y"].astype(int) for found in (run_int(graph, codes), runtime(codes)))
    distance = np.abs(got - wanted)
    if case.op in {"unary", "div"}:
        distance = distance[has_value(graph, codes)]
    assert distance.max(initial=0) <= (0 if case.numerics == "tflite" else 1)


@pytest.mark.parametrize("case", EVERY_THIRD, ids=lambda case: case.id)
def test_every_operator_is_at_most_one_code_apart(case):
    if case.id in NOT_THERE:
        pytest.skip(NOT_THERE[case.id])
    assert_case_agrees(case)


@pytest.mark.slow
@pytest.mark.parametrize("case", THE_OTHERS, ids=lambda case: case.id)
def test_every_other_case_is_at_most_one_code_apart(case):
    if case.id in NOT_THERE:
        pytest.skip(NOT_THERE[case.id])
    assert_case_agrees(case)


FUNCTIONS = (
    X, call("relu", X), call("sigmoid", X), call("tanh", X), call("hard_swish", X),
    call("leaky_relu", X, 0.1), call("clip", X, 0.0, 6.0), call("clip", X, -0.3, 2.2),
    call("add", X, 0.37), call("sub", 1.5, X), call("mul", X, -0.7), call("div", X, 3.0),
    call("max", X, -0.2), call("min", 0.4, X), call("clip", call("add", X, 3.0), 0.0, 6.0),
)  # fmt: skip
"""What TFLM computes on codes: our tables have every one of its 256 codes."""


@pytest.mark.parametrize("expr", FUNCTIONS, ids=lambda expr: UnaryParams(expr).text)
def test_tables_hold_what_tflm_computes(expr):
    for seed in range(6):
        net = Network(seed)
        x = net.input(256)
        graph = net.graph(net.node("unary", UnaryParams(expr), x))
        samples = {x: net.rng.uniform(-5, 5, (4, 1, 256)) * net.rng.uniform(0.1, 1.5)}
        options = QuantizeOptions(calibration="minmax", numerics="tflite")
        integers, _ = quantize_model(graph, {x: samples[x].astype(np.float32)}, options)
        codes = {x: np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 256)}
        got, wanted = run_int(integers, codes), Tflm(integers)(codes)
        np.testing.assert_array_equal(got[graph.outputs[0]], wanted[graph.outputs[0]])


def assert_random_network_agrees(seed, folder):
    graph = quantized_network(seed, folder, "tflite")
    try:
        content = assert_comes_back(graph, folder)
    except UnsupportedError as error:
        pytest.skip(str(error).splitlines()[0])
    try:
        runtime = Tflm(graph, content)
    except RuntimeError:
        pytest.skip("TFLM has no GELU, or refuses a scale far from 1")
    codes = random_codes(graph, np.random.default_rng(seed), 6)
    if any(node.op in ROUNDED_ELSEWHERE or computed_in_reals(node) for node in graph.nodes):
        return
    got, wanted = run_int(graph, codes), runtime(codes)
    for name in graph.outputs:
        np.testing.assert_array_equal(got[name], wanted[name])


@pytest.mark.parametrize("seed", range(FEW))
def test_random_networks_come_back_and_agree(seed, tmp_path):
    assert_random_network_agrees(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(FEW, FEW + 2 * MANY))
def test_many_random_networks_come_back_and_agree(seed, tmp_path):
    assert_random_network_agrees(seed, tmp_path)


def test_an_average_that_counts_its_padding_has_the_padding_in_a_layer_of_its_own():
    net = Network()
    x = net.input(6, 6, 3)
    params = AveragePoolParams(
        3, 3, pad_top=1, pad_bottom=1, pad_left=1, pad_right=1, count_include_pad=True
    )
    graph = net.graph(net.node("average_pool", params, net.conv(x, 4)))
    integers = quantized(graph)
    assert [node.op for node in integers.nodes] == ["conv2d", "pad", "average_pool"]
    samples = samples_of(graph)
    np.testing.assert_allclose(
        run_float(as_tflite(graph), samples)[graph.outputs[0]],
        run_float(graph, samples)[graph.outputs[0]],
    )
    codes = random_codes(integers, np.random.default_rng(0), 8)
    got, wanted = run_int(integers, codes), Tflm(integers)(codes)
    np.testing.assert_array_equal(got[graph.outputs[0]], wanted[graph.outputs[0]])


def test_averages_and_maxima_have_one_scale():
    integers = quantized(example())
    for node in integers.nodes:
        if node.op in {"average_pool", "max_pool", "concat"}:
            scales = {tensor.qparams for tensor in integers.node_inputs(node)}
            assert scales == {integers.node_output(node).qparams}


def test_gelu_in_pieces_is_written_as_gelu(tmp_path):
    """TFLite has no erf, and PyTorch writes GELU by it below opset 20."""
    pieces = call("mul", X, call("add", call("erf", call("div", X, 1.4142135)), 1.0))
    net = Network()
    x = net.input(20)
    graph = net.graph(net.dense(net.node("unary", UnaryParams(pieces), x), 4))
    assert_comes_back(quantized(graph), tmp_path)
    operators = structure(tmp_path / "first.tflite")[1]
    assert [operator[0] for operator in operators].count("GELU") == 1


def test_a_transformer_block_comes_back(tmp_path):
    net = Network()
    x = net.input(6, 8)
    constants = (net.const(net.rng.uniform(0.5, 1.5, 8)), net.const(net.rng.normal(size=8)))
    a = net.node("layer_norm", LayerNormParams(1e-5), x, *constants)
    graph = quantized(net.graph(net.add(net.dense(net.unary(net.dense(a, 16), "gelu"), 8), x)))
    assert_comes_back(graph, tmp_path)


def test_a_layer_that_tflite_has_not_is_refused_by_name():
    net = Network()
    x = net.input(20)
    graph = quantized(net.graph(net.unary(x, "erf")))
    with pytest.raises(UnsupportedError, match=r"unary0.*no operator computes erf"):
        export_tflite(graph)


def test_normalized_groups_are_refused_by_name():
    case = next(case for case in ALL_CASES if case.id == "layer_norm-instances")
    with pytest.raises(UnsupportedError, match="gains that differ from row to row"):
        export_tflite(case_graph(case))


@pytest.mark.parametrize("op", ["top_values", "top_indices"])
def test_largest_elements_are_refused_by_name(op):
    case = next(case for case in ALL_CASES if case.op == op)
    with pytest.raises(UnsupportedError, match="two results"):
        export_tflite(case_graph(case))


def test_what_is_not_quantized_is_refused():
    with pytest.raises(InternalError, match="not quantized"):
        export_tflite(example())


def test_operators_without_a_builtin_are_known():
    assert set(OPS) - set(EMITTERS) >= {"compare", "where"}

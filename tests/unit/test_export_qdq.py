"""The QDQ model: what it looks like, and that it says the same as the graph."""

import math

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgecomp.data.layout import device_to_model, model_to_device
from edgecomp.errors import InternalError
from edgecomp.frontend import read_model
from edgecomp.interp import run_int
from edgecomp.ir import NO_CLAMP, Clamp, Graph, View
from edgecomp.ops.expression import FUNCTIONS, X, call
from edgecomp.ops.movement import ReshapeParams, TransposeParams
from edgecomp.ops.prelu import PReluParams
from edgecomp.ops.reduce_mean import ReduceMeanParams
from edgecomp.ops.unary import UnaryParams
from edgecomp.passes import run_passes
from edgecomp.quant import QuantizeOptions, quantize_model
from edgecomp.quant.export_qdq import export_qdq
from tests.witness.networks import RELU, Network, random_codes, samples_of
from tests.witness.runtime import Runtime


def quantized(graph, **options):
    return quantize_model(graph, samples_of(graph), QuantizeOptions(**options))[0]


def assert_runs_alike(integers, share=0.002):
    """Codes at most 1 apart, in at most `share` of the elements: rounding errors accumulate."""
    codes = random_codes(integers, 24)
    own, other = run_int(integers, codes), Runtime(integers)(codes)
    for name in integers.outputs:
        distance = np.abs(own[name].astype(int) - np.clip(other[name], -128, 127))
        assert distance.max() <= 1
        assert np.mean(distance > 0) <= share


def read_back(integers, tmp_path):
    path = tmp_path / f"{integers.name}.onnx"
    path.write_bytes(export_qdq(integers).SerializeToString())
    again, report = quantize_model(run_passes(read_model(path)), None)
    assert {c.method for c in report.tensors.values()} == {"preset"}
    return again


def assert_equal_graphs(first: Graph, second: Graph):
    assert [node.op for node in first.nodes] == [node.op for node in second.nodes]
    assert first.views == second.views
    for a, b in zip(first.nodes, second.nodes, strict=True):
        outputs = first.node_output(a), second.node_output(b)
        assert outputs[0].shape == outputs[1].shape
        assert outputs[0].qparams == outputs[1].qparams
        for x, y in zip(first.node_inputs(a), second.node_inputs(b), strict=True):
            assert x.qparams == y.qparams
            if x.is_const:
                assert np.array_equal(x.value, y.value)
    codes = random_codes(first)
    own = run_int(first, codes)
    other = run_int(second, dict(zip(second.inputs, codes.values(), strict=True)))
    for a, b in zip(first.outputs, second.outputs, strict=True):
        assert np.array_equal(own[a], other[b])


def with_views(graph, **views):
    names = {name: name for name in (*graph.inputs, *graph.outputs)}
    return graph.replace(views=views, io_names=names)


def classifier():
    net = Network()
    x = net.input(8, 8, 3)
    a = net.conv(x, 6)
    b = net.conv(a, 6, depthwise=True, clamp=Clamp(0.1, 0.5))
    c = net.add(net.conv(b, 6, kernel=1, clamp=NO_CLAMP), a)
    out = net.softmax(net.dense(net.flatten(net.average_pool(net.max_pool(c))), 10))
    graph = net.graph(out, name="classifier")
    return with_views(graph, in0=View((0, 3, 1, 2), (1, 3, 8, 8)))


def test_a_convolutional_network_comes_back_equal(tmp_path):
    integers = quantized(classifier())
    assert_runs_alike(integers)
    assert_equal_graphs(integers, read_back(integers, tmp_path))


def test_the_file_is_what_others_expect():
    integers = quantized(classifier())
    model = export_qdq(integers)
    assert [i.name for i in model.graph.input] == ["in0"]
    assert [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == [1, 3, 8, 8]
    assert model.graph.output[0].name == integers.outputs[0]
    types = [node.op_type for node in model.graph.node]
    # One transpose: the flattening wants channels last.
    assert types.count("Transpose") == 1
    assert types.count("QuantizeLinear") == len(integers.nodes) + 1
    assert "Clip" in types
    assert types.count("Relu") == 2
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear":
            continue
        codes, scale, zero = (values.get(name) for name in node.input)
        assert scale.dtype == np.float32
        assert scale.shape == zero.shape
        if codes is None:
            assert scale.shape == ()
            assert zero.dtype == np.int8
        else:
            assert codes.dtype in {np.dtype(np.int8), np.dtype(np.int32)}
            assert zero.dtype == codes.dtype
            assert scale.shape == codes.shape[:1]


def test_zero_points_are_zero_if_asked():
    values = [
        numpy_helper.to_array(t)
        for t in export_qdq(quantized(classifier(), symmetric=True)).graph.initializer
        if t.name.endswith("zero_point")
    ]
    assert len(values) > 10
    assert not any(value.any() for value in values)


def test_the_same_bytes_every_time():
    graph = classifier()
    first, second = (export_qdq(quantized(graph)).SerializeToString() for _ in range(2))
    assert first == second


def test_vectors_sequences_and_several_inputs_and_outputs(tmp_path):
    net = Network()
    x, y = net.input(12, 4), net.input(12, 4)
    a = net.conv(x, 6)
    b = net.conv(net.sub(y, x), 6, kernel=5)
    joined = net.concat(a, b)
    mean = net.node("reduce_mean", ReduceMeanParams((1,), keepdims=False), joined)
    per_step = net.dense(joined, 5)
    graph = net.graph(net.dense(mean, 7), per_step, name="two")
    graph = with_views(graph, in0=View((0, 2, 1), (1, 4, 12)), in1=View((0, 2, 1), (1, 4, 12)))
    integers = quantized(graph)
    assert_runs_alike(integers)
    again = read_back(integers, tmp_path)
    codes = random_codes(integers)
    others = {
        name: model_to_device(
            device_to_model(codes[name], integers.views.get(name)),
            again.tensors[name].shape,
            again.views.get(name),
        )
        for name in codes
    }
    own, other = run_int(integers, codes), run_int(again, others)
    for first, second in zip(integers.outputs, again.outputs, strict=True):
        assert np.array_equal(own[first].ravel(), other[second].ravel())


def test_an_output_in_the_models_own_order():
    net = Network()
    a = net.conv(net.input(5, 6, 3), 4, clamp=NO_CLAMP)
    flat = net.flatten(a)
    graph = with_views(net.graph(a, flat), conv2d0=View((0, 3, 1, 2), (1, 4, 30)))
    integers = quantized(graph)
    model = export_qdq(integers)
    shapes = [[d.dim_value for d in o.type.tensor_type.shape.dim] for o in model.graph.output]
    assert shapes == [[1, 4, 30], [1, 120]]
    assert_runs_alike(integers)


def test_an_input_of_a_strange_order():
    net = Network()
    graph = net.graph(net.conv(net.input(5, 6, 3), 4, clamp=NO_CLAMP))
    graph = with_views(graph, in0=View((0, 2, 3, 1), (6, 15)))
    assert_runs_alike(quantized(graph))


def test_operators_beyond_the_ordinary():
    net = Network()
    x = net.input(7, 8, 4)
    a = net.pad(net.conv(x, 6, kernel=3, stride=2), 0.0)
    b = net.mul(a, net.const(net.rng.uniform(0.2, 1, (1, 1, 1, 6))))
    c = net.node("prelu", PReluParams(), net.sub(b, a), net.const(np.linspace(-0.5, 1.5, 6)))
    d = net.average_pool(c, 2, pad=1)
    e = net.node("transpose", TransposeParams((0, 2, 1, 3)), d)
    f = net.node("reshape", ReshapeParams((1, net.tensors[e].size // 6, 6)), e)
    g = net.node("reduce_mean", ReduceMeanParams((2,)), f)
    h = net.node("reduce_mean", ReduceMeanParams((0, 1, 2), keepdims=False, clamp=RELU), f)
    graph = net.graph(net.softmax(f), g, h)
    assert_runs_alike(quantized(graph))


def test_layers_on_vectors():
    net = Network()
    x = net.input(9)
    w = net.const(net.rng.normal(0, 1, (9, 1, 1, 1)))
    from edgecomp.ops.conv2d import Conv2dParams

    a = net.node("conv2d", Conv2dParams(1, 1, groups=9), x, w)
    b = net.node("prelu", PReluParams(), a, net.const(np.linspace(-1, 1, 9)))
    assert_runs_alike(quantized(net.graph(b)))


ARGUMENTS = {
    "clip": (-0.5, 0.75),
    "leaky_relu": (0.1,),
    "hard_sigmoid": (0.2, 0.5),
    "elu": (1.0,),
    "celu": (1.5,),
    "selu": (1.67, 1.05),
    "thresholded_relu": (0.3,),
    "hard_shrink": (0.5, 0.1),
    "add": (0.3,),
    "sub": (0.3,),
    "mul": (0.3,),
    "div": (0.3,),
    "pow": (2.0,),
    "min": (0.3,),
    "max": (0.3,),
}
POSITIVE = {"sqrt", "log", "reciprocal", "acosh"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions(function):
    net = Network()
    x = net.unary(net.input(40), "sigmoid")
    if function in POSITIVE:
        x = net.unary(x, "add", 1.05)
    graph = net.graph(net.unary(x, function, *ARGUMENTS.get(function, ())))
    assert_runs_alike(quantized(graph), share=0.01)


def test_trees_of_functions():
    net = Network()
    x = net.input(40)
    expr = call("mul", X, call("clip", call("add", call("mul", X, 0.3), 0.5), -math.inf, 1.0))
    graph = net.graph(net.node("unary", UnaryParams(expr), x))
    integers = quantized(graph)
    assert_runs_alike(integers, share=0.01)


def test_an_identity_between_two_scales_and_an_output_that_is_read():
    net = Network()
    x = net.input(30)
    a = net.unary(x, "tanh")
    b = net.unary(a)
    integers = quantized(net.graph(a, b, net.unary(b, "exp")))
    assert_runs_alike(integers)
    names = [o.name for o in export_qdq(integers).graph.output]
    assert names == list(integers.outputs)


def test_names_that_collide():
    net = Network()
    graph = net.graph(net.unary(net.input(4), "tanh"))
    graph = graph.replace(io_names={"in0": "unary0", "unary0": "unary0.codes"})
    integers = quantized(graph)
    model = export_qdq(integers)
    onnx.checker.check_model(model, full_check=True)
    assert model.graph.input[0].name == "unary0"
    assert model.graph.output[0].name == "unary0.codes"
    assert_runs_alike(integers)


def test_a_float_graph_is_refused():
    with pytest.raises(InternalError, match="not quantized"):
        export_qdq(classifier())


def test_a_bound_that_saturation_keeps_is_left_out():
    net = Network()
    a = net.conv(net.input(5, 5, 2), 3, clamp=Clamp(-100.0, 100.0))
    types = [n.op_type for n in export_qdq(quantized(net.graph(a))).graph.node]
    assert "Clip" not in types

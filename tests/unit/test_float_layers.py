"""`--float`: which layers, what becomes of them, what is refused."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from edgecomp.config import read_recipe
from edgecomp.errors import UnsupportedError, UserError
from edgecomp.export.tflite import export_tflite
from edgecomp.interp import run_float, run_int
from edgecomp.ir import NO_CLAMP, DType
from edgecomp.passes.dead_channels import remove_dead_channels
from edgecomp.quant import QuantizeOptions, quantize_model
from edgecomp.quant.export_qdq import export_qdq
from edgecomp.quant.float_layers import float_layers
from edgecomp.requant import prepare_node
from tests.witness.networks import Network, samples_of


@pytest.fixture
def network():
    net = Network(3)
    x = net.conv(net.input(8, 8, 3), 6)
    x = net.conv(x, 6, depthwise=True)
    x = net.max_pool(x, 2)
    x = net.unary(net.dense(net.flatten(x), 10), "tanh")
    return net.graph(net.softmax(x))


def quantized(graph, *patterns):
    return quantize_model(graph, samples_of(graph), QuantizeOptions(float_layers=patterns))


def test_names_and_globs(network):
    names = [node.name for node in network.nodes]
    assert float_layers(network, ["softmax6"]) == {"softmax6": "softmax6"}
    assert list(float_layers(network, ["*"])) == ["conv2d0", "conv2d1", "dense4", "softmax6"]
    assert float_layers(network, ["conv2d1", "conv*"]) == {"conv2d1": "conv2d1", "conv2d0": "conv*"}
    assert len(names) == 7


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        ("convolution", UserError, "--float convolution: no layer has this name"),
        ("conv2d", UserError, "near it: 'conv2d"),
        ("max_pool2", UnsupportedError, "only moves codes"),
        ("unary5", UnsupportedError, "rounded once"),
        ("max*", UnsupportedError, "'max_pool2'"),
    ],
)
def test_refusals(network, pattern, error, message):
    with pytest.raises(error, match=message.replace("*", r"\*")):
        float_layers(network, [pattern])


def test_what_a_glob_finds_besides_is_told(network):
    _, report = quantized(network, "conv*", "[mus]*[256]")
    assert set(report.float_layers) == {"conv2d0", "conv2d1", "softmax6"}
    assert set(report.left_in_integers) == {"unary5", "max_pool2"}
    assert "rounded once" in report.left_in_integers["unary5"]
    assert not quantized(network, "conv*")[1].left_in_integers


def test_only_those_asked_for_are_real(network):
    integers, report = quantized(network, "conv2d1", "dense4")
    assert report.float_layers == {"conv2d1": "conv2d1", "dense4": "dense4"}
    for node in integers.nodes:
        assert node.is_float32 == (node.name in {"conv2d1", "dense4"})
        for tensor in integers.node_inputs(node)[1:]:
            assert (tensor.dtype is DType.FLOAT32) == node.is_float32
    assert integers.is_quantized
    default, _ = quantized(network)
    assert not any(node.is_float32 for node in default.nodes)


def test_a_constant_that_both_kinds_share():
    net = Network(1)
    x = net.input(4, 4, 2)
    constant = net.const([0.5, -0.25])
    graph = net.graph(net.node("add", net_add(), net.mul(x, constant), constant))
    first, second = (node.name for node in graph.nodes)
    for name in (first, second):
        integers, _ = quantized(graph, name)
        kinds = {n.name: integers.node_inputs(n)[1].dtype for n in integers.nodes}
        assert kinds[name] is DType.FLOAT32
        assert [kind for other, kind in kinds.items() if other != name] == [DType.INT8]


def net_add():
    from edgecomp.ops.add import AddParams

    return AddParams()


def test_weights_of_float_layers_lose_nothing():
    """One weight a thousand times the others: int8 has no code for these."""
    net = Network(2)
    y = net.dense(net.input(16), 8)
    weights = net.tensors[net.nodes[0].inputs[1]].value
    weights[:, 0] *= 1000.0
    graph = net.graph(y)
    samples = samples_of(graph)
    samples["in0"][..., 0] *= 1e-3
    errors = {}
    for patterns in ((), ("dense0",)):
        integers, _ = quantize_model(graph, samples, QuantizeOptions(float_layers=patterns))
        q, out = integers.tensor("in0").qparams, integers.tensor(y).qparams
        codes = {"in0": q.quantize(samples["in0"]).astype(np.int8)}
        wanted = run_float(graph, {"in0": q.dequantize(codes["in0"]).astype(np.float32)})[y]
        got = out.dequantize(run_int(integers, codes)[y])
        errors[patterns] = float(np.abs(got - wanted).mean() / out.scalar)
    assert errors["dense0",] < 0.3
    assert errors[()] > 2 * errors["dense0",]


def test_dead_channels_before_and_in_float_layers_stay():
    net = Network(4)
    x = net.conv(net.input(6, 6, 3), 8)
    net.kill(x, [1, 4])
    x = net.conv(x, 5, clamp=NO_CLAMP)
    graph = net.graph(x)
    for pattern, channels in (("conv2d1", 8), ("conv2d0", 8)):
        integers, _ = quantized(graph, pattern)
        smaller, _ = remove_dead_channels(integers)
        assert smaller.tensor("conv2d0").shape[-1] == channels
        codes = {"in0": np.random.default_rng(0).integers(-128, 128, (3, 1, 6, 6, 3), np.int8)}
        np.testing.assert_array_equal(run_int(integers, codes)[x], run_int(smaller, codes)[x])
    assert remove_dead_channels(quantized(graph)[0])[0].tensor("conv2d0").shape[-1] == 6


def test_exported_model_keeps_real_weights(network):
    integers, _ = quantized(network, "*")
    model = export_qdq(integers)
    weights = [t for t in model.graph.initializer if t.name.endswith(".real")]
    assert len(weights) == 6
    session = onnxruntime.InferenceSession(model.SerializeToString())
    q, out = (integers.tensor(n).qparams for n in ("in0", "softmax6"))
    codes = np.random.default_rng(1).integers(-128, 128, (20, 1, 8, 8, 3)).astype(np.int8)
    ours = run_int(integers, {"in0": codes})["softmax6"]
    for sample, got in zip(q.dequantize(codes).astype(np.float32), ours, strict=True):
        (theirs,) = session.run(None, {"in0": sample})
        assert np.abs(np.rint(theirs / out.scalar) + out.zero_point - got).max() <= 1


def test_tflite_has_no_such_layers(network):
    integers, _ = quantized(network, "dense4")
    with pytest.raises(UnsupportedError, match=r"'dense4'.*float32"):
        export_tflite(integers)


def test_a_recipe_may_name_them(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("quantize: {float_layers: [head, block3.*]}\n")
    assert read_recipe(path).quantize.float_layers == ("head", "block3.*")


def test_codes_of_16_bits_are_refused(network):
    integers, _ = quantized(network, "softmax6")
    (node,) = [node for node in integers.nodes if node.is_float32]
    wide = replace(integers.node_inputs(node)[0], dtype=DType.INT16)
    with pytest.raises(UnsupportedError, match="int16 codes"):
        prepare_node(node, [wide], integers.node_output(node))

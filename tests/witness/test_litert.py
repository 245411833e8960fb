"""int8 TFLite files against LiteRT's reference kernels (PyPI `ai-edge-litert`), tensor by tensor.

Every layer is computed from the very codes that LiteRT's layer read.  Fully connected layers round
once there, where TensorFlow Lite for Microcontrollers rounds twice: that is all that differs.
"""

from pathlib import Path

import numpy as np
import pytest

from edgecomp.fixedpoint import saturate
from edgecomp.frontend import read_model
from edgecomp.interp import run_int
from edgecomp.ops import OPS
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from edgecomp.requant import prepare_node
from edgecomp.requant.tflite import TfliteConstants
from tests.support.tflite_net import Subgraph, content
from tests.witness.test_tflite_micro import FILES

litert = pytest.importorskip(
    "ai_edge_litert.interpreter",
    reason="ai-edge-litert is not installed: no witness for TFLite's intermediate tensors",
)
FEW = 2
MANY = 40


class OneRounding(TfliteConstants):
    """What LiteRT's fully connected layer does with an accumulator."""

    def finish(self, acc):
        total = 31 - self.shift
        scaled = ((acc + self.bias) * self.multiplier + (1 << (total - 1))) >> total
        return saturate(scaled + self.zero_point, self.low, self.high)


def tensors_of(path, codes):
    """All tensors of LiteRT's reference kernels by name, one dictionary per sample."""
    interpreter = litert.Interpreter(
        str(path),
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    found = []
    for sample in codes:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample)
        interpreter.invoke()
        found.append(
            {
                detail["name"]: interpreter.get_tensor(detail["index"]).copy()
                for detail in interpreter.get_tensor_details()
                if detail["dtype"] == np.int8
            }
        )
    return found


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_every_layer_computes_what_litert_computes(name, count, data_dir: Path):
    path = data_dir / "models" / FILES[name]
    graph, _ = quantize_model(run_passes(read_model(path)), None)
    (x,) = (graph.tensors[n] for n in graph.inputs)
    codes = np.random.default_rng(2).integers(-128, 128, (count, *x.shape)).astype(np.int8)
    found = tensors_of(path, codes)

    own = {}  # tensors that only edgecomp has: the same codes in another shape

    def theirs(tensor):
        if tensor.name in own:
            return own[tensor.name]
        key = tensor.name.removesuffix(".activation")
        key = key if key in found[0] else graph.io_names[tensor.name]
        return np.stack([one[key].reshape(tensor.shape) for one in found])

    once = 0
    for node in graph.nodes:
        inputs, output = graph.node_inputs(node), graph.node_output(node)
        arrays = [t.value if t.is_const else theirs(t) for t in inputs]
        prepared = prepare_node(node, inputs, output)
        got = OPS[node.op].int_ref(node.params, prepared, inputs, arrays)
        if node.op == "reshape":
            own[output.name] = got
            continue
        wanted = theirs(output)
        if node.op == "dense":
            assert np.abs(got.astype(int) - wanted).max() <= 1
            once += int((got != wanted).sum())
            prepared = OneRounding(**vars(prepared))
            got = OPS[node.op].int_ref(node.params, prepared, inputs, arrays)
        np.testing.assert_array_equal(got, wanted, err_msg=node.name)
    if name == "ad":
        assert once > 0, "two roundings and one never differed: the witness saw nothing"


@pytest.mark.parametrize("count", [1, 4, 12])
def test_largest_elements_are_litert_s(count, tmp_path):
    """Values and indices, of equal ones the first first; LiteRT orders codes as it does reals."""
    net = Subgraph()
    x = net.tensor((1, 3, 12), scale=0.05, zero=-7)
    values = net.tensor((1, 3, count), scale=0.05, zero=-7)
    indices = net.tensor((1, 3, count), "int32")
    net.operator("TOPK_V2", [x, net.constant(np.int32(count))], [values, indices], "TopKV2Options")
    net.inputs, net.outputs = [x], [values, indices]
    path = tmp_path / "top.tflite"
    path.write_bytes(content(net))
    graph, _ = quantize_model(run_passes(read_model(path)), None)
    codes = np.random.default_rng(4).integers(-6, 6, (MANY, 1, 3, 12)).astype(np.int8)
    found = [run_int(graph, {graph.inputs[0]: codes})[name] for name in graph.outputs]
    interpreter = litert.Interpreter(str(path))
    interpreter.allocate_tensors()
    places = [detail["index"] for detail in interpreter.get_output_details()]
    for number, sample in enumerate(codes):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample)
        interpreter.invoke()
        wanted = [interpreter.get_tensor(place) for place in places]
        np.testing.assert_array_equal(found[0][number].reshape(wanted[0].shape), wanted[0])
        index = graph.tensors[graph.outputs[1]].qparams.dequantize(found[1][number])
        np.testing.assert_array_equal(index.reshape(wanted[1].shape), wanted[1])

"""Steps on networks with recurrent layers: both matrices are pruned, shared and coded."""

import numpy as np
import pytest

from edgecomp.compress.cluster import cluster_step
from edgecomp.compress.prune_weights import prune_weights
from edgecomp.compress.quantizing import quantize_step
from edgecomp.compress.storing import huffman_step
from edgecomp.compress.technique import Workshop
from edgecomp.compress.train.examples import make_examples, split
from edgecomp.compress.train.graph_module import linear_weights, weight_tensors
from edgecomp.config import Cluster, Huffman, Prune, Quantize, TrainingSection
from edgecomp.errors import UserError
from edgecomp.frontend.torch_reader import read_module
from edgecomp.interp import run_float, run_int
from edgecomp.ir.weights import weights_of
from edgecomp.kernels import Layer
from edgecomp.passes import run_passes
from edgecomp.plan.planner import plan_graph
from edgecomp.quant import quantize_model
from edgecomp.storage import allow_storage
from edgecomp.storage.found import allow_found
from edgecomp.targets.cores import get_core

torch = pytest.importorskip("torch")

STEPS, INPUTS, UNITS, CLASSES = 6, 5, 12, 3


class Classifier(torch.nn.Module):
    """A recurrent layer, its last row, a dense layer."""

    def __init__(self, kind):
        """Make the layers of one kind."""
        super().__init__()
        torch.manual_seed(0)
        self.rnn = getattr(torch.nn, kind)(INPUTS, UNITS, batch_first=True)
        self.fc = torch.nn.Linear(UNITS, CLASSES)

    def forward(self, x):
        """Class scores of sequences."""
        return self.fc(self.rnn(x)[0][:, -1])


@pytest.fixture(scope="module", params=["LSTM", "GRU", "RNN"])
def pruned(request):
    """The network after pruning, clustering and coding, each with little training."""
    example = torch.zeros(1, STEPS, INPUTS)
    graph = run_passes(read_module("net", Classifier(request.param), example, "net"))
    rng = np.random.default_rng(1)
    x = rng.normal(0, 1, (120, *graph.tensors[graph.inputs[0]].shape)).astype(np.float32)
    y = np.argmax(x.reshape(120, STEPS, INPUTS).sum(axis=1)[:, :CLASSES], axis=1)
    examples = make_examples(graph, {graph.inputs[0]: x}, {graph.outputs[0]: y}, "sums")
    shop = Workshop(split(examples, 0.2, 0), TrainingSection(batch=32))
    graph = prune_weights(graph, Prune(amount=0.7, what="weights", epochs=1), shop).graph
    graph = cluster_step(graph, Cluster(clusters=8, epochs=1), shop).graph
    return huffman_step(graph, Huffman(), shop).graph, x, shop


def test_weights_of_both_matrices_are_gone_and_shared(pruned):
    graph, _, _ = pruned
    names = weight_tensors(graph)
    assert len(names) == 3
    values = [graph.tensors[name].value for name in names]
    zeros = sum((value == 0).sum() for value in values)
    assert zeros == pytest.approx(0.7 * sum(value.size for value in values), abs=3)
    assert all(len(np.unique(value)) <= 8 for value in values)
    assert all(graph.tensors[name].storages == ("huffman",) for name in names)


def test_what_comes_out_can_be_coded_and_computes_as_before(pruned):
    graph, x, _ = pruned
    quantized, _ = quantize_model(graph, {graph.inputs[0]: x})
    (node,) = (node for node in quantized.nodes if len(weights_of(quantized, node)) > 1)
    name = f"{node.op}_generic_huffman_layer"
    plan = plan_graph(quantized, get_core("cortex-m0"), forced={node.output: name})
    (stage,) = (stage for stage in plan.stages if stage.output == node.output)
    kernel, layer = plan.kernel(stage), plan.layer(stage)
    # Rows that fill up a block of four are 0.
    assert set(np.unique(kernel.ordered(layer))) == set(np.unique(layer.stored_weights)) | {0}
    assert kernel.encoded(layer).bytes < 0.7 * layer.stored_weights.size
    codes = {n: quantized.tensors[n].qparams.quantize(x).astype(np.int8) for n in graph.inputs}
    found = run_int(quantized, codes)[quantized.outputs[0]]
    q = quantized.tensors[quantized.outputs[0]].qparams
    wanted = run_float(graph, {graph.inputs[0]: x})[graph.outputs[0]]
    assert (np.argmax(q.dequantize(found), -1) == np.argmax(wanted, -1)).mean() > 0.9


def test_matrices_are_stored_together(pruned):
    graph, _, _ = pruned
    (layer,) = (node for node in graph.nodes if len(weights_of(graph, node)) > 1)
    first, second = weights_of(graph, layer)
    for one in (first, second):
        marked = allow_storage(graph, one, ("sparse",), ("layer",))
        assert {marked.tensors[n].storages for n in (first, second)} == {("sparse",)}
        assert Layer(marked, layer).decodes == ("layer",)


def test_zeros_that_a_network_arrives_with_are_found(pruned):
    graph, x, _ = pruned
    for name in weight_tensors(graph):
        graph = allow_storage(graph, name, ("dense8",))
    quantized, _ = quantize_model(graph, {graph.inputs[0]: x})
    found = allow_found(quantized)
    (layer,) = (node for node in found.nodes if len(weights_of(found, node)) > 1)
    assert "sparse" in Layer(found, layer).storages


def test_int4_is_for_other_layers(pruned):
    graph, _, shop = pruned
    outcome = quantize_step(graph, Quantize(weights="int4", method="nearest"), shop)
    small = {n for n in weight_tensors(graph) if "packed4" in outcome.graph.tensors[n].storages}
    assert small == set(linear_weights(graph))
    with pytest.raises(UserError, match="no layer with weights is named 'rnn"):
        quantize_step(graph, Quantize(weights="int4", method="nearest", layers=("rnn*",)), shop)

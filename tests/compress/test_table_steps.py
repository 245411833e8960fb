"""Steps on networks with tables of embeddings: these are weights like others."""

import numpy as np
import pytest

from edgecomp.compress.cluster import cluster_step
from edgecomp.compress.prune_weights import prune_weights
from edgecomp.compress.storing import huffman_step
from edgecomp.compress.technique import Workshop
from edgecomp.compress.train.examples import make_examples, split
from edgecomp.compress.train.graph_module import linear_weights, weight_tensors
from edgecomp.config import Cluster, Huffman, Prune, TrainingSection
from edgecomp.frontend.torch_reader import read_module
from edgecomp.interp import run_float, run_int
from edgecomp.kernels import Layer
from edgecomp.passes import run_passes
from edgecomp.plan.planner import plan_graph
from edgecomp.quant import QuantizeOptions, quantize_model
from edgecomp.storage import allow_storage
from edgecomp.storage.found import allow_found
from edgecomp.targets.cores import get_core

torch = pytest.importorskip("torch")

TOKENS, WIDTH = 12, 16


class Bag(torch.nn.Module):
    """Rows of a table, their mean, a dense layer."""

    def __init__(self, rows):
        """Make the layers."""
        super().__init__()
        torch.manual_seed(0)
        self.words, self.out = torch.nn.Embedding(rows, WIDTH), torch.nn.Linear(WIDTH, 2)

    def forward(self, x):
        """Class scores of token ids."""
        return self.out(self.words(x).mean(dim=1))


@pytest.fixture(scope="module", params=[120, 500])
def pruned(request):
    """The network after pruning, clustering and coding, each with little training."""
    rows = request.param
    example = torch.zeros(1, TOKENS, dtype=torch.long)
    graph = run_passes(read_module("bag", Bag(rows), example, "bag"))
    rng = np.random.default_rng(1)
    x = rng.integers(0, rows, (300, *graph.tensors[graph.inputs[0]].shape)).astype(np.float32)
    y = (np.where(x < rows / 3, 1, -1).reshape(300, -1).sum(axis=1) > -4).astype(np.int64)
    examples = make_examples(graph, {graph.inputs[0]: x}, {graph.outputs[0]: y}, "words")
    shop = Workshop(split(examples, 0.2, 0), TrainingSection(batch=32))
    graph = prune_weights(graph, Prune(amount=0.7, what="weights", epochs=1), shop).graph
    graph = cluster_step(graph, Cluster(clusters=8, scales="channel", epochs=1), shop).graph
    return huffman_step(graph, Huffman(), shop).graph, x


def table_of(graph):
    (node,) = (node for node in graph.nodes if node.op == "embedding")
    return node, graph.tensors[node.inputs[1]]


def test_rows_are_pruned_and_share_values(pruned):
    graph, _ = pruned
    _, table = table_of(graph)
    assert set(weight_tensors(graph)) == {table.name, *linear_weights(graph)}
    assert 0.6 < (table.value == 0).mean() < 0.8
    assert len(np.unique(table.value)) <= 8
    assert table.storages == ("huffman",)
    assert table.qparams.axis is None, "rows are copied: there is one scale"


@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m4f"])
def test_what_comes_out_is_coded_and_computes_as_before(pruned, core):
    graph, x = pruned
    quantized, _ = quantize_model(graph, {graph.inputs[0]: x})
    node, table = table_of(quantized)
    assert table.qparams.zero_point == 0
    assert len(np.unique(table.value)) <= 8
    plan = plan_graph(quantized, get_core(core))
    (stage,) = (stage for stage in plan.stages if stage.output == node.output)
    wide = "wide_" if len(table.value) > 256 else ""
    assert stage.kernel == f"embedding_{wide}huffman"
    # Codes, the decoder's tables, places of rows.
    assert sum(c.size_bytes for c in plan.constants(stage)) < 0.4 * table.size
    dtype = quantized.tensors[quantized.inputs[0]].dtype
    q = quantized.tensors[quantized.inputs[0]].qparams
    codes = {quantized.inputs[0]: q.quantize(x, *dtype.limits).astype(dtype.numpy)}
    found = run_int(quantized, codes)[quantized.outputs[0]]
    wanted = run_float(graph, {graph.inputs[0]: x})[graph.outputs[0]]
    assert (np.argmax(found, -1) == np.argmax(wanted, -1)).mean() > 0.9


def test_zeros_and_values_that_a_table_arrives_with_are_found(pruned):
    graph, x = pruned
    for name in weight_tensors(graph):
        graph = allow_storage(graph, name, ("dense8",))
    quantized, _ = quantize_model(graph, {graph.inputs[0]: x})
    found = allow_found(quantized)
    node, _ = table_of(found)
    assert "sparse" in Layer(found, node).storages


def test_tables_of_int16_stay_plain(pruned):
    graph, x = pruned
    options = QuantizeOptions(numerics="int16")
    quantized, _ = quantize_model(graph, {graph.inputs[0]: x}, options)
    node, _ = table_of(quantized)
    plan = plan_graph(quantized, get_core("cortex-m4f"))
    (stage,) = (stage for stage in plan.stages if stage.output == node.output)
    assert stage.kernel == "embedding_int16"
    (choice,) = (one for one in plan.storage_choices if one.output == node.output)
    assert choice.storage == "dense8"
    assert "16 bits" in choice.reason

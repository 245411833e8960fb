"""Operators that ONNX defines by others are taken apart; what is said of them names the layer."""

import numpy as np
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

from edgecomp import feasibility
from edgecomp.errors import UnsupportedError, UserError
from edgecomp.frontend import read_model
from edgecomp.frontend.onnx_functions import Origin, expand_functions
from edgecomp.frontend.onnx_reader import _KNOWN
from edgecomp.frontend.survey import survey
from edgecomp.frontend.torch_reader import _quiet
from edgecomp.passes import run_passes
from tests.frontend.onnx_cases import (
    difference,
    make_model,
    node,
    ops,
    random_inputs,
    run_graph,
    save,
)

HEADS = {"q": [1, 2, 5, 4], "k": [1, 2, 5, 4], "v": [1, 2, 5, 4]}


def attention(name="blk/attn", inputs=None, constants=None, **attributes):
    """A network of one Attention between two other layers."""
    nodes = [
        node("Tanh", "q", "a", "first"),
        node("Attention", "a k v", "b", name, **attributes),
        node("Relu", "b", "y", "last"),
    ]
    return make_model(nodes, inputs or HEADS, ["y"], constants, opset=23)


def checked(model, folder):
    """The graph, equal to ONNX's own reference implementation before and after the passes."""
    graph = read_model(save(model, folder))
    inputs = random_inputs(graph)
    reference = ReferenceEvaluator(model)
    for form in (graph, run_passes(graph)):
        results = run_graph(form, inputs)
        for sample in range(2):
            wanted = reference.run(None, {name: x[sample] for name, x in inputs.items()})
            for name, y in zip((o.name for o in model.graph.output), wanted, strict=True):
                assert difference(results[name][sample], y) < 1e-5, name
    return run_passes(graph)


@pytest.mark.parametrize("causal", [0, 1])
def test_attention_is_computed_by_its_definition(causal, tmp_path):
    graph = checked(attention(is_causal=causal), tmp_path)
    assert ops(graph).count("matmul") == 2
    # The mask hides no whole row: nothing has to be chosen.
    assert "where" not in ops(graph)
    assert ops(graph).count("add") == causal


def test_layers_of_a_definition_are_named_after_the_layer_of_the_file(tmp_path):
    names = [made.name for made in read_model(save(attention(), tmp_path)).nodes]
    assert names[0] == "first"
    assert names[-1] == "last"
    assert all(name.startswith("blk/attn/Attention/") for name in names[1:-1])


def test_other_layers_keep_the_names_that_they_have_without_a_definition():
    model = attention("")
    for made in model.graph.node:
        made.name = ""
    names = [made.name for made in expand_functions(model, _KNOWN).model.graph.node]
    assert names[0] == "Tanh_0"
    assert names[-1] == "Relu_2"
    assert all(name.startswith("Attention_1/") for name in names[1:-1])


def test_two_layers_of_one_name_do_not_mix(tmp_path):
    nodes = [
        node("Attention", "q k v", "a", "attn"),
        node("Attention", "a k v", "y", "attn", is_causal=1),
    ]
    model = make_model(nodes, HEADS, ["y"], opset=23)
    graph = checked(model, tmp_path)
    names = [made.name for made in graph.nodes]
    assert len({name.split("/")[0] for name in names}) == 2


def test_operators_that_are_known_stay_whole(tmp_path):
    constants = {"g": np.ones(4, np.float32)}
    nodes = [node("LayerNormalization", "x g", "a"), node("Gelu", "a", "y")]
    model = make_model(nodes, {"x": [1, 3, 4]}, ["y"], constants, opset=20)
    expansion = expand_functions(model, _KNOWN)
    assert expansion.model is model
    assert not expansion.origins
    assert ops(checked(model, tmp_path)) == ["layer_norm", "unary"]


def test_an_attribute_reaches_the_definition(tmp_path):
    model = make_model([node("SwiGLU", "x z", "y", alpha=1.7)], {"x": [1, 4], "z": [1, 4]},
                       ["y"], opset=28)  # fmt: skip
    model.ir_version = 13
    assert "mul" in ops(checked(model, tmp_path))


def test_a_definition_within_a_definition(tmp_path):
    """The loss is one over the log of a softmax, which is defined itself."""
    constants = {"t": np.array([[1, 0, 2]])}
    model = make_model([node("SoftmaxCrossEntropyLoss", "x t", "y", "loss", reduction="none")],
                       {"x": [1, 4, 3]}, ["y"], constants)  # fmt: skip
    expansion = expand_functions(model, _KNOWN)
    assert set(expansion.origins.values()) == {Origin("SoftmaxCrossEntropyLoss", "loss")}
    assert "log_softmax" in ops(checked(model, tmp_path))


def computed_cache():
    """RotaryEmbedding of a table that is computed, by positions that are given."""
    nodes = [node("RotaryEmbedding", "x c s i", "y", "rope")]
    shapes = {"x": [1, 2, 3, 4], "c": [5, 2], "s": [5, 2], "i": [1, 3]}
    types = {"i": TensorProto.INT64}
    return make_model(nodes, shapes, ["y"], opset=23, types=types)


def test_a_refusal_within_a_definition_names_the_layer_of_the_file(tmp_path):
    path = save(computed_cache(), tmp_path)
    with pytest.raises(UnsupportedError, match=r"RotaryEmbedding in layer 'rope'.*its Gather") as e:
        read_model(path)
    assert (e.value.op, e.value.layer) == ("RotaryEmbedding", "rope")
    found = survey(str(path))
    refusals = found.refusals
    assert found.layers == 1
    assert {(refusal.op, refusal.layer) for refusal in refusals} == {("RotaryEmbedding", "rope")}
    assert str(e.value.limit) in {refusal.reason for refusal in refusals}
    assert all(refusal.suggestion for refusal in refusals)


@pytest.mark.parametrize(("op", "inputs", "opset"), [
    ("Bernoulli", "x", 22), ("LinearAttention", "x z z", 27), ("Range", "x z z", 17),
])  # fmt: skip
def test_a_definition_by_what_is_unknown_too_is_refused_as_a_whole(op, inputs, opset, tmp_path):
    attributes = {"q_num_heads": 1, "kv_num_heads": 1} if op == "LinearAttention" else {}
    shape = [] if op == "Range" else [1, 4, 6]
    outputs = "y state" if op == "LinearAttention" else "y"
    model = make_model([node("Relu", "x", "a"), node(op, inputs, outputs, "mine", **attributes)],
                       {name: shape for name in dict.fromkeys(inputs.split())},
                       ["y"], opset=opset)  # fmt: skip
    path = save(model, tmp_path)
    with pytest.raises(UnsupportedError) as caught:
        read_model(path)
    assert (caught.value.op, caught.value.layer) == (op, "mine")
    assert [(r.op, r.layer) for r in survey(str(path)).refusals] == [(op, "mine")]


def test_an_infinite_row_of_layers_is_refused(tmp_path):
    nodes, name = [], "q"
    for index in range(60):
        nodes.append(node("Attention", f"{name} k v", f"t{index}"))
        name = f"t{index}"
    path = save(make_model(nodes, HEADS, [name], opset=23), tmp_path)
    for look in (read_model, survey):
        with pytest.raises(UserError, match="layers; at most"):
            look(str(path))


def without_shapes(model):
    for value in model.graph.input:
        value.type.tensor_type.ClearField("shape")
    return model


def test_an_unknown_rank_matters_only_where_the_definition_depends_on_it(tmp_path):
    shapes = {name: tuple(shape) for name, shape in HEADS.items()}
    path = save(without_shapes(attention()), tmp_path)
    assert read_model(path, input_shapes=shapes).tensor("q").shape == (1, 2, 5, 4)
    nodes = [node("RotaryEmbedding", "x c s", "y", "rope")]
    shapes = {"x": (1, 2, 3, 4), "c": (1, 3, 2), "s": (1, 3, 2)}
    path = save(without_shapes(make_model(nodes, shapes, ["y"], opset=23)), tmp_path)
    with pytest.raises(UnsupportedError, match="RotaryEmbedding in layer 'rope'"):
        read_model(path, input_shapes=shapes)


def test_attention_as_torch_exports_it(tmp_path):
    """From operator set 23 on it is one layer of the file."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    with _quiet(torch):
        program = torch.onnx.export(self_attention(torch), (torch.randn(1, 6, 8),), dynamo=True,
                                    opset_version=23, verbose=False)  # fmt: skip
    assert program is not None
    model = program.model_proto
    assert [made.op_type for made in model.graph.node].count("Attention") == 1
    graph = checked(model, tmp_path)
    assert ops(graph).count("softmax") == 1
    assert feasibility.check_model(str(tmp_path / "net.onnx"), "mps2-an386")["verdict"] == "ok"


def self_attention(torch):
    """Two heads over six steps."""

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.parts, self.last = torch.nn.Linear(8, 24), torch.nn.Linear(8, 3)

        def forward(self, x):
            heads = [y.reshape(1, 6, 2, 4).transpose(1, 2) for y in self.parts(x).chunk(3, -1)]
            y = torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=True)
            return self.last(y.transpose(1, 2).reshape(1, 6, 8))

    torch.manual_seed(0)
    return Block().eval()

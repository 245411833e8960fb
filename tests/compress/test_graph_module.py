"""A graph as a torch module: the same numbers as the interpreter, and weights that come back."""

import numpy as np
import pytest

from edgecomp.compress.train.graph_module import (
    as_module,
    normalizable,
    trainable_tensors,
    trained,
    with_constants,
)
from edgecomp.compress.train.torch_functions import evaluate, functions
from edgecomp.compress.train.torch_ops import TORCH_OPS
from edgecomp.errors import UserError
from edgecomp.interp import run_float
from edgecomp.ops import OPS
from edgecomp.ops.expression import FUNCTIONS, X, call
from edgecomp.ops.expression import evaluate as evaluate_numpy
from tests.compress.support import examples_for, network
from tests.support.cases import MADE_FOR_STREAMS
from tests.support.random_graphs import device_inputs, float_graph, random_model
from tests.support.small_model import small_graph

torch = pytest.importorskip("torch")

ARGUMENTS = {"clip": (-0.5, 0.5), "leaky_relu": (0.1,), "hard_sigmoid": (0.2, 0.5), "elu": (1.3,),
             "celu": (1.3,), "selu": (1.6, 1.05), "thresholded_relu": (0.3,),
             "hard_shrink": (0.5, 0.1), "add": (2.0,), "sub": (2.0,), "mul": (2.0,),
             "div": (2.0,), "pow": (2.0,), "min": (0.1,), "max": (0.1,)}  # fmt: skip


def run_module(graph, inputs):
    """Every activation, computed by torch in float64."""
    module = as_module(graph).double()
    tensors = [torch.tensor(inputs[name], dtype=torch.float64) for name in graph.inputs]
    wanted = [node.output for node in graph.nodes]
    return {name: t.detach().numpy() for name, t in module(*tensors, names=wanted).items()}


def doubles(inputs):
    return {name: array.astype(np.float64) for name, array in inputs.items()}


@pytest.mark.parametrize("seed", range(12))
def test_a_module_computes_every_tensor_as_the_interpreter_does(seed, tmp_path):
    random = random_model(seed)
    graph = float_graph(random, tmp_path)
    inputs = doubles(device_inputs(graph, random.inputs))
    expected = run_float(graph, inputs, keep=True)
    for name, array in run_module(graph, inputs).items():
        assert array.shape == expected[name].shape
        # The interpreter may give a tensor in float32 where constants are folded into it.
        np.testing.assert_allclose(array, expected[name], rtol=1e-6, atol=1e-6, err_msg=name)


def test_every_operator_and_every_function_can_be_trained():
    assert set(TORCH_OPS) == set(OPS) - MADE_FOR_STREAMS
    assert set(functions()) == set(FUNCTIONS)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_are_those_of_the_interpreter(name):
    x = np.linspace(-2.3, 2.3, 41)
    expr = call(name, X, *ARGUMENTS.get(name, ()))
    mine = evaluate(expr, torch.tensor(x)).numpy()
    np.testing.assert_allclose(mine, evaluate_numpy(expr, x), rtol=1e-12, atol=1e-12)


def test_weights_come_back_into_the_graph(tmp_path):
    random = random_model(1)
    graph = float_graph(random, tmp_path)
    inputs = device_inputs(graph, random.inputs)
    module = as_module(graph)
    assert trained(graph, module).tensors == graph.tensors
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1.25)
    changed = trained(graph, module)
    for name in trainable_tensors(graph):
        np.testing.assert_array_equal(
            changed.tensors[name].value, graph.tensors[name].value * np.float32(1.25)
        )
    tensors = [torch.tensor(inputs[name]) for name in graph.inputs]
    with torch.no_grad():
        outputs = module(*tensors)
    expected = run_float(changed, inputs)
    for name in graph.outputs:
        np.testing.assert_allclose(outputs[name].numpy(), expected[name], rtol=1e-4, atol=1e-4)


def test_gradients_reach_every_weight(tmp_path):
    random = random_model(2)
    graph = float_graph(random, tmp_path)
    module = as_module(graph)
    inputs = device_inputs(graph, random.inputs)
    outputs = module(*(torch.tensor(inputs[name]) for name in graph.inputs))
    sum(t.square().sum() for t in outputs.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


def test_a_changed_constant_loses_its_scale_and_an_unchanged_one_keeps_it(tmp_path):
    graph = float_graph(random_model(1), tmp_path)
    name = trainable_tensors(graph)[0]
    value = graph.tensors[name].value
    assert with_constants(graph, {name: value}).tensors[name] is graph.tensors[name]
    assert with_constants(graph, {name: value + 1}).tensors[name].qparams is None


def test_a_quantized_graph_is_refused():
    with pytest.raises(UserError, match="quantized; train the float model"):
        as_module(small_graph())


def test_normalized_layers_fold_into_the_constants():
    graph = network("resnet8", 0.25)
    module = as_module(graph, batch_norm=True)
    x = torch.tensor(examples_for(graph, 16).inputs[graph.inputs[0]])
    module.train()
    with torch.no_grad():
        for norm in module.norms:
            norm.weight.uniform_(0.5, 2.0)
            norm.bias.uniform_(-0.3, 0.3)
        for _ in range(10):
            module(x)
    module.eval()
    expected = module(x)[graph.outputs[0]].detach().numpy()
    folded = trained(graph, module)
    found = run_float(folded, {graph.inputs[0]: x.numpy()})[graph.outputs[0]]
    assert len(module.norms) == len(normalizable(graph)) == 9
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_what_stands_after_a_tensor_changes_it_for_its_readers():
    graph = network()
    first = graph.nodes[0].output

    class Nothing(torch.nn.Module):
        def forward(self, x):
            return x * 0

    module = as_module(graph, after={first: Nothing()})
    outputs = module(torch.ones(2, 1, 256), names=(first, graph.outputs[0]))
    assert not outputs[first].any()
    assert torch.equal(outputs[graph.outputs[0]][0], outputs[graph.outputs[0]][1])

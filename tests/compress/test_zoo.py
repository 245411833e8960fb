"""The zoo: networks by name, with parameters, and what is wrong with a name."""

import numpy as np
import pytest

from edgecomp.compress.train.graph_module import as_module
from edgecomp.errors import UserError
from edgecomp.frontend import read_model
from edgecomp.interp import run_float
from edgecomp.ir.serialize import save_graph
from edgecomp.passes import run_passes

torch = pytest.importorskip("torch")


def parameters(graph):
    return sum(tensor.size for tensor in graph.tensors.values() if tensor.is_const)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("lenet-300-100", 266_610),
        ("lenet-5?width=0.5&classes=3", 107_538),
        ("ds-cnn", 22_604),
        ("resnet8", 77_706),
        ("cnn-1d", 9_566),
        ("mobilenet-v1?width=0.25", 210_850),
        ("autoencoder", 265_864),
    ],
)
def test_a_network_of_the_zoo_is_a_model_like_any_other(name, count):
    graph = run_passes(read_model(f"zoo:{name}"))
    assert parameters(graph) == count
    shape = graph.tensors[graph.inputs[0]].shape
    x = np.random.default_rng(0).normal(0, 1, (3, *shape))
    made = as_module(graph).double()(torch.tensor(x))[graph.outputs[0]].detach().numpy()
    expected = run_float(graph, {graph.inputs[0]: x})[graph.outputs[0]]
    np.testing.assert_allclose(made, expected, rtol=1e-9, atol=1e-12)


def test_weights_follow_the_seed():
    first, again, other = (
        read_model(f"zoo:lenet-300-100?width=0.05&seed={seed}") for seed in (1, 1, 2)
    )
    name = next(name for name, tensor in first.tensors.items() if tensor.is_const)
    np.testing.assert_array_equal(first.tensors[name].value, again.tensors[name].value)
    assert (first.tensors[name].value != other.tensors[name].value).any()


def test_a_saved_graph_is_a_model(tmp_path):
    graph = run_passes(read_model("zoo:lenet-5?width=0.1&input=3,16,16"))
    save_graph(graph, tmp_path / "model.npz")
    again = run_passes(read_model(tmp_path / "model.npz"))
    assert again.tensors == graph.tensors
    assert again.nodes == graph.nodes
    assert again.views == graph.views != {}
    assert again.io_names == graph.io_names


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("lenet5", "did you mean 'lenet-5'"),
        ("lenet-5?widht=1", "did you mean 'width'"),
        ("lenet-5?width=wide", "width cannot be 'wide'; write input=1,28,28"),
        ("resnet8?input=32x32", "input needs 3 sizes"),
        ("lenet-5?input=1,8,8", "height and width from 16"),
        ("lenet-5?classes=0", "classes must be at least 1"),
        ("lenet-5?depth=2", "no parameter .depth."),
        ("resnet8?width=99", "width and depth must be between"),
        ("autoencoder?classes=3", "no parameter .classes."),
    ],
)
def test_wrong_names_are_explained(name, says):
    with pytest.raises(UserError, match=says):
        read_model(f"zoo:{name}")

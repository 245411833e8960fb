"""Low-rank layers: exact at full rank, the best of their rank, within their budget."""

import numpy as np
import pytest

from edgecomp.compress.factorize import _options, factorize_step, replaced
from edgecomp.compress.low_rank import dense_factors, separable_factors, tucker_factors
from edgecomp.compress.prune_channels import total_macs
from edgecomp.compress.technique import Workshop
from edgecomp.config import Factorize, TrainingSection
from edgecomp.errors import UserError
from edgecomp.interp import run_float
from edgecomp.ir.verify import verify
from edgecomp.ops import OPS
from tests.compress.support import network, split_for

pytest.importorskip("torch")


def product(first, second):
    """What a 1x1 or dense layer does after another."""
    return np.tensordot(second, first, axes=([second.ndim - 1], [0]))


def test_dense_factors_are_the_best_of_their_rank():
    weights = np.random.default_rng(0).normal(0, 1, (9, 7))
    for factors in dense_factors(weights):
        first, second = factors.weights
        rest = weights - second @ first
        error = np.square(rest).sum() / np.square(weights).sum()
        assert error == pytest.approx(factors.error, abs=1e-9)
        singular = np.linalg.svd(weights, compute_uv=False)
        assert np.square(rest).sum() == pytest.approx(np.square(singular[len(first) :]).sum())


def test_separable_factors_of_a_separable_kernel_lose_nothing():
    rng = np.random.default_rng(1)
    down, right = rng.normal(0, 1, (2, 3, 1, 5)), rng.normal(0, 1, (4, 1, 3, 2))
    weights = np.einsum("rhi,owr->ohwi", down[:, :, 0], right[:, 0])
    found = {f.weights[0].shape[0]: f for f in separable_factors(weights)}
    assert found[2].error == pytest.approx(0, abs=1e-12)
    assert found[1].error > 0.01
    first, second = found[2].weights
    np.testing.assert_allclose(
        np.einsum("rhi,owr->ohwi", first[:, :, 0], second[:, 0]), weights, atol=1e-9
    )


def test_tucker_factors_say_what_they_lose():
    weights = np.random.default_rng(2).normal(0, 1, (8, 3, 3, 6))
    for factors in tucker_factors(weights):
        first, core, last = factors.weights
        made = np.einsum("or,rhwi,ic->ohwc", last[:, 0, 0], core, first[:, 0, 0])
        error = np.square(weights - made).sum() / np.square(weights).sum()
        assert error == pytest.approx(factors.error, abs=1e-9)


def weights_exact(graph, node, option):
    """Whether the parts compute what the layer does, up to the error that was told."""
    changed = replaced(graph, {node.name: option})
    verify(changed, OPS)
    shape = graph.tensors[graph.inputs[0]].shape
    x = {graph.inputs[0]: np.random.default_rng(0).normal(0, 1, (4, *shape))}
    before, after = (run_float(g, x, keep=True)[node.output] for g in (graph, changed))
    return np.square(after - before).mean() / np.square(before - before.mean()).mean()


@pytest.mark.parametrize("method", ["svd", "tucker", "separable"])
def test_the_parts_of_a_layer_compute_nearly_what_it_did(method):
    graph = network("resnet8", 0.25)
    count = 0
    for node in graph.nodes:
        if node.op not in {"conv2d", "dense"}:
            continue
        whole, *options = _options(graph, node, method)
        for option in options[-1:]:
            assert option.macs < whole.macs
            assert option.error < 0.6
            assert weights_exact(graph, node, option) < 3 * option.error + 1e-6
            count += 1
    assert count >= 3 - (method == "svd")


def test_the_budget_is_kept_and_the_network_still_learns():
    graph = network()
    shop = Workshop(split_for(graph), TrainingSection(batch=32))
    outcome = factorize_step(graph, Factorize(macs=0.5, epochs=4, learning_rate=5e-3), shop)
    verify(outcome.graph, OPS)
    assert 0.2 < total_macs(outcome.graph) / total_macs(graph) <= 0.5
    assert outcome.score.accuracy > 0.9
    kept = factorize_step(graph, Factorize(energy=0.95, epochs=0), shop).graph
    assert total_macs(kept) <= total_macs(graph)


def whole_network_share(step):
    """The MACs that stay of a network of which most are in 3x3 convolutions."""
    graph = network("resnet8", 0.25)
    shop = Workshop(split_for(graph, 100), TrainingSection(batch=32))
    return total_macs(factorize_step(graph, step, shop).graph) / total_macs(graph)


def test_what_cannot_be_met_is_said():
    graph = network()
    shop = Workshop(split_for(graph), TrainingSection(batch=32))
    with pytest.raises(UserError, match=r"0\.001 of the MACs cannot be reached; .* it is 0\.0"):
        factorize_step(graph, Factorize(macs=0.001, epochs=0), shop)
    assert whole_network_share(Factorize(macs=0.5, epochs=0)) <= 0.5
    with pytest.raises(UserError, match=r"it is 0\.\d+, as 0\.\d+ is in chosen .* by svd; .* auto"):
        whole_network_share(Factorize(macs=0.5, method="svd", epochs=0))
    with pytest.raises(UserError, match="can be made of smaller ones by tucker"):
        factorize_step(graph, Factorize(method="tucker"), shop)

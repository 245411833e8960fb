"""int4, AdaRound and training in integers: grids, budgets, and the device's codes."""

from dataclasses import replace

import numpy as np
import pytest

from edgecomp.compress import adaround
from edgecomp.compress.cluster import cluster_step
from edgecomp.compress.grids import best_scales, few_inputs, on_grid
from edgecomp.compress.prune_weights import prune_weights
from edgecomp.compress.qat import integer_module
from edgecomp.compress.quantizing import quantize_step
from edgecomp.compress.retrain import train_step
from edgecomp.compress.technique import Workshop
from edgecomp.compress.train.graph_module import as_module, weight_tensors, with_constants
from edgecomp.compress.train.scoring import evaluate
from edgecomp.config import Cluster, Prune, Quantize, Train, TrainingSection
from edgecomp.errors import UserError
from edgecomp.interp import outputs_in_chunks, run_int
from edgecomp.ir.verify import verify
from edgecomp.ops import OPS
from edgecomp.quant import QuantizeOptions, quantize_model
from tests.compress.support import network, split_for

torch = pytest.importorskip("torch")

TRAINING = TrainingSection(batch=32)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(adaround, "STEPS", 120)


@pytest.fixture(scope="module")
def trained():
    graph = network("resnet8", 0.12)
    shop = Workshop(split_for(graph), TRAINING)
    step = Train(epochs=5, learning_rate=1e-2, batch_norm=True)
    return train_step(graph, step, shop).graph, shop


@pytest.fixture(scope="module")
def dense():
    graph = network()
    shop = Workshop(split_for(graph), TRAINING)
    return train_step(graph, Train(epochs=4, learning_rate=3e-3), shop).graph, shop


def quantized(graph, shop):
    made, _ = quantize_model(graph, shop.split.train.inputs)
    verify(made, OPS)
    return made


def agreement(graph, shop, module):
    """Codes of the device's integers that a module in integers gives as well, by tensor."""
    name = graph.inputs[0]
    made = quantized(graph, shop)
    x = shop.split.validation.inputs[name]
    codes = made.tensors[name].qparams.quantize(x)
    expected = run_int(made, {name: codes.astype(np.int8)}, keep=True)
    wanted = [node.output for node in graph.nodes]
    grid = torch.tensor(made.tensors[name].qparams.dequantize(codes).astype(np.float32))
    with torch.no_grad():
        found = module.eval()(grid, names=wanted)
    shares = {}
    for output in wanted:
        qparams = made.tensors[output].qparams
        mine = np.rint(found[output].numpy() / qparams.scalar) + qparams.zero_point
        assert np.abs(mine - expected[output]).max() <= 2
        shares[output] = float(np.mean(mine == expected[output]))
    return shares


@pytest.mark.parametrize("method", ["nearest", "adaround", "qat"])
def test_int4_weights_lie_on_sixteen_codes_of_each_channel(trained, method):
    graph, shop = trained
    step = Quantize(weights="int4", method=method, **({"epochs": 1} if method == "qat" else {}))
    outcome = quantize_step(graph, step, shop)
    made = quantized(outcome.graph, shop)
    for name in weight_tensors(outcome.graph):
        codes = made.tensors[name].value
        assert np.abs(codes).max() <= 7
        assert len(np.unique(codes)) > 4
        real = outcome.graph.tensors[name]
        assert "packed4" in real.storages
        np.testing.assert_allclose(
            made.tensors[name].qparams.dequantize(codes), real.value, rtol=1e-5, atol=1e-7
        )


@pytest.mark.slow
def test_roundings_that_are_learned_are_better_than_the_nearest(trained):
    graph, shop = trained
    nearest, learned = (
        quantize_step(graph, Quantize(weights="int4", method=method), shop)
        for method in ("nearest", "adaround")
    )
    assert learned.score.loss < nearest.score.loss
    for name in weight_tensors(graph):
        scales = np.array(learned.graph.tensors[name].qparams.scale)
        shaped = scales.reshape(-1, *(1,) * (graph.tensors[name].value.ndim - 1))
        moved = np.abs(learned.graph.tensors[name].value - graph.tensors[name].value) / shaped
        inside = np.abs(graph.tensors[name].value) / shaped < 7
        assert moved[inside].max() < 1.001


def test_training_in_integers_sees_the_codes_of_the_device(trained):
    graph, shop = trained
    bits = dict.fromkeys(weight_tensors(graph), 4)
    step = Quantize(weights="int4", method="qat", epochs=2, learning_rate=1e-3)
    outcome = quantize_step(graph, step, shop)
    # The same module, with what was learned.
    after = {name: outcome.graph.tensors[name] for name in bits}
    learned = {name: np.array(t.qparams.scale) for name, t in after.items()}
    module, _, _ = integer_module(outcome.graph, bits, learned, shop)
    shares = agreement(outcome.graph, shop, module)
    assert min(shares.values()) > 0.99
    assert np.mean(list(shares.values())) > 0.998
    assert outcome.score.accuracy > 0.9
    made = quantized(outcome.graph, shop)
    name = graph.inputs[0]
    codes = made.tensors[name].qparams.quantize(shop.split.validation.inputs[name])
    outputs = outputs_in_chunks(made, {name: codes.astype(np.int8)}, integer=True)
    answers = outputs[made.outputs[0]].reshape(len(codes), -1).argmax(axis=1)
    accuracy = np.mean(answers == shop.split.validation.targets)
    assert accuracy == pytest.approx(outcome.score.accuracy, abs=0.02)


def test_layers_that_are_to_stay_int8_stay(trained):
    graph, shop = trained
    layers = weight_tensors(graph)
    first = next(iter(layers.values()))
    step = Quantize(weights="int4", method="nearest", keep8=(first,))
    made = quantized(quantize_step(graph, step, shop).graph, shop)
    largest = {layer: np.abs(made.tensors[name].value).max() for name, layer in layers.items()}
    assert largest.pop(first) == 127
    assert set(largest.values()) == {7}
    with pytest.raises(UserError, match="keep8: no layer with weights is named 'head'"):
        quantize_step(graph, step.model_copy(update={"keep8": ("head",)}), shop)


def test_a_budget_of_bytes_takes_int4_where_it_harms_least(trained):
    graph, shop = trained
    total = sum(graph.tensors[name].size for name in weight_tensors(graph))
    step = Quantize(weights="mixed", bytes=round(0.75 * total), method="nearest")
    outcome = quantize_step(graph, step, shop)
    small = [n for n in weight_tensors(graph) if "packed4" in outcome.graph.tensors[n].storages]
    saved = sum(graph.tensors[name].size // 2 for name in small)
    assert 0.25 * total <= saved < 0.5 * total
    with pytest.raises(UserError, match=r"cannot fit 10 bytes: .* they take \d"):
        quantize_step(graph, step.model_copy(update={"bytes": 10}), shop)


def test_what_is_pruned_stays_pruned_in_integers(dense):
    graph, shop = dense
    pruned = prune_weights(graph, Prune(amount=0.6, what="weights", epochs=0), shop).graph
    for step in (Quantize("int4"), Quantize("int4", method="qat", epochs=1)):
        made = quantize_step(pruned, step, shop).graph
        for name in weight_tensors(pruned):
            assert not made.tensors[name].value[pruned.tensors[name].value == 0].any()


def test_clusters_of_int4_weights_are_int4_codes(dense):
    graph, shop = dense
    four = quantize_step(graph, Quantize(weights="int4", method="nearest"), shop).graph
    shared = cluster_step(four, Cluster(clusters=6, epochs=1), shop).graph
    made = quantized(shared, shop)
    for name in weight_tensors(shared):
        codes = made.tensors[name].value
        assert len(np.unique(codes)) <= 6
        assert np.abs(codes).max() <= 7
        assert {"packed4", "codebook"} <= set(shared.tensors[name].storages)


def test_the_best_grid_of_int4_is_not_worse_than_the_widest():
    value = np.random.default_rng(0).standard_t(3, (6, 40))
    widest = np.abs(value).max(axis=1) / 7
    found = best_scales(value, 7)
    for scales in (found, widest):
        assert np.abs(on_grid(value, scales, 7) / scales[:, None]).max() <= 7.001
    error = [np.square(on_grid(value, s, 7) - value).sum(axis=1) for s in (found, widest)]
    assert (error[0] <= error[1] + 1e-9).all()
    assert (error[0] < error[1]).any()


def test_int8_without_a_method_is_what_every_build_does(dense):
    graph, shop = dense
    outcome = quantize_step(graph, Quantize(), shop)
    assert outcome.graph.tensors == graph.tensors
    assert outcome.score == evaluate(graph, as_module(graph), shop.split.validation)
    assert replace(outcome, note="").diverged == ""


def test_channels_that_a_step_balances_are_those_that_a_build_balances(dense):
    graph, shop = dense
    first = next(iter(weight_tensors(graph)))
    values = graph.tensors[first].value.copy()
    values[::3] *= 20
    uneven = with_constants(graph, {first: values})
    few = few_inputs(shop)
    outcome = quantize_step(uneven, Quantize(equalize=True), shop)
    assert "balanced: the outputs of" in outcome.note
    built, _ = quantize_model(outcome.graph, few)
    wanted, report = quantize_model(uneven, few, QuantizeOptions(equalize=True))
    plain, _ = quantize_model(uneven, few)
    assert report.equalized
    for name in weight_tensors(graph):
        np.testing.assert_array_equal(built.tensors[name].value, wanted.tensors[name].value)
    assert any(
        not np.array_equal(built.tensors[name].value, plain.tensors[name].value)
        for name in weight_tensors(graph)
    )
    assert outcome.score.loss == pytest.approx(
        evaluate(uneven, as_module(uneven), shop.split.validation).loss, rel=1e-3
    )

"""Pruning and sharing: what must hold of the weights that come out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecomp.compress.cluster import cluster_step, share
from edgecomp.compress.prune_weights import (
    block_mask,
    block_norms,
    lamp_scores,
    magnitude_masks,
    n_of_m_mask,
    prune_weights,
)
from edgecomp.compress.retrain import train_step
from edgecomp.compress.sensitivity import balanced_shares
from edgecomp.compress.technique import Workshop
from edgecomp.compress.train.graph_module import (
    as_module,
    weight_tensors,
    with_constants,
)
from edgecomp.compress.train.scoring import evaluate
from edgecomp.config import Cluster, Prune, Train, TrainingSection
from edgecomp.errors import UserError
from edgecomp.kernels import KERNELS, Layer
from edgecomp.quant import quantize_model
from edgecomp.storage.codebook import channels_per_table
from tests.compress.support import network, split_for

pytest.importorskip("torch")

TRAINING = TrainingSection(batch=32)


@pytest.fixture(scope="module")
def trained_network():
    graph = network()
    shop = Workshop(split_for(graph), TRAINING)
    return train_step(graph, Train(epochs=4, learning_rate=3e-3), shop).graph, shop


def zeros_of(graph):
    return {name: graph.tensors[name].value == 0 for name in weight_tensors(graph)}


@pytest.mark.parametrize("schedule", ["gradual", "one-shot"])
@pytest.mark.parametrize("budget", ["global", "layer"])
def test_pruning_leaves_the_share_that_was_asked_for(trained_network, schedule, budget):
    graph, shop = trained_network
    step = Prune(amount=0.8, what="weights", schedule=schedule, budget=budget, epochs=3)
    outcome = prune_weights(graph, step, shop)
    zeros = zeros_of(outcome.graph)
    gone, size = sum(z.sum() for z in zeros.values()), sum(z.size for z in zeros.values())
    assert gone == pytest.approx(0.8 * size, abs=len(zeros))
    if budget == "layer":
        assert all(z.mean() == pytest.approx(0.8, abs=1 / z.size) for z in zeros.values())
    again = evaluate(outcome.graph, as_module(outcome.graph), shop.split.validation)
    assert outcome.score == again
    if budget == "global":  # the last layer is so small that 0.8 of it cuts classes off
        assert outcome.score.accuracy > 0.8


def test_what_is_pruned_stays_pruned(trained_network):
    graph, shop = trained_network
    once = prune_weights(graph, Prune(amount=0.5, what="weights", epochs=0), shop).graph
    for after in (
        train_step(once, Train(epochs=1), shop).graph,
        prune_weights(once, Prune(amount=0.6, what="weights", epochs=2), shop).graph,
        cluster_step(once, Cluster(clusters=8, epochs=1), shop).graph,
    ):
        for name, zeros in zeros_of(once).items():
            assert not after.tensors[name].value[zeros].any()
            assert not np.array_equal(after.tensors[name].value, once.tensors[name].value)


def test_an_interrupted_pruning_ends_with_the_same_weights(trained_network, tmp_path):
    graph, shop = trained_network
    step = Prune(amount=0.7, what="weights", epochs=5)
    whole = prune_weights(graph, step, shop).graph
    for lost in (2, 5):  # while the share grows, and after that
        said = []

        def interrupt(text, said=said, lost=lost):
            said.append(text)
            if len(said) == lost:
                raise KeyboardInterrupt

        cut = Workshop(shop.split, TRAINING, tmp_path / f"{lost}.pt", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prune_weights(graph, step, cut)
        resumed = prune_weights(graph, step, Workshop(shop.split, TRAINING, cut.checkpoint))
        for name in weight_tensors(whole):
            np.testing.assert_array_equal(
                resumed.graph.tensors[name].value, whole.tensors[name].value
            )


def test_an_interruption_between_two_choices_of_masks_changes_nothing(trained_network, tmp_path):
    graph, shop = trained_network
    step = Prune(amount=0.7, what="weights", epochs=7)
    training = TRAINING.model_copy(update={"batch": 8})
    # Two of seven epochs end at 28.6 %: the masks of 28 % hold on to 29 %.
    whole = prune_weights(graph, step, Workshop(shop.split, training)).graph

    def interrupt(text):
        if text.startswith("epoch 3 of"):  # what is kept is of epoch 2
            raise KeyboardInterrupt

    cut = Workshop(shop.split, training, tmp_path / "cut.pt", interrupt)
    with pytest.raises(KeyboardInterrupt):
        prune_weights(graph, step, cut)
    resumed = prune_weights(graph, step, Workshop(shop.split, training, cut.checkpoint)).graph
    for name in weight_tensors(whole):
        np.testing.assert_array_equal(resumed.tensors[name].value, whole.tensors[name].value)


def test_only_the_chosen_layers_change(trained_network):
    graph, shop = trained_network
    first, *others = weight_tensors(graph).items()
    step = Prune(amount=0.5, what="weights", epochs=0, layers=(first[1],))
    zeros = zeros_of(prune_weights(graph, step, shop).graph)
    assert zeros[first[0]].mean() == pytest.approx(0.5, abs=0.01)
    assert not any(zeros[name].any() for name, _ in others)
    with pytest.raises(UserError, match=r"no layer with weights is named 'conv\*'"):
        prune_weights(graph, step.model_copy(update={"layers": ("conv*",)}), shop)


@pytest.mark.parametrize("pruned", [False, True])
def test_shared_values_are_codes_of_the_quantized_network(trained_network, pruned):
    graph, shop = trained_network
    if pruned:
        graph = prune_weights(graph, Prune(amount=0.7, what="weights", epochs=0), shop).graph
    clustered = cluster_step(graph, Cluster(clusters=6, epochs=2), shop).graph
    quantized, _ = quantize_model(clustered, shop.split.train.inputs)
    for name in weight_tensors(clustered):
        real, codes = clustered.tensors[name], quantized.tensors[name]
        assert len(np.unique(real.value)) == len(np.unique(codes.value)) <= 6
        np.testing.assert_array_equal(
            codes.qparams.dequantize(codes.value).astype(np.float32), real.value
        )
    assert evaluate(clustered, as_module(clustered), shop.split.validation).accuracy > 0.8


def test_channels_of_any_size_share_values_with_a_scale_each(trained_network):
    graph, shop = trained_network
    name, bias = next(node for node in graph.nodes if node.op == "dense").inputs[1:]
    values = graph.tensors[name].value.copy()
    biases = graph.tensors[bias].value.copy()
    values[0] *= 1e-2
    values[1] *= 1e-30  # what weight decay leaves; its scale must still hold the bias
    biases[:2] = 0, 0.5
    uneven = with_constants(graph, {name: values, bias: biases})
    step = Cluster(clusters=6, scales="channel", epochs=0)
    clustered = cluster_step(uneven, step, shop).graph
    quantized, _ = quantize_model(clustered, shop.split.train.inputs)
    codes, real = quantized.tensors[name], clustered.tensors[name]
    assert len(np.unique(codes.value)) <= 6
    assert len(np.unique(codes.value[0])) > 2
    assert not codes.value[1].any()
    np.testing.assert_array_equal(
        codes.qparams.dequantize(codes.value).astype(np.float32), real.value
    )
    one_scale = cluster_step(uneven, Cluster(clusters=6, epochs=0), shop).graph
    assert len(np.unique(one_scale.tensors[name].value[0])) == 1


@pytest.mark.parametrize("pruned", [False, True])
def test_groups_of_channels_share_values_of_their_own(trained_network, pruned):
    graph, shop = trained_network
    if pruned:
        graph = prune_weights(graph, Prune(amount=0.5, what="weights", epochs=0), shop).graph
    step = Cluster(clusters=5, groups=3, epochs=2)
    clustered = cluster_step(graph, step, shop).graph
    quantized, _ = quantize_model(clustered, shop.split.train.inputs)
    more = 0
    for name in weight_tensors(clustered):
        codes = quantized.tensors[name]
        size = channels_per_table(len(codes.value), 3)
        for first in range(0, len(codes.value), size):
            assert len(np.unique(codes.value[first : first + size])) <= 5
        more += len(np.unique(codes.value)) > 5
        np.testing.assert_array_equal(
            codes.qparams.dequantize(codes.value).astype(np.float32), clustered.tensors[name].value
        )
        if pruned:
            assert not codes.value[graph.tensors[name].value == 0].any()
    assert more >= 2  # the last layer has one group: four channels
    layer = Layer(quantized, next(node for node in quantized.nodes if node.op == "dense"))
    for kernel in (KERNELS["dense_codebook"], KERNELS["dense_codebook_dsp"]):
        tables = kernel.encoded(layer).array("values")
        assert (len(tables) > 1, tables.shape[1]) == (True, 8)


def test_groups_of_small_channels_keep_their_weights_apart(trained_network):
    graph, shop = trained_network
    name = next(iter(weight_tensors(graph)))
    values = graph.tensors[name].value.copy()
    values[:12] *= 0.1
    uneven = with_constants(graph, {name: values})
    errors = {}
    for groups in (1, 3):
        step = Cluster(clusters=6, groups=groups, epochs=0)
        made = cluster_step(uneven, step, shop).graph.tensors[name].value
        errors[groups] = np.square(made[:12] - values[:12]).sum()
    assert errors[3] < 0.5 * errors[1]


def test_layers_shared_by_an_earlier_step_go_on_to_share(trained_network):
    graph, shop = trained_network
    graph = prune_weights(graph, Prune(amount=0.5, what="weights", epochs=0), shop).graph
    (first, pattern), *others = weight_tensors(graph).items()
    names = tuple(other for _, other in others)
    step = Cluster(clusters=12, layers=(pattern,), epochs=1)
    once = cluster_step(graph, step, shop).graph
    twice = cluster_step(once, Cluster(clusters=4, layers=names, epochs=2), shop).graph
    quantized, _ = quantize_model(twice, shop.split.train.inputs)
    counts = {name: len(np.unique(quantized.tensors[name].value)) for name in weight_tensors(twice)}
    assert counts.pop(first) in range(5, 13)
    assert max(counts.values()) <= 4
    partners = once.tensors[first].value, twice.tensors[first].value
    for value in np.unique(partners[0]):
        assert len(np.unique(partners[1][partners[0] == value])) == 1
    assert not partners[1][partners[0] == 0].any()


def test_training_makes_shared_values_better(trained_network):
    graph, shop = trained_network
    before = cluster_step(graph, Cluster(clusters=3, epochs=0), shop).score
    after = cluster_step(graph, Cluster(clusters=3, epochs=4, learning_rate=1e-3), shop).score
    assert after.loss < before.loss


def test_of_a_few_codes_the_rare_ones_are_shared():
    codes = np.repeat(np.arange(-7, 8), [1, 2, 3, 20, 60, 120, 180, 0, 180, 120, 60, 20, 3, 2, 1])
    kept = share(codes.astype(float), 10, 7)
    values = kept.codebook[kept.indices]
    common = np.abs(codes) <= 4
    np.testing.assert_array_equal(values[common], codes[common])
    assert len(np.unique(values)) <= 10
    assert np.abs(values - codes).max() <= 1
    everything = share(codes.astype(float), 14, 7)
    np.testing.assert_array_equal(everything.codebook[everything.indices], codes)


weights = st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=60).map(np.array)


@settings(max_examples=60, deadline=None)
@given(weights, st.integers(2, 20))
def test_sharing_takes_the_nearest_value_and_never_more_values_than_asked(values, count):
    units = 127 * values / (np.abs(values).max() or 1)
    shared = share(units, count)
    codes = shared.codebook
    np.testing.assert_array_equal(codes, np.rint(codes))
    assert np.abs(codes).max() <= 127
    made = codes[shared.indices]
    assert len(np.unique(made)) <= count
    np.testing.assert_array_equal(made[units == 0], 0)
    best = np.abs(units[:, None] - codes[1:]).min(axis=1)[units != 0]
    np.testing.assert_allclose(np.abs(units - made)[units != 0], best, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(weights, st.floats(0.05, 0.95))
def test_masks_keep_the_largest(values, amount):
    (mask,) = magnitude_masks({"w": values}, amount, one_budget=False).values()
    assert (~mask).sum() == min(round(amount * values.size), values.size - 1)
    if not mask.all():
        assert np.abs(values[mask]).min() >= np.abs(values[~mask]).max()
    scores = lamp_scores(values)
    order = np.argsort(np.abs(values), kind="stable")
    assert (np.diff(scores[order]) >= 0).all()
    assert scores.max() in {0.0, 1.0}


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 5), st.integers(1, 19), st.sampled_from([(1, 4), (2, 4), (3, 8)]),
    st.integers(2, 8), st.integers(0, 99),
)  # fmt: skip
def test_blocks_go_as_a_whole_and_groups_keep_their_number(rows, columns, pattern, length, seed):
    value = np.random.default_rng(seed).normal(0, 1, (rows, columns))
    kept, of = pattern
    mask = n_of_m_mask(value, kept, of)
    for row, chosen in zip(value, mask, strict=True):
        for start in range(0, columns, of):
            part, stays = np.abs(row[start : start + of]), chosen[start : start + of]
            assert stays.sum() == min(kept, len(part))
            assert part[stays].min() >= part[~stays].max(initial=0)
    norms = block_norms(value, length)
    blocks = norms > np.median(norms)
    spread = block_mask(blocks, value.shape, length)
    for start in range(0, columns, length):
        part = spread[:, start : start + length]
        assert (part == blocks[:, start // length, None]).all()
        expected = np.linalg.norm(value[:, start : start + length], axis=1)
        np.testing.assert_allclose(norms[:, start // length], expected, atol=1e-12)


@pytest.mark.parametrize(("pattern", "amount"), [("1x4", 0.6), ("2:4", None)])
def test_blocks_that_are_pruned_leave_what_was_asked_for(trained_network, pattern, amount):
    graph, shop = trained_network
    step = Prune(amount=amount, what="blocks", pattern=pattern, epochs=3)
    outcome = prune_weights(graph, step, shop)
    zeros = zeros_of(outcome.graph)
    gone = sum(z.sum() for z in zeros.values()) / sum(z.size for z in zeros.values())
    assert gone == pytest.approx(amount or 0.5, abs=0.02)
    assert outcome.score.accuracy > 0.9
    for z in zeros.values():
        if z.shape[1] % 4 == 0:
            counts = z.reshape(-1, 4).sum(axis=1)
            assert set(counts) <= ({0, 4} if pattern == "1x4" else {2})


def test_layers_that_can_spare_little_give_little(trained_network):
    graph, shop = trained_network
    step = Prune(amount=0.8, what="weights", budget="sensitivity", epochs=0)
    zeros = zeros_of(prune_weights(graph, step, shop).graph)
    shares = [z.mean() for z in zeros.values()]
    assert sum(z.sum() for z in zeros.values()) == pytest.approx(
        0.8 * sum(z.size for z in zeros.values()), rel=0.02
    )
    assert shares[0] > shares[-1]


def test_shares_of_equal_harm():
    def harm(index, share):
        return 1 + (10.0, 1.0)[index] * share**2

    shares = balanced_shares([100, 300], 0.6, harm)
    assert (100 * shares[0] + 300 * shares[1]) / 400 == pytest.approx(0.6, abs=1e-3)
    assert 10 * shares[0] ** 2 == pytest.approx(shares[1] ** 2, rel=0.15)

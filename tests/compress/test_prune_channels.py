"""Channel pruning: what is coupled goes together, and what nobody reads changes nothing."""

import re
from dataclasses import replace

import numpy as np
import pytest

from edgecomp.compress.importance import filter_importance
from edgecomp.compress.prune_channels import _Channels, channel_groups, prune_channels
from edgecomp.compress.technique import Workshop
from edgecomp.config import Prune, TrainingSection
from edgecomp.errors import UserError
from edgecomp.frontend import read_model
from edgecomp.interp import run_float
from edgecomp.ir.verify import verify
from edgecomp.ops import OPS
from edgecomp.passes import run_passes
from edgecomp.passes.channel_classes import is_mixing
from edgecomp.plan.planner import macs_of
from tests.compress.support import network, split_for
from tests.support.random_graphs import device_inputs, float_graph, random_model

FACTORY = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 8, 3, padding=1)
        self.one = nn.Conv2d(8, 12, 3, padding=1)
        self.two = nn.Conv2d(12, 8, 1)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.side = nn.Conv2d(8, 6, 1)
        self.head = nn.Linear(14 * 4, 5)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = torch.relu(x + self.two(torch.relu(self.one(x))))
        y = torch.cat([torch.relu(self.deep(x)), torch.relu(self.side(x))], 1)
        return self.head(torch.flatten(nn.functional.avg_pool2d(y, 3), 1))

def build():
    torch.manual_seed(0)
    return Net(), torch.zeros(1, 2, 6, 6)
"""


@pytest.fixture(scope="module")
def residual(tmp_path_factory):
    pytest.importorskip("torch")
    file = tmp_path_factory.mktemp("net") / "net.py"
    file.write_text(FACTORY)
    return run_passes(read_model(f"{file}:build"))


def unread(graph, channels, removed):
    """The graph with weights of 0 wherever a removed channel is read."""
    tensors = dict(graph.tensors)
    for node in graph.nodes:
        if is_mixing(graph, node):
            weights = tensors[node.inputs[1]]
            value = weights.value.copy()
            value[..., np.isin(channels.class_of[node.inputs[0]], list(removed))] = 0
            tensors[weights.name] = replace(weights, data=value)
    return graph.replace(tensors=tensors)


def check(graph, inputs, seed):
    """Remove channels by chance, and compare with a network that does not read them."""
    channels = _Channels(graph)
    rng = np.random.default_rng(seed)
    removed = set()
    for group in channels.groups():
        removed |= set(rng.permutation(group.classes)[: len(group.classes) // 2].tolist())
    blind = unread(graph, channels, removed)
    smaller = _Channels(blind).without(removed)
    verify(smaller, OPS)
    expected, found = run_float(blind, inputs), run_float(smaller, inputs)
    for name in graph.outputs:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-4)
    return removed, smaller


@pytest.mark.parametrize("seed", range(12))
def test_removing_channels_that_nobody_reads_changes_nothing(seed, tmp_path):
    random = random_model(seed)
    graph = float_graph(random, tmp_path)
    check(graph, device_inputs(graph, random.inputs), seed)


def test_a_residual_network_loses_coupled_channels_together(residual):
    x = np.random.default_rng(0).normal(0, 1, (3, 1, 6, 6, 2)).astype(np.float32)
    removed, smaller = check(residual, {residual.inputs[0]: x}, 1)
    assert removed
    assert macs_of(smaller) < 0.5 * macs_of(residual)


def test_groups_name_the_layers_that_make_their_channels(residual):
    groups = channel_groups(residual)
    assert {group.layers: len(group.classes) for group in groups} == {
        ("one",): 12,
        ("stem", "two", "deep"): 8,
        ("side",): 6,
    }


def test_the_least_important_channels_go(residual):
    tensors = dict(residual.tensors)
    for node in residual.nodes:
        if node.name == "one":
            value = tensors[node.inputs[1]].value.copy()
            value[[2, 3, 5, 7]] *= 0.01
            name, kept = node.inputs[1], np.delete(value, [2, 3, 5, 7], axis=0)
            tensors[name] = replace(tensors[name], data=value)
    graph = residual.replace(tensors=tensors)
    (group,) = [group for group in channel_groups(graph) if group.layers == ("one",)]
    worst = group.classes[np.argsort(group.importance)[:4]]
    smaller = _Channels(graph).without(set(worst.tolist()))
    np.testing.assert_array_equal(smaller.tensors[name].value, kept)


@pytest.mark.parametrize("budget", ["layer", "global"])
def test_the_step_makes_tensors_smaller_and_trains_what_is_left(budget):
    pytest.importorskip("torch")
    graph = network()
    workshop = Workshop(split_for(graph), TrainingSection(batch=32))
    step = Prune(amount=0.5, epochs=4, learning_rate=5e-3, budget=budget, round_to=2)
    outcome = prune_channels(graph, step, workshop)
    verify(outcome.graph, OPS)
    assert macs_of(outcome.graph) < 0.6 * macs_of(graph)
    assert outcome.score.accuracy > 0.8
    assert outcome.note.startswith("20 of 40 channels removed in 2 groups, 5")


def test_where_another_share_goes_than_was_asked_for_it_is_said(small_resnet):
    graph, shop = small_resnet
    note = prune_channels(graph, Prune(amount=0.99, epochs=0), shop).note
    gone, before = map(int, re.match(r"(\d+) of (\d+) channels", note).groups())
    share = f"{100 * gone / before:.1f}"
    assert f"({share} % instead of 99 %: each group keeps a multiple of round_to, 4" in note
    exact = prune_channels(graph, Prune(amount=0.5, epochs=0, round_to=1, budget="layer"), shop)
    assert exact.note.startswith("28 of 56 channels removed in")
    assert "instead" not in exact.note


@pytest.fixture(scope="module")
def small_resnet():
    pytest.importorskip("torch")
    graph = network("resnet8", 0.25)
    return graph, Workshop(split_for(graph, 100), TrainingSection(batch=32))


@pytest.mark.parametrize("criterion", ["l1", "l2", "fpgm", "bn", "taylor"])
def test_every_criterion_tells_filters_that_do_nothing(small_resnet, criterion):
    graph, shop = small_resnet
    node = next(node for node in graph.nodes if node.op == "conv2d")
    tensors = dict(graph.tensors)
    for name in node.inputs[1:]:
        value = tensors[name].value.copy()
        value[2] = 0
        tensors[name] = replace(tensors[name], data=value)
    found = filter_importance(graph.replace(tensors=tensors), criterion, shop.split.train)
    assert found.keys() == filter_importance(graph, "l2").keys()
    values = found[node.name]
    assert np.isfinite(values).all()
    assert values.max() > 0
    if criterion != "fpgm":
        assert np.argmin(values) == 2


def test_fpgm_finds_the_filter_that_others_replace():
    pytest.importorskip("torch")
    graph = network(width=0.1)
    node = graph.nodes[0]
    weights = graph.tensors[node.inputs[1]]
    value = weights.value.copy()
    value[5] = np.delete(value, 5, axis=0).mean(axis=0)
    changed = graph.replace(tensors={**graph.tensors, weights.name: replace(weights, data=value)})
    assert np.argmin(filter_importance(changed, "fpgm")[node.name]) == 5


def test_channels_go_until_the_macs_are_few_enough(small_resnet):
    graph, shop = small_resnet
    step = Prune(macs=0.5, epochs=0, round_to=1)
    left = macs_of(prune_channels(graph, step, shop).graph) / macs_of(graph)
    assert 0.4 < left <= 0.5
    with pytest.raises(
        UserError, match=r"0\.01 of the MACs cannot be reached .* nearest was 0\.\d"
    ):
        prune_channels(graph, Prune(macs=0.01, epochs=0, round_to=4), shop)


def test_groups_that_matter_keep_more(small_resnet):
    graph, shop = small_resnet
    step = Prune(amount=0.4, budget="sensitivity", epochs=0, round_to=1)
    outcome = prune_channels(graph, step, shop)
    verify(outcome.graph, OPS)
    before = sum(len(group.classes) for group in channel_groups(graph))
    after = sum(len(group.classes) for group in channel_groups(outcome.graph))
    assert after == pytest.approx(0.6 * before, abs=4)

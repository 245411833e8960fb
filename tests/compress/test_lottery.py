"""Lottery tickets: masks that only grow, weights that return, a control that does not."""

import numpy as np
import pytest

from edgecomp.compress import lottery
from edgecomp.compress.lottery import lottery_step
from edgecomp.compress.technique import Workshop
from edgecomp.compress.train.graph_module import as_module, weight_tensors
from edgecomp.compress.train.scoring import evaluate
from edgecomp.config import Lottery, TrainingSection
from edgecomp.plan.planner import plan_graph
from edgecomp.quant import quantize_model
from edgecomp.targets.cores import get_core
from tests.compress.support import network, split_for

pytest.importorskip("torch")

STEP = Lottery(amount=0.8, rounds=2, rewind=3, epochs=2, learning_rate=3e-3, control=True)


@pytest.fixture(scope="module")
def shop():
    return Workshop(split_for(network()), TrainingSection(batch=32))


def test_rounds_leave_what_was_asked_for_and_start_where_it_began(shop, monkeypatch):
    graph = network()
    starts = []
    train = lottery._train

    def watched(made, masks, step, workshop, label, rewind=None):
        names = list(masks)
        starts.append((label, {n: made.tensors[n].value * masks[n] for n in names}, dict(masks)))
        return train(made, masks, step, workshop, label, rewind)

    monkeypatch.setattr(lottery, "_train", watched)
    judged = Workshop(
        shop.split, shop.training, judge=lambda g: evaluate(g, as_module(g), shop.split.validation)
    )
    outcome = lottery_step(graph, STEP, judged)
    labels = [label for label, _, _ in starts]
    assert labels == ["dense", "1", "1-control", "2", "2-control"]
    kept = [row["kept"] for row in outcome.details["rounds"]]
    assert kept == pytest.approx([1, 0.2**0.5, 0.2], abs=1e-3)
    first, second = starts[1], starts[3]
    for name in weight_tensors(graph):
        assert not (second[2][name] & ~first[2][name]).any()
        both = second[2][name]
        # Tickets begin alike, after three steps: not where the network began, but not far.
        np.testing.assert_array_equal(first[1][name][both], second[1][name][both])
        moved = np.abs(first[1][name] - graph.tensors[name].value)[both]
        assert 0 < moved.max() < 0.05
        control = starts[4][1][name]
        assert not np.array_equal(control[both], second[1][name][both])
        assert not outcome.graph.tensors[name].value[~second[2][name]].any()
    last = outcome.details["rounds"][-1]
    assert last["test"] == outcome.score.accuracy == last["validation"]
    assert {"control_validation", "control_test"} <= set(last)


def test_a_ticket_lies_sparse_in_flash():
    graph = network(width=0.5)
    shop = Workshop(split_for(graph, 100), TrainingSection(batch=32))
    step = Lottery(amount=0.9, rounds=1, epochs=1)
    ticket = lottery_step(graph, step, shop).graph
    quantized, _ = quantize_model(ticket, shop.split.train.inputs)
    plan = plan_graph(quantized, get_core("cortex-m4f"), goal="size")
    taken = [stage for stage in plan.stages if stage.storage == "sparse"]
    assert len(taken) >= 2
    weights = sum(quantized.tensors[stage.nodes[0].inputs[1]].size for stage in taken)
    assert sum(plan.weights_bytes(stage) for stage in taken) < 0.3 * weights


def test_an_interrupted_search_goes_on_with_the_round_it_was_in(shop, tmp_path):
    graph = network()
    step = STEP.model_copy(update={"control": False})
    whole = lottery_step(graph, step, shop)
    said = []

    def interrupt(text):
        said.append(text)
        if text.startswith("round 2"):
            raise KeyboardInterrupt

    cut = Workshop(shop.split, shop.training, tmp_path / "01-lottery.pt", interrupt)
    with pytest.raises(KeyboardInterrupt):
        lottery_step(graph, step, cut)
    said.clear()
    again = Workshop(shop.split, shop.training, cut.checkpoint, said.append)
    resumed = lottery_step(graph, step, again)
    assert sum("epoch" in text for text in said) == step.epochs
    for name in weight_tensors(graph):
        np.testing.assert_array_equal(
            resumed.graph.tensors[name].value, whole.graph.tensors[name].value
        )

"""Training: it learns, repeats itself, goes on where it stopped, and survives divergence."""

from dataclasses import replace

import numpy as np
import pytest

from edgecomp.compress.retrain import train_step
from edgecomp.compress.technique import Workshop
from edgecomp.compress.train.augment import Augmentation
from edgecomp.compress.train.examples import make_examples, split
from edgecomp.compress.train.graph_module import as_module, constants_of, trained
from edgecomp.compress.train.loop import FitOptions, fit
from edgecomp.compress.train.scoring import evaluate
from edgecomp.config import Train, TrainingSection
from edgecomp.errors import UserError
from tests.compress.support import CLASSES, examples_for, network, pictures, split_for

torch = pytest.importorskip("torch")

OPTIONS = FitOptions(epochs=4, learning_rate=3e-3, batch=32)


def weights_after(graph, options=OPTIONS, **more):
    module = as_module(graph)
    result = fit(graph, module, split_for(graph), options, **more)
    return constants_of(graph, module), result


def same(first, second):
    return all(np.array_equal(first[name], second[name]) for name in first)


def test_training_learns_and_repeats_itself():
    graph = network()
    before = evaluate(graph, as_module(graph), split_for(graph).validation)
    first, result = weights_after(graph)
    again, _ = weights_after(graph)
    assert before.accuracy < 0.6
    assert result.score.accuracy > 0.95
    assert same(first, again)


def test_a_training_that_makes_nothing_better_says_so():
    graph = network()
    module = as_module(graph)
    fit(graph, module, split_for(graph), OPTIONS)
    learned = trained(graph, module)
    said = []
    samples = split_for(learned)
    wrong = replace(samples.train, targets=(samples.train.targets + 1) % CLASSES)
    step = Train(epochs=2, learning_rate=3e-3)
    shop = Workshop(replace(samples, train=wrong), TrainingSection(batch=32), say=said.append)
    outcome = train_step(learned, step, shop)
    assert outcome.note == "2 epochs, none better than before"
    assert said[-1] == "no epoch was better than before: the weights stay as they were"
    for name, tensor in learned.tensors.items():
        if tensor.is_const:
            np.testing.assert_array_equal(outcome.graph.tensors[name].value, tensor.value)


def test_a_training_that_was_interrupted_ends_like_one_that_was_not(tmp_path):
    graph = network()
    whole, _ = weights_after(graph)
    said = []

    def interrupt(text):
        said.append(text)
        # An epoch is told when it is kept.
        if len(said) == 2:
            raise KeyboardInterrupt

    file = tmp_path / "state.pt"
    with pytest.raises(KeyboardInterrupt):
        weights_after(graph, checkpoint=file, say=interrupt)
    assert file.exists()
    said.clear()
    resumed, _ = weights_after(graph, checkpoint=file, say=said.append)
    assert said[0] == "going on after epoch 2"
    assert same(whole, resumed)
    assert not file.exists()


class Poison:
    """Makes the weights infinite in the middle of training."""

    settled = True

    def __init__(self, module):
        self.module = module

    def step(self, progress):
        if progress > 0.6:
            with torch.no_grad():
                next(self.module.parameters()).fill_(float("inf"))


def test_divergence_keeps_the_last_good_weights():
    graph = network()
    module = as_module(graph)
    result = fit(graph, module, split_for(graph), OPTIONS, hook=Poison(module))
    assert result.diverged.startswith("epoch 3, step ")
    assert result.score.accuracy > 0.8
    assert evaluate(graph, module, split_for(graph).validation) == result.score


def test_training_stops_when_validation_no_longer_improves():
    graph = network()
    x, y = pictures(100)
    noise = np.random.default_rng(1).integers(0, 4, len(y))
    targets = {graph.outputs[0]: noise}
    examples = make_examples(graph, {graph.inputs[0]: x.reshape(100, 1, -1)}, targets, "noise")
    options = FitOptions(epochs=40, learning_rate=3e-3, batch=32, patience=3)
    result = fit(graph, as_module(graph), split(examples, 0.3, 0), options)
    assert result.epochs < 40


def test_validation_samples_are_never_trained_on():
    graph = network()
    parts = split(examples_for(graph, 50), 0.2, seed=3)
    name = graph.inputs[0]
    train = {x.tobytes() for x in parts.train.inputs[name]}
    validation = {x.tobytes() for x in parts.validation.inputs[name]}
    assert (len(train), len(validation), len(train & validation)) == (40, 10, 0)
    again = split(examples_for(graph, 50), 0.2, seed=3)
    np.testing.assert_array_equal(again.validation.targets, parts.validation.targets)


def test_targets_that_do_not_fit_are_refused():
    graph = network()
    x, y = pictures(8)
    inputs = {graph.inputs[0]: x.reshape(8, 1, -1)}
    with pytest.raises(UserError, match="needs an array 'y'"):
        make_examples(graph, inputs, {}, "pictures")
    with pytest.raises(UserError, match=r"class numbers from .* to 13, but .* has 4 outputs"):
        make_examples(graph, inputs, {graph.outputs[0]: y * 0 + 13}, "pictures")
    with pytest.raises(UserError, match="too few"):
        split(examples_for(graph, 2), 0.1, 0)


def test_pictures_are_varied_and_nothing_else_is():
    x = torch.arange(2 * 4 * 6 * 2, dtype=torch.float32).reshape(2, 1, 4, 6, 2) + 1

    def varied(seed, **how):
        return Augmentation(**how).apply(x, torch.Generator().manual_seed(seed))

    assert varied(0, flip=False) is x
    mirrored = varied(1, flip=True)
    for before, after in zip(x, mirrored, strict=True):
        assert torch.equal(after, before) or torch.equal(after, before.flip(2))
    moved = [varied(seed, shift=1) for seed in range(30)]
    assert all(m.shape == x.shape for m in moved)
    assert any(torch.equal(m[0, 0, 1:], x[0, 0, :-1]) for m in moved)
    assert any(torch.equal(m[0, 0, :, 1:], x[0, 0, :, :-1]) for m in moved)
    assert min(int((m == 0).sum()) for m in moved) == 0 < max(int((m == 0).sum()) for m in moved)
    line = torch.ones(3, 1, 8)
    assert Augmentation(flip=True, shift=2).apply(line, torch.Generator()) is line


def test_a_deep_network_learns_from_the_beginning_with_batch_norm():
    graph = network("resnet8", 0.12)
    shop = Workshop(split_for(graph), TrainingSection(batch=16, augment={"flip": False}))
    outcome = train_step(graph, Train(epochs=5, learning_rate=1e-2, batch_norm=True), shop)
    assert outcome.score.accuracy > 0.9
    found = evaluate(outcome.graph, as_module(outcome.graph), shop.split.validation)
    assert found.loss == pytest.approx(outcome.score.loss, rel=1e-3)

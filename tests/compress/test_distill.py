"""Distillation: what the loss is made of, and who may teach."""

import numpy as np
import pytest

from edgecomp.compress.retrain import train_step
from edgecomp.compress.technique import Workshop
from edgecomp.compress.train.graph_module import as_module
from edgecomp.compress.train.teacher import teacher_loss
from edgecomp.config import Distill, Train, TrainingSection
from edgecomp.errors import UserError
from tests.compress.support import CLASSES, SIDE, network, split_for

torch = pytest.importorskip("torch")

TRAINING = TrainingSection(batch=32)


@pytest.fixture(scope="module")
def teacher():
    graph = network(width=0.2)
    shop = Workshop(split_for(graph), TRAINING)
    return train_step(graph, Train(epochs=4, learning_rate=3e-3), shop).graph


def logits(graph, x):
    made = as_module(graph)(x.reshape(-1, *graph.tensors[graph.inputs[0]].shape))
    return made[graph.outputs[0]].detach().double().reshape(len(x), -1)


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_the_loss_is_that_of_the_data_and_that_of_the_teacher(teacher, weight):
    student = network(width=0.1)
    x, y = torch.randn(7, 1, 256), torch.randint(CLASSES, (7,))
    step = Distill(temperature=3.0, weight=weight)
    found = teacher_loss(student, teacher, step, are_labels=True)(as_module(student), [x], y)
    own, goal = logits(student, x), logits(teacher, x)
    p, q = torch.softmax(goal / 3, 1), torch.softmax(own / 3, 1)
    soft = 9 * (p * (p / q).log()).sum(1).mean()
    hard = -torch.log_softmax(own, 1)[torch.arange(7), y].mean()
    assert float(found.detach()) == pytest.approx(
        float(weight * soft + (1 - weight) * hard), rel=1e-4
    )


def test_features_that_see_samples_alike_cost_nothing(teacher):
    step = Distill(features=10.0)
    x, y = torch.randn(6, 1, 256), torch.randint(CLASSES, (6,))
    for student, alike in ((teacher, True), (network(width=0.1), False)):
        module = as_module(student)
        with_features = teacher_loss(student, teacher, step, are_labels=True)(module, [x], y)
        plain = teacher_loss(student, teacher, Distill(), are_labels=True)(module, [x], y)
        assert (abs(float((with_features - plain).detach())) < 1e-4) is alike


def test_a_student_that_only_listens_learns_what_the_teacher_knows(teacher):
    student = network(width=0.1)
    parts = split_for(student)
    shop = Workshop(parts, TRAINING, original=teacher)
    step = Distill(epochs=5, learning_rate=5e-3, weight=1.0)
    outcome = train_step(student, step, shop)
    assert outcome.score.accuracy > 0.9
    x = torch.tensor(parts.validation.inputs[student.inputs[0]])
    taught, learned = (logits(graph, x).argmax(1).numpy() for graph in (teacher, outcome.graph))
    assert np.mean(taught == learned) > 0.9


def test_a_teacher_of_another_task_is_refused(teacher):
    other = network("ds-cnn", 0.1)
    x = torch.randn(5, 1, SIDE, SIDE, 1)
    loss = teacher_loss(other, teacher, Distill(weight=1.0, temperature=1), are_labels=True)
    answers = torch.log_softmax(logits(teacher, x), 1)

    def parrot(*inputs, names):
        return dict.fromkeys(names, answers.float())

    # A teacher of another layout sees the same pictures.
    assert abs(float(loss(parrot, [x], torch.zeros(5, dtype=torch.int64)))) < 1e-5
    wrong = teacher.replace(outputs=(teacher.nodes[0].output,))
    with pytest.raises(UserError, match=r"gives 60 values, the student .* 4"):
        teacher_loss(other, wrong, Distill(), are_labels=True)
    shop = Workshop(split_for(other), TRAINING)
    with pytest.raises(UserError, match="no teacher 'original'"):
        train_step(other, Distill(epochs=1), shop)

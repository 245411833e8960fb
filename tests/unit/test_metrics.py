"""Metrics: ties, orders, reconstructions, functions of one's own."""

import numpy as np
import pytest

from edgecomp.data.one_hot import class_numbers
from edgecomp.errors import UserError
from edgecomp.report.metrics import METRICS, Answers, find_metric


def answers(outputs, targets=None, inputs=None):
    outputs = np.asarray(outputs, np.float32)
    inputs = np.zeros((len(outputs), 3)) if inputs is None else np.asarray(inputs)
    given = {} if targets is None else {"y": np.asarray(targets)}
    return Answers({"y": outputs}, given, {"x": inputs})


def test_ties_go_to_the_lowest_index():
    accuracy = METRICS["accuracy"]
    assert accuracy(answers([[1, 3, 3], [2, 2, 0]], [1, 0])) == 1.0
    assert accuracy(answers([[1, 3, 3], [2, 2, 0]], [2, 1])) == 0.0


def test_accuracy_reads_any_shape_of_output_and_labels():
    outputs = np.eye(4)[:, None, None, :]
    assert METRICS["accuracy"](answers(outputs, [[0], [1], [2], [0]])) == 0.75


def test_one_hot_rows_are_class_numbers():
    rows = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    assert METRICS["accuracy"](answers(rows, rows[[0, 1, 0]])) == pytest.approx(2 / 3)
    for other in (rows.T[:, :1], 2 * rows, rows + np.ones(3), rows[None]):
        assert class_numbers(np.asarray(other)) is None


def test_top5_counts_the_five_largest():
    outputs = [[6, 5, 4, 3, 2, 2, 1]] * 3
    # Of the two equal ones, the first belongs to the five.
    assert METRICS["top5"](answers(outputs, [0, 4, 5])) == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", ["accuracy", "top5", "auc"])
@pytest.mark.parametrize(
    ("targets", "says"),
    [(None, "'y' beside 'x'"), ([[0, 1], [1, 1]], "one class number"), ([0.5, 1.0], "float")],
)
def test_labels_are_class_numbers(name, targets, says):
    with pytest.raises(UserError, match=says):
        METRICS[name](answers([[0, 1], [1, 0]], targets))


def test_squared_error_against_targets_or_the_input():
    mse = METRICS["mse"]
    assert mse(answers([[1, 2, 3]], [[1, 2, 5]])) == pytest.approx(4 / 3)
    assert mse(answers([[1, 2, 3]], None, [[1, 2, 0]])) == pytest.approx(3.0)
    with pytest.raises(UserError, match="the output has 3"):
        mse(answers([[1, 2, 3]], [[1, 2]]))


def pairwise_auc(scores, labels):
    wins = [
        (a > b) + 0.5 * (a == b)
        for a, is_a in zip(scores, labels, strict=True)
        if is_a
        for b, is_b in zip(scores, labels, strict=True)
        if not is_b
    ]
    return sum(wins) / len(wins)


def test_area_under_the_curve_by_its_definition():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60)
    scores = np.round(rng.normal(0, 1, 60) + labels, 1)
    expected = pairwise_auc(scores, labels)
    auc = METRICS["auc"]
    assert auc(answers(scores[:, None], labels)) == pytest.approx(expected)
    two = np.stack([np.zeros(60), scores], axis=1)
    assert auc(answers(two, labels)) == pytest.approx(expected)
    inputs = rng.normal(0, 1, (60, 4))
    rebuilt = inputs + np.sqrt(np.abs(scores))[:, None]
    squared = pairwise_auc(np.abs(scores), labels)
    assert auc(answers(rebuilt, labels, inputs)) == pytest.approx(squared, abs=2e-3)


def test_area_needs_both_classes_and_a_score():
    with pytest.raises(UserError, match="both classes"):
        METRICS["auc"](answers([[1.0], [2.0]], [1, 1]))
    with pytest.raises(UserError, match="reconstruction"):
        METRICS["auc"](answers(np.zeros((2, 5)), [0, 1]))


def test_a_function_of_ones_own(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def worst(outputs, targets): return abs(outputs['y'] - targets['y']).max()\n")
    metric = find_metric(f"{path}:worst")
    assert metric(answers([[1.0, 2.0]], [[1.5, 4.0]])) == 2.0


def test_unknown_metric():
    with pytest.raises(UserError, match="accuracy, top5, auc, mse"):
        find_metric("f1")

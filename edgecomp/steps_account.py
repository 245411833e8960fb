"""The account of a recipe's steps: one row after each, and the scores of the result."""

from typing import Any

import numpy as np

from edgecomp.compress.storing import stored_bytes
from edgecomp.compress.train.examples import Examples, make_examples
from edgecomp.compress.train.graph_module import as_module, weight_tensors
from edgecomp.compress.train.scoring import Score, evaluate
from edgecomp.config import Recipe
from edgecomp.data import Dataset, split_calibration
from edgecomp.data.one_hot import class_numbers
from edgecomp.interp import outputs_in_chunks
from edgecomp.ir import Graph
from edgecomp.plan.planner import macs_of
from edgecomp.quant import QuantizeOptions, quantize_model
from edgecomp.report.curves import curves_svg
from edgecomp.samples import input_codes, real_outputs

CALIBRATION_SAMPLES = 200


def examples_of(graph: Graph, dataset: Dataset) -> Examples:
    """The samples of a data set with their targets; one-hot rows of the output's size are classes.

    Raises:
        UserError: there are no targets, or they do not fit the network.
    """
    targets = dict(dataset.targets)
    for name, target in dataset.targets.items():
        labels = class_numbers(target)
        if labels is not None and target.shape[1] == graph.tensors[name].size:
            targets[name] = labels
    return make_examples(graph, dataset.real(), targets, dataset.source)


def account_row(
    graph: Graph, step: str, note: str, score: Score | None, test: Score | None
) -> dict[str, Any]:
    """One line of the account."""
    weights = [graph.tensors[name].value for name in weight_tensors(graph)]
    stored = stored_bytes(graph)
    return {
        "step": step,
        "note": note,
        "validation": "-" if score is None else str(score),
        "validation_accuracy": score and score.accuracy,
        "validation_loss": score and score.loss,
        "test_accuracy": test and test.accuracy,
        "test_loss": test and test.loss,
        "macs": macs_of(graph),
        "weights": sum(value.size for value in weights),
        "nonzero_weights": sum(int(np.count_nonzero(value)) for value in weights),
        "weights_bytes": sum(stored.values()),
        "weights_bytes_by_storage": stored,
        "parameters": sum(t.size for t in graph.tensors.values() if t.is_const),
        "most_values_per_layer": max((len(np.unique(value)) for value in weights), default=0),
    }


def test_scores(
    graph: Graph, recipe: Recipe, train: Dataset | None, test: Dataset | None
) -> dict[str, Any] | None:
    """Score the result on the test set, in real numbers and in the integers of the device.

    There is nothing to say without a test set, or without samples that calibrate.
    """
    if train is None or test is None:
        return None
    examples = examples_of(graph, test)
    score = evaluate(graph, as_module(graph), examples)
    chosen, _ = split_calibration(len(train), min(CALIBRATION_SAMPLES, len(train)))
    wide = recipe.quantize.activations == "int16"
    options = QuantizeOptions(
        **recipe.quantize.model_dump(exclude={"activations"}), numerics="int16" if wide else None
    )
    quantized, _ = quantize_model(graph, train.take(chosen).real(), options)
    codes = outputs_in_chunks(quantized, input_codes(quantized, test), integer=True)
    output = next(iter(real_outputs(quantized, codes).values())).reshape(len(examples), -1)
    int8: dict[str, Any] = {"int8_accuracy": None, "int8_mse": None}
    if examples.are_labels:
        int8["int8_accuracy"] = float(np.mean(output.argmax(axis=1) == examples.targets))
    else:
        target = examples.targets.reshape(output.shape)
        int8["int8_mse"] = float(np.mean((output.astype(np.float64) - target) ** 2))
    return {"samples": len(examples), "accuracy": score.accuracy, "loss": score.loss, **int8}


def ratios(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How much smaller the weights became: against float32 and against plain int8."""
    before, after = rows[0]["weights"], max(1, rows[-1]["weights_bytes"])
    return {"ratio_vs_float32": 4 * before / after, "ratio_vs_int8": before / after}


def tickets(rounds: list[dict[str, Any]]) -> str:
    """The accuracy of lottery tickets over the share of weights that is kept, as a picture."""
    on = "test" if rounds[0]["test"] is not None else "validation"
    lines = {
        name: [(row["kept"], row[key]) for row in rounds if row.get(key) is not None]
        for name, key in (("tickets", on), ("drawn again", f"control_{on}"))
    }
    return curves_svg(
        f"Lottery tickets, accuracy on the {on} samples",
        "weights that are kept",
        "accuracy",
        {name: line for name, line in lines.items() if line},
    )

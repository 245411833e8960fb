"""Follow a recipe: read model and data, take its steps one by one, keep the account."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from edgecomp import __version__
from edgecomp.compress.storing import stored_bytes
from edgecomp.compress.technique import Workshop
from edgecomp.compress.techniques import TECHNIQUES
from edgecomp.compress.train.examples import Examples, Split, make_examples, split
from edgecomp.compress.train.graph_module import as_module, weight_tensors
from edgecomp.compress.train.scoring import Score, evaluate
from edgecomp.config import Recipe, Step, resolved
from edgecomp.data import Dataset, Preprocessing, load_dataset, split_calibration
from edgecomp.errors import RecipeError, UserError
from edgecomp.frontend import InputShapes, read_model
from edgecomp.interp import outputs_in_chunks
from edgecomp.ir import Graph
from edgecomp.ir.serialize import load_graph, save_graph
from edgecomp.ops import PARAMS
from edgecomp.passes import run_passes
from edgecomp.paths import sha256_of, write_atomically
from edgecomp.plan.planner import macs_of
from edgecomp.quant import QuantizeOptions, quantize_model
from edgecomp.report.curves import curves_svg
from edgecomp.samples import input_codes, real_outputs

Say = Callable[[str], None]
Measure = Callable[[Graph, Path], dict[str, Any]]
"""Given a graph and the file that it is in, tells what it takes on a board."""

MODEL_FILE = "model.npz"
RECIPE_FILE = "recipe.yaml"
REPORT_FILE = "compression.json"
LAST_GOOD_FILE = "last_good.npz"
TICKETS_FILE = "lottery.svg"
STEPS_FOLDER = "steps"
CALIBRATION_SAMPLES = 200


@dataclass(frozen=True)
class CompressRequest:
    """What the user asked for; the fields are the options of `edgecomp compress`.

    From Python the model may also be a float graph.
    """

    model: str | Graph
    out: Path
    recipe: Recipe
    input_shapes: InputShapes | None = None


def compress(
    request: CompressRequest,
    say: Say = lambda text: None,
    measure: Measure | None = None,
) -> dict[str, Any]:
    """Take the recipe's steps and write what came out; see `edgecomp compress --help`.

    A step that was taken before (same model, data, options and steps before it) is read from
    `out/steps`; an interrupted one goes on where it stopped.

    Args:
        request: what the user asked for.
        say: told of progress.
        measure: builds a graph and counts an inference; after each step, where it is given.

    Returns:
        The report, as written to `compression.json`.

    Raises:
        UserError: data are missing or do not fit, or training diverged; then the weights from
            before that are in `out/last_good.npz`.
    """
    recipe = request.recipe
    if not recipe.steps:
        raise RecipeError("the recipe has no steps; add steps, or give one with -s prune=0.5")
    folder = _open_folder(request.out)
    say("reading the model and the data")
    graph = request.model
    if not isinstance(graph, Graph):
        graph = read_model(graph, input_shapes=request.input_shapes)
    graph = run_passes(graph)
    train, test = _read_data(graph, recipe)
    examples = None if train is None else _examples(graph, train)
    parts: Split | None = None
    if examples is not None:
        parts = split(examples, recipe.training.validation, recipe.training.seed)
    key = _digest(
        __version__,
        _hash_of(graph, folder),
        None if examples is None else _hash_of_examples(examples),
        recipe.training.model_dump(),
    )
    original = graph
    held_out = None if test is None else _examples(graph, test)

    def judge(made: Graph) -> Score | None:
        return None if held_out is None else evaluate(made, as_module(made), held_out)

    def validated(made: Graph) -> Score | None:
        return None if parts is None else evaluate(made, as_module(made), parts.validation)

    def linked(made: Graph, name: str) -> dict[str, Any]:
        if measure is None:
            return {}
        file = folder / STEPS_FOLDER / f"{name}.npz"
        return {"linked": measure(made, file)}

    rows = [_row(graph, "start", "", validated(graph), judge(graph)) | linked(graph, "start")]
    say(f"before: validation {rows[0]['validation']}")
    for number, step in enumerate(recipe.steps, 1):
        key = _digest(key, step.verb, step.model_dump(), _teacher_hash(step))
        saved = folder / STEPS_FOLDER / f"{number:02}-{step.verb}-{key[:16]}.npz"
        note, details = "read from an earlier run", {}
        if saved.exists():
            graph = load_graph(saved, PARAMS)
            details = _read_details(saved)
        else:
            say(f"step {number} of {len(recipe.steps)}: {step.text}")
            workshop = Workshop(
                parts, recipe.training, saved.with_suffix(".pt"), say, original, _read, judge
            )
            outcome = TECHNIQUES[step.verb](graph, step, workshop)
            if outcome.diverged:
                save_graph(outcome.graph, folder / LAST_GOOD_FILE)
                raise UserError(
                    f"step {number} ({step.text}) diverged: {outcome.diverged}\n"
                    f"  the last good weights are in {folder / LAST_GOOD_FILE}; give the step a "
                    f"smaller learning_rate than {getattr(step, 'learning_rate', 0):g}"
                )
            graph, note, details = outcome.graph, outcome.note, dict(outcome.details)
            _save_step(graph, details, saved)
        row = _row(graph, step.text, note, validated(graph), judge(graph))
        rows.append(row | details | linked(graph, saved.stem))
        say(f"{step.text}: {note}, validation {rows[-1]['validation']}")
    _save(graph, folder / MODEL_FILE)
    write_atomically(folder / RECIPE_FILE, yaml.safe_dump(resolved(recipe), sort_keys=False))
    report = {
        "model": graph.name,
        "seed": recipe.training.seed,
        "key": key,
        "samples": parts and {"train": len(parts.train), "validation": len(parts.validation)},
        "steps": rows,
        **_ratios(rows),
        "test": _test(graph, recipe, train, test),
    }
    write_atomically(folder / REPORT_FILE, json.dumps(report, indent=2) + "\n")
    for row in rows:
        if "rounds" in row and row["rounds"][0]["validation"] is not None:
            write_atomically(folder / TICKETS_FILE, _tickets(row["rounds"]))
    return report


def compressed_graph(request: CompressRequest, say: Say) -> Graph:
    """The float graph for a build: the model's own, or what the recipe's steps make of it.

    A model that `edgecomp compress` wrote has taken its steps.  The steps of another one are taken
    in a folder beside `request.out`, where a later build finds them.
    """
    source = str(request.model)
    taken = model_taken(source, request.out, request.recipe)
    if not request.recipe.steps or Path(source).name == MODEL_FILE:
        return run_passes(read_model(source, input_shapes=request.input_shapes))
    compress(replace(request, out=taken.parent), say)
    return run_passes(read_model(taken))


def model_taken(model: str, out: Path, recipe: Recipe) -> Path:
    """The model that a build quantizes: the one that was given, or what the steps made of it."""
    if not recipe.steps or Path(model).name == MODEL_FILE:
        return Path(model)
    return out.with_name(f"{out.stem}-compressed") / MODEL_FILE


def _open_folder(out: Path) -> Path:
    """Make the output folder; refuse one with files of somebody else."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; give a folder with -o")
    if out.is_dir() and any(out.iterdir()) and not (out / STEPS_FOLDER).is_dir():
        raise UserError(
            f"{out} has files that edgecomp compress did not write; give an empty folder with -o"
        )
    (out / STEPS_FOLDER).mkdir(parents=True, exist_ok=True)
    return out


def _read_data(graph: Graph, recipe: Recipe) -> tuple[Dataset | None, Dataset | None]:
    data = recipe.data
    hungry = next((step for step in recipe.steps if step.needs_data), None)
    if data.train is None and hungry is not None:
        raise RecipeError(
            f"{hungry.text}: training needs samples: give them in the recipe "
            "(data: {train: FILE.npz}) or with --data"
        )
    if data.test is not None and data.test == data.train:
        raise RecipeError(
            f"data.test and data.train are the same, {data.test}: the test set must "
            "have samples that training never sees"
        )
    preprocessing = Preprocessing(**data.model_dump())

    def load(source: str | None) -> Dataset | None:
        return None if source is None else load_dataset(source, graph, preprocessing)

    return load(data.train), load(data.test)


def _examples(graph: Graph, dataset: Dataset) -> Examples:
    return make_examples(graph, dataset.real(), dataset.targets, dataset.source)


def _tickets(rounds: list[dict[str, Any]]) -> str:
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


def _ratios(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How much smaller the weights became: against float32 and against plain int8."""
    before, after = rows[0]["weights"], max(1, rows[-1]["weights_bytes"])
    return {"ratio_vs_float32": 4 * before / after, "ratio_vs_int8": before / after}


def _read(source: str) -> Graph:
    """Read another model: a teacher."""
    return run_passes(read_model(source))


def _teacher_hash(step: Step) -> str:
    """Hash of a teacher's file, so that another one makes another result."""
    source = getattr(step, "teacher", None) or ""
    file = Path(source.rpartition(":")[0] or source)
    return sha256_of(file) if source and file.is_file() else source


def _row(
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


def _test(
    graph: Graph, recipe: Recipe, train: Dataset | None, test: Dataset | None
) -> dict[str, Any] | None:
    """Score the result on the test set, in real numbers and in the integers of the device.

    There is nothing to say without a test set, or without samples that calibrate.
    """
    if train is None or test is None:
        return None
    examples = _examples(graph, test)
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


def _hash_of(graph: Graph, folder: Path) -> str:
    file = folder / STEPS_FOLDER / "start.npz"
    save_graph(graph, file)
    return sha256_of(file)


def _hash_of_examples(examples: Examples) -> str:
    digest = hashlib.sha256(examples.targets.tobytes())
    for name, array in examples.inputs.items():
        digest.update(name.encode() + array.tobytes())
    return digest.hexdigest()


def _save_step(graph: Graph, details: dict[str, Any], path: Path) -> None:
    """Keep a finished step; what was kept to go on after an interruption goes away."""
    if details:
        write_atomically(path.with_suffix(".json"), json.dumps(details))
    _save(graph, path)
    for file in path.parent.glob(f"{path.stem}.*.npz"):
        file.unlink()


def _read_details(path: Path) -> dict[str, Any]:
    """What a step that was taken before had to say."""
    file = path.with_suffix(".json")
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found


def _save(graph: Graph, path: Path) -> None:
    """Write a graph so that an interruption leaves no half of it."""
    temporary = path.with_name(f"{path.name}.part")
    save_graph(graph, temporary)
    temporary.replace(path)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

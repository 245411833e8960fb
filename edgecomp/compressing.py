"""Follow a recipe: read model and data, take its steps one by one, keep the account."""

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from edgecomp import __version__
from edgecomp.compress.technique import Workshop
from edgecomp.compress.techniques import TECHNIQUES
from edgecomp.compress.train.examples import Examples, Split, split
from edgecomp.compress.train.graph_module import as_module
from edgecomp.compress.train.scoring import Score, evaluate
from edgecomp.config import Recipe, Step, resolved
from edgecomp.data import Dataset, Preprocessing, load_dataset
from edgecomp.earlier_steps import REPORT_FILE, continued, earlier_steps
from edgecomp.errors import UserError
from edgecomp.frontend import InputShapes, read_model
from edgecomp.ir import Graph
from edgecomp.ir.serialize import load_graph, save_graph
from edgecomp.ops import PARAMS
from edgecomp.passes import run_passes
from edgecomp.paths import sha256_of, write_atomically
from edgecomp.samples import sample_shape
from edgecomp.step_checks import check_reach, check_recipe, check_steps, count_shared
from edgecomp.step_files import read_account, save_step, save_whole
from edgecomp.step_targets import check_measurable, outcomes
from edgecomp.steps_account import account_row, examples_of, ratios, test_scores, tickets

Say = Callable[[str], None]
Measure = Callable[[Graph, Path], dict[str, Any]]
"""Given a graph and the file that it is in, tells what it takes on a board."""

MODEL_FILE = "model.npz"
RECIPE_FILE = "recipe.yaml"
LAST_GOOD_FILE = "last_good.npz"
TICKETS_FILE = "lottery.svg"
STEPS_FOLDER = "steps"
START_FILE = "start.npz"


@dataclass(frozen=True)
class CompressRequest:
    """What the user asked for; the fields are the options of `edgecomp compress`.

    From Python the model may also be a float graph.  A build, which checks its recipe's target by
    itself, is `for_build`.  Data files in `unnamed` hold arrays and do not outlive the call.
    """

    model: str | Graph
    out: Path
    recipe: Recipe
    input_shapes: InputShapes | None = None
    for_build: bool = False
    unnamed: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Prepared:
    """What the first step finds: checked, and with nothing that could be refused later.

    Attributes:
        graph: the model.
        train: the samples that train, or None; they calibrate the result as well.
        test: the test samples, or None.
        parts: of the samples that train.
        held_out: the test samples with their targets.
        read: reads a teacher, once.
    """

    graph: Graph
    train: Dataset | None
    test: Dataset | None
    parts: Split | None
    held_out: Examples | None
    read: Callable[[str], Graph]

    def judge(self, made: Graph) -> Score | None:
        """Score a graph on the test samples."""
        found = self.held_out
        return None if found is None else evaluate(made, as_module(made), found)

    def validated(self, made: Graph) -> Score | None:
        """Score a graph on the validation samples."""
        parts = self.parts
        return None if parts is None else evaluate(made, as_module(made), parts.validation)


def compress(
    request: CompressRequest,
    say: Say = lambda text: None,
    measure: Measure | None = None,
    check: Callable[[Graph], None] = lambda graph: None,
) -> dict[str, Any]:
    """Take the recipe's steps and write what came out; see `edgecomp compress --help`.

    A step that was taken before (same model, data, options and steps before it) is read from
    `out/steps`; an interrupted one goes on where it stopped.

    Args:
        request: what the user asked for.
        say: told of progress.
        measure: builds a graph and counts an inference; after each step, where it is given.
        check: given the model before the first step; refuses what would fail after the last.

    Returns:
        The report, as written to `compression.json`; `step_targets.require_target` refuses one
        that misses its target.

    Raises:
        UserError: model, data or steps do not fit each other, which is found before the first
            step; or training diverged: then the weights from before are in `out/last_good.npz`.
    """
    recipe = request.recipe
    check_recipe(recipe, for_build=request.for_build)
    # Before anything is written: the result may take the place of the model.
    earlier = earlier_steps(Path(request.model)) if isinstance(request.model, str) else []
    folder = _open_folder(request.out)
    say("reading the model and the data")
    ready = _prepared(request, say, has_board=measure is not None)
    graph, parts = ready.graph, ready.parts
    check(graph)
    key = _digest(
        __version__,
        _hash_of(graph, folder),
        parts and [_hash_of_examples(part) for part in (parts.train, parts.validation)],
        recipe.training.model_dump(),
    )

    def row(made: Graph, file: Path, step: str, note: str, details: dict[str, Any]) -> Any:
        found = account_row(made, step, note, ready.validated(made), ready.judge(made)) | details
        return found if measure is None else found | {"linked": measure(made, file)}

    rows = [row(graph, folder / STEPS_FOLDER / START_FILE, "start", "", {})]
    say(f"before: validation {rows[0]['validation']}")
    for number, step in enumerate(recipe.steps, 1):
        key = _digest(key, step.verb, step.model_dump(), _teacher_hash(step))
        saved = folder / STEPS_FOLDER / f"{number:02}-{step.verb}-{key[:16]}.npz"
        if saved.exists():
            graph = load_graph(saved, PARAMS)
            note, details = read_account(saved)
            told = "read from an earlier run"
        else:
            say(f"step {number} of {len(recipe.steps)}: {step.text}")
            workshop = Workshop(
                parts,
                recipe.training,
                saved.with_suffix(".pt"),
                say,
                ready.graph,
                ready.read,
                ready.judge,
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
            told = note
            save_step(graph, note, details, saved)
        rows.append(row(graph, saved, step.text, note, details))
        say(f"{step.text}: {told}, validation {rows[-1]['validation']}")
    save_whole(graph, folder / MODEL_FILE)
    if isinstance(request.model, str):
        recipe = recipe.model_copy(update={"model": request.model})
    data = recipe.data
    gone = {name: None for name in ("train", "test") if getattr(data, name) in request.unnamed}
    lasting = recipe.model_copy(update={"data": data.model_copy(update=gone)})
    write_atomically(folder / RECIPE_FILE, yaml.safe_dump(resolved(lasting), sort_keys=False))
    scores = test_scores(graph, recipe, ready.train, ready.test)
    account = continued(earlier, rows)
    report = {
        "model": graph.name,
        "edgecomp": __version__,
        "files": {
            "model": _origin(recipe.model),
            "train": _origin(data.train, request.unnamed),
            "test": _origin(data.test, request.unnamed),
            "result": _origin(str(folder / MODEL_FILE)),
        },
        "seed": recipe.training.seed,
        "key": key,
        "samples": parts and {"train": len(parts.train), "validation": len(parts.validation)},
        "steps": account,
        **ratios(account),
        "test": scores,
        "target": [] if request.for_build else outcomes(recipe.target, rows, scores),
    }
    write_atomically(folder / REPORT_FILE, json.dumps(report, indent=2) + "\n")
    for rounds in (found["rounds"] for found in rows if "rounds" in found):
        if rounds[0]["validation"] is not None:
            write_atomically(folder / TICKETS_FILE, tickets(rounds))
    return report


def compressed_graph(request: CompressRequest, say: Say, check: Callable[[Graph], None]) -> Graph:
    """The float graph for a build: the model's own, or what the recipe's steps make of it.

    A model that `edgecomp compress` wrote has taken its steps.  The steps of another one are taken
    in a folder beside `request.out`, where a later build finds them.

    Args:
        request: what the user asked for.
        say: told of progress.
        check: as of `compress`.
    """
    source = str(request.model)
    taken = model_taken(source, request.out, request.recipe)
    if taken == Path(source):
        if request.recipe.steps and not _took(taken, request.recipe):
            say(
                f"the recipe's steps are not taken: {source} was made by others; `edgecomp "
                "compress` takes more steps"
            )
        return run_passes(read_model(source, input_shapes=request.input_shapes))
    compress(replace(request, out=taken.parent, for_build=True), say, check=check)
    return run_passes(read_model(taken))


def model_taken(model: str, out: Path, recipe: Recipe) -> Path:
    """The model that a build quantizes: the one that was given, or what the steps made of it."""
    if not recipe.steps or Path(model).name == MODEL_FILE:
        return Path(model)
    return out.with_name(f"{out.name}-compressed") / MODEL_FILE


def _took(model: Path, recipe: Recipe) -> bool:
    """Whether a model of `edgecomp compress` was made by the steps of a recipe."""
    file = model.with_name(RECIPE_FILE)
    # As it stands there: an older edgecomp may have known other keys.
    found = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else None
    return not isinstance(found, dict) or found.get("steps") == resolved(recipe)["steps"]


def _prepared(request: CompressRequest, say: Say, *, has_board: bool) -> _Prepared:
    """Read the model and the data, and refuse what does not go together."""
    recipe = request.recipe
    graph = request.model
    if not isinstance(graph, Graph):
        shape: tuple[int, ...] | None = None
        if request.input_shapes is None and ".py:" in graph:
            source = recipe.data.train or recipe.data.test
            shape = sample_shape(source, recipe.data.layout) if source else None
        graph = read_model(graph, input_shapes=request.input_shapes, sample_shape=shape)
    graph = run_passes(graph)
    read = functools.cache(_read)
    check_steps(graph, recipe.steps, read)
    train = _read_data(graph, recipe, recipe.data.train)
    test = _read_data(graph, recipe, recipe.data.test)
    examples = None if train is None else examples_of(graph, train)
    held_out = None if test is None else examples_of(graph, test)
    if examples is not None and train is not None and examples.are_labels:
        y = train.targets[graph.outputs[0]]
        if y.size > len(y):
            say(f"{train.source}: the targets are one-hot rows, taken as numbers of classes")
    if train is not None and examples is not None and test is not None and held_out is not None:
        shared = count_shared(examples, held_out, (train.source, test.source))
        if shared:
            say(f"{shared:,} of the {len(held_out):,} test samples are among those that train, too")
    if not request.for_build:
        check_measurable(recipe.target, held_out, has_board=has_board)
    training = recipe.training
    parts = None if examples is None else split(examples, training.validation, training.seed)
    return _Prepared(graph, train, test, parts, held_out, read)


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


def _read_data(graph: Graph, recipe: Recipe, spec: str | None) -> Dataset | None:
    """Samples of a recipe, as its preprocessing makes them."""
    if spec is None:
        return None
    found = load_dataset(spec, graph, Preprocessing(**recipe.data.model_dump()))
    check_reach(found)
    return found


def _read(source: str) -> Graph:
    """Read another model: a teacher."""
    return run_passes(read_model(source))


def _teacher_hash(step: Step) -> str:
    """Hash of a teacher's file, so that another one makes another result."""
    source = getattr(step, "teacher", None) or ""
    return _file_hash(source) or source


def _origin(source: str | None, unnamed: Sequence[str] = ()) -> dict[str, str] | None:
    """A file as the user named it, with its hash; empty for what is no file: `digits`, `zoo:`."""
    if source is None:
        return None
    name = "arrays" if source in unnamed else source
    return {"source": name, "sha256": _file_hash(source)}


def _file_hash(source: str) -> str:
    """Hash of `FILE` or of the file of `FILE.py:function`; empty where there is none."""
    files = (Path(source), Path(source.rpartition(":")[0] or source))
    return next((sha256_of(file) for file in files if source and file.is_file()), "")


def _hash_of(graph: Graph, folder: Path) -> str:
    file = folder / STEPS_FOLDER / START_FILE
    save_graph(graph, file)
    return sha256_of(file)


def _hash_of_examples(examples: Examples) -> str:
    digest = hashlib.sha256(examples.targets.tobytes())
    for name, array in examples.inputs.items():
        digest.update(name.encode() + array.tobytes())
    return digest.hexdigest()


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

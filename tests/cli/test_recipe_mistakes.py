"""Recipes with samples and targets: what is refused before training, and what comes of targets."""

import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
import yaml

from edgecomp.config import Quantize, TargetSection
from edgecomp.errors import AccuracyError, DoesNotFitError, RecipeError, UserError
from edgecomp.frontend import read_model
from edgecomp.paths import sha256_of
from edgecomp.recipes import Cluster, Prune, Recipe, Store, Train
from edgecomp.request import Request, with_samples
from edgecomp.step_targets import outcomes, require_target
from tests.cli.support import FAST, call
from tests.compress.support import pictures

torch = pytest.importorskip("torch")

ZOO = "zoo:lenet-300-100?input=1,16,16&classes=4&width=0.1"
DATA = "data: {train: TRAIN, test: TEST, scale: 0.01}\n"
BOARD = "mps2-an386"


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Raw samples, a hundredth of which is what a network should see."""
    folder = tmp_path_factory.mktemp("samples")
    for name, count, seed in (("train", 300, 0), ("test", 60, 1)):
        x, y = pictures(count, seed)
        x = np.rint(100 * x).astype(np.int16).reshape(count, 16, 16)
        np.savez(folder / f"{name}.npz", x=x, y=y)
        np.savez(folder / f"hot_{name}.npz", x=x, y=np.eye(4, dtype=np.float32)[y])
    return folder


@pytest.fixture
def recipe(samples, tmp_path):
    """Writes a recipe."""

    def write(text):
        text = text.replace("TRAIN", str(samples / "train.npz"))
        file = tmp_path / "r.yaml"
        file.write_text(text.replace("TEST", str(samples / "test.npz")))
        return file

    return write


@pytest.fixture
def untrained(monkeypatch):
    """Makes the test fail where something is trained."""

    def never(*args, **options):
        raise AssertionError("was trained")

    monkeypatch.setattr("edgecomp.compress.technique.fit", never)


def test_a_build_calibrates_and_measures_on_the_recipes_samples(recipe, samples, tmp_path):
    target = f'target: {{board: {BOARD}, accuracy: ">=50%"}}\n'
    steps = "steps: [train: {epochs: 6, learning_rate: 3.0e-3}]\n"
    file = recipe(DATA + target + steps)
    out = tmp_path / "out"
    answer = call("build", ZOO, "--recipe", file, *FAST, "-o", out, "--json")
    assert answer.code == 0, answer.err
    report = json.loads(answer.out)
    assert report["accuracy"]["samples"] == 60
    assert report["accuracy"]["int8"] > 0.8
    assert report["bit_exact"]["mismatches"] == 0
    data = json.loads((out / "manifest.json").read_text())["data"]
    assert data["source"].endswith("test.npz")
    assert data["calibration_source"].endswith("train.npz")
    assert data["preprocessing"]["scale"] == 0.01
    # What the command names goes before what the recipe names.
    asked = Request(ZOO, BOARD, out, data="other.npz", recipe=file)
    assert with_samples(asked) == asked
    other = with_samples(replace(asked, data=None, calibration_data="other.npz"))
    assert (other.data, other.calibration_data) == (str(samples / "test.npz"), "other.npz")


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        ("data: {train: TRAIN}\n", (), "a floor of accuracy: give labelled samples"),
        (DATA, ("--float", "nothing"), "--float nothing: no layer has this name"),
        (DATA, ("--metric", "f1"), "f1"),
        (DATA.replace("TEST", "absent.npz"), (), "absent.npz does not exist"),
    ],
)
def test_a_build_refuses_before_it_trains(text, options, says, recipe, tmp_path, untrained):
    file = recipe(text + "target: {accuracy: 0.5}\nsteps: [train: 4]\n")
    given = ("--board", BOARD, *FAST, "-o", tmp_path / "out")
    answer = call("build", ZOO, "--recipe", file, *options, *given)
    assert answer.code == 2, answer.err
    assert says in answer.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps: [train: 1, prune: {amount: 0.5, layers: [fc*]}]", "step 2 (prune: 0.5): layers: "),
        ("steps: [train: 1, quantize: {weights: int4, keep8: [hed]}]", "keep8: no layer"),
        ("steps: [train: 1, distill: absent.onnx]", "step 2 (distill: absent.onnx): from: "),
        ("steps: [train: 1, train: {from: 'zoo:resnet8'}]", "the teacher resnet8 takes"),
        ("steps: [train: 1]\ndata: {train: TRAIN, scale: 1.0e+30}", "nothing learns from these"),
        ("steps: [train: 1]\ndata: {train: TRAIN, scale: 1.0e-30}", "nothing learns from these"),
        ("steps: [train: 1]\ntarget: {flash: 96K}", "target.flash needs a board"),
        ("steps: [train: 1]\ntarget: {board: mps2}", "mps2"),
        (
            "steps: [train: 1]\ndata: {train: TRAIN}\ntarget: {accuracy: 0.5}",
            "target.accuracy needs labelled test samples",
        ),
    ],
)
def test_compress_refuses_before_it_trains(text, says, recipe, tmp_path, untrained):
    if "data:" not in text:
        text = DATA.replace(", scale: 0.01", "") + text
    answer = call("compress", ZOO, "--recipe", recipe(text), "-o", tmp_path / "out")
    assert answer.code == 2, answer.err
    assert says in answer.err


def test_layers_that_a_step_makes_may_be_named(recipe, tmp_path):
    names = [node.name for node in read_model(ZOO).nodes if node.op == "dense"]
    text = "steps: [factorize: {macs: 0.5, epochs: 0}, store: {storages: dense8, layers: [LAYER]}]"
    for layer, code in ((f"{names[0]}.0", 0), (f"{names[0]}.x", 2)):
        file = recipe(DATA + text.replace("LAYER", f"'{layer}'"))
        answer = call("compress", ZOO, "--recipe", file, "-o", tmp_path / f"out{code}")
        assert answer.code == code, answer.err
        assert ("did you mean" in answer.err) == (code == 2)


@pytest.fixture(scope="module")
def missed(samples, tmp_path_factory):
    """A result that misses its target, after a run that links it for the recipe's board."""
    folder = tmp_path_factory.mktemp("missed")
    file, out = folder / "r.yaml", folder / "out"
    text = DATA.replace("TRAIN", str(samples / "train.npz"))
    target = f'target: {{board: {BOARD}, flash: 4K, ram: 48K, accuracy: ">=99.9%"}}\n'
    steps = "steps: [{train: 2}, {prune: {amount: 0.5, epochs: 0}}]\n"
    file.write_text(text.replace("TEST", str(samples / "test.npz")) + target + steps)
    return file, out, call("compress", ZOO, "--recipe", file, "-o", out)


def test_a_target_that_is_missed_is_told_with_what_came_nearest(missed):
    _, out, answer = missed
    assert answer.code == 3, answer.err
    report = json.loads((out / "compression.json").read_text())
    flash, ram, accuracy = report["target"]
    sizes = [row["linked"]["flash"]["total_bytes"] for row in report["steps"]]
    assert flash["found"] == sizes[-1] < sizes[0]
    assert (flash["met"], ram["met"], accuracy["met"]) == (False, True, False)
    assert flash["nearest"] == report["steps"][-1]["step"]
    assert f"takes {sizes[-1]:,} on {BOARD}: {sizes[-1] - 4096:,} too many" in answer.err
    assert "no step before came nearer" in answer.err
    shares = [row["test_accuracy"] for row in report["steps"]]
    assert accuracy["nearest_found"] == max(shares)
    assert accuracy["nearest"] == "train: 2"
    assert f"nearest was 'train: 2' with {max(shares):.4f} in float32" in answer.err
    assert "wrote" in answer.out
    assert (out / "model.npz").exists()


@pytest.mark.parametrize(
    ("target", "error", "says"),
    [
        ({"flash": 4000}, DoesNotFitError, "no step before came nearer"),
        ({"accuracy": 1}, AccuracyError, "nearest was 'train: 2' with .* in float32"),
        ({"ram": 1 << 20, "accuracy": 1}, AccuracyError, "too low\n  nearest"),
        ({"flash": 1 << 20, "ram": 1 << 20, "accuracy": 0.01}, None, ""),
    ],
)
def test_what_is_missed_has_a_code_of_its_own(target, error, says, missed):
    report = json.loads((missed[1] / "compression.json").read_text())
    report["target"] = outcomes(TargetSection(**target), report["steps"], report["test"])
    if error is None:
        require_target(report)
        return
    with pytest.raises(error, match=says):
        require_target(report)


def test_a_result_that_is_nearest_by_itself_is_not_told_of_worse_steps(missed):
    report = json.loads((missed[1] / "compression.json").read_text())
    best = max(row["test_accuracy"] for row in report["steps"])
    report["test"]["int8_accuracy"] = best + 0.001
    report["target"] = outcomes(TargetSection(accuracy=1), report["steps"], report["test"])
    with pytest.raises(AccuracyError, match="too low\n  no step came nearer in float32"):
        require_target(report)


def test_a_step_that_was_nearer_than_the_result_is_named(missed):
    report = json.loads((missed[1] / "compression.json").read_text())
    rows = report["steps"]
    rows[-1]["linked"] = {"board": BOARD, "problem": "too large"}
    size = rows[1]["linked"]["ram"]["total_bytes"]
    for limit, how in ((size - 1, "1 too many"), (size, "within it")):
        report["target"] = outcomes(TargetSection(ram=limit), rows, report["test"])
        with pytest.raises(DoesNotFitError, match=f"at all\n  nearest was .* {how}"):
            require_target(report)


def test_what_is_written_tells_how_to_do_it_again(missed, samples):
    _, out, _ = missed
    written = yaml.safe_load((out / "recipe.yaml").read_text())
    assert written["model"] == ZOO
    report = json.loads((out / "compression.json").read_text())
    assert report["seed"] == 0
    assert report["files"]["model"] == {"source": ZOO, "sha256": ""}
    train = samples / "train.npz"
    assert report["files"]["train"] == {"source": str(train), "sha256": sha256_of(train)}


def test_one_hot_rows_are_classes(samples, tmp_path):
    out = tmp_path / "out"
    given = ("--data", samples / "hot_train.npz", "--test", samples / "hot_test.npz")
    answer = call("compress", ZOO, "-s", "train=1", *given, "-o", out)
    assert answer.code == 0, answer.err
    assert "the targets are one-hot rows, taken as numbers of classes" in answer.err
    assert json.loads((out / "compression.json").read_text())["test"]["accuracy"] is not None
    answer = call(
        "build", out / "model.npz", "--board", BOARD, "--data", samples / "hot_test.npz", *FAST,
        "-o", tmp_path / "firmware", "--json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["accuracy"]["metric"] == "accuracy"


def test_the_schema_of_recipes_can_be_printed():
    answer = call("compress", "--schema")
    assert answer.code == 0
    schema = json.loads(answer.out)
    jsonschema.validate({"steps": [{"quantize": {"weights": "mixed", "bytes": "14K"}}]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"steps": [{"prune": {"amuont": 0.5}}]}, schema)


class Net(torch.nn.Module):
    """Takes pictures with an axis of channels, and a batch."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 8, 3, stride=2)
        self.norm = torch.nn.BatchNorm2d(8)
        self.head = torch.nn.Linear(8 * 7 * 7, 4)

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.conv(x))).flatten(1))


def test_torch_modules_in_python(samples, tmp_path):
    with np.load(samples / "train.npz") as file:
        x, y = file["x"], file["y"]
    recipe = Recipe([Prune(0.5, epochs=1)], data={"scale": 0.01}, target={"accuracy": 1})
    module = Net().train()
    result = recipe.run(module, (x, y), test=samples / "test.npz")
    assert module.training
    assert next(node.op for node in result.graph.nodes) == "conv2d"
    assert result.report["steps"][-1]["macs"] < result.report["steps"][0]["macs"]
    assert "the recipe wants an accuracy of at least 1.0000" in result.missed
    store = Recipe([Store("dense8")])
    with pytest.raises(UserError, match="Net's input is not known: give it"):
        store.run(Net())
    assert store.run(Net(), input_shape=(1, 16, 16)).missed == ""
    with pytest.raises(UserError, match="a torch module or a graph, not list"):
        store.run([])
    made = "nn.Sequential(nn.Flatten(), nn.Linear(256, 4))"
    (tmp_path / "net.py").write_text(f"from torch import nn\ndef build():\n    return {made}\n")
    source = f"{tmp_path / 'net.py'}:build"
    assert store.run(source, input_shape=(16, 16)).graph.outputs
    assert store.run(source, {"x": x, "y": y}).graph.outputs


def test_arrays_in_python_have_no_file(samples, tmp_path):
    with np.load(samples / "train.npz") as file:
        x, y = file["x"], file["y"]
    recipe = Recipe([Prune(0.5, epochs=0)], data={"scale": 0.01})
    report = recipe.run(ZOO, [x, y.astype(np.float32)], out=tmp_path / "out").report
    assert report["steps"][0]["validation_accuracy"] is not None
    assert report["files"]["train"]["source"] == "arrays"
    written = yaml.safe_load((tmp_path / "out" / "recipe.yaml").read_text())
    assert written["data"]["train"] is None
    for data, says in (
        (x, "^the train set has no targets"),
        ((x, y + 4), "^the train set has class numbers from 4 to 7"),
        ((x, y, y), r"^train: samples are a file, .*, not tuple of 3"),
        (7, r"^train: samples are .*, not int"),
        ((x, np.array([None])), "^train: Object arrays"),
    ):
        with pytest.raises(UserError, match=says):
            recipe.run(ZOO, data)


def test_recipes_in_python_are_read_and_extended(recipe):
    found = Recipe.read(recipe(f"model: '{ZOO}'\n{DATA}steps: [{{train: 1}}]\n"))
    assert found.recipe.steps == (Train(1),)
    assert found.run().report["samples"] == {"train": 270, "validation": 30}
    extended = Recipe(extends="deep-compression", data={"scale": 0.5}).recipe
    assert [step.verb for step in extended.steps] == ["prune", "cluster", "huffman"]
    assert extended.data.scale == 0.5
    own = Recipe([Prune(0.25)], extends="deep-compression").recipe
    assert own.steps == (Prune(0.25),)
    assert Recipe.read("qat").recipe.steps[0].verb == "quantize"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Prune(0.5, epoch=3), "Prune: epoch: unknown key; did you mean 'epochs'"),
        (lambda: Prune(0.5, teachr="original"), "did you mean 'teacher'"),
        (lambda: Prune(1.5), "Prune: amount: Input should be less than 1"),
        (lambda: Quantize("mixed", bytes="14Q"), "bytes: write bytes as 98304, 96K or 1M"),
        (lambda: Recipe([Cluster(4)], dta={}), "Recipe: dta: unknown key; did you mean 'data'"),
        (lambda: Recipe([Cluster(4)], data={"scael": 1}), "data.scael: .*did you mean 'scale'"),
        (lambda: Recipe(extends="qta"), "no recipe 'qta'; did you mean 'qat'"),
        (lambda: Recipe(Prune(0.5)), "steps are a list, as Recipe"),
        (lambda: Recipe([Prune(0.5), "cluster=4"]), "step 2: 'cluster=4' is no step"),
        (lambda: Recipe().run(ZOO), "the recipe has no steps"),
    ],
)
def test_mistakes_in_python_name_the_key_that_was_meant(make, says):
    with pytest.raises(RecipeError, match=says):
        make()


def test_bytes_of_mixed_weights_may_be_kibibytes():
    assert Quantize("mixed", bytes="14K").bytes == 14 << 10

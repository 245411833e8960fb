"""`edgecomp compress`: what it writes, what it reads again, and what it refuses."""

import json

import numpy as np
import pytest

from edgecomp.compress.train import loop
from edgecomp.frontend import read_model
from edgecomp.ir.serialize import load_graph
from edgecomp.ops import PARAMS
from tests.cli.support import FAST, call
from tests.compress.support import pictures

pytest.importorskip("torch")

ZOO = "zoo:lenet-300-100?input=1,16,16&classes=4&width=0.1"
RECIPE = """
data: {train: TRAIN, test: TEST}
training: {batch: 32, validation: 0.2}
steps:
  - train: {epochs: 3, learning_rate: 3.0e-3}
  - prune: {amount: 0.5, what: weights, epochs: 2}
  - cluster: {clusters: 8, epochs: 1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compress")
    for name, count, seed in (("train", 400, 0), ("test", 100, 1)):
        x, y = pictures(count, seed)
        np.savez(folder / f"{name}.npz", x=x.reshape(count, 16, 16), y=y)
    recipe = RECIPE.replace("TRAIN", str(folder / "train.npz"))
    (folder / "r.yaml").write_text(recipe.replace("TEST", str(folder / "test.npz")))
    return folder


@pytest.fixture(scope="module")
def done(folder):
    out = folder / "out"
    answer = call("compress", ZOO, "--recipe", folder / "r.yaml", "-o", out, "--json")
    assert answer.code == 0, answer.err
    return out, json.loads(answer.out)


def test_the_account_has_a_row_per_step(done):
    out, report = done
    assert report == json.loads((out / "compression.json").read_text())
    start, trained, pruned, clustered = report["steps"]
    assert start["nonzero_weights"] == trained["nonzero_weights"] == start["weights"]
    assert pruned["nonzero_weights"] == pytest.approx(start["weights"] / 2, abs=2)
    assert clustered["most_values_per_layer"] == 8
    assert report["samples"] == {"train": 320, "validation": 80}
    assert report["test"]["samples"] == 100
    assert report["test"]["accuracy"] > 0.8
    assert abs(report["test"]["accuracy"] - report["test"]["int8_accuracy"]) < 0.05


def test_the_result_is_a_model_and_its_recipe_can_be_followed_again(done, folder, monkeypatch):
    out, report = done
    graph = read_model(out / "model.npz")
    weights = [t for t in graph.tensors.values() if t.is_const and len(t.shape) > 1]
    assert sum(int((t.value != 0).sum()) for t in weights) == report["steps"][-1]["nonzero_weights"]
    again = call("compress", ZOO, "--recipe", out / "recipe.yaml", "-o", folder / "again", "--json")
    assert json.loads(again.out)["steps"] == report["steps"]
    assert json.loads(again.out)["key"] == report["key"]

    def never(*args, **options):
        raise AssertionError("trained again")

    monkeypatch.setattr("edgecomp.compress.technique.fit", never)
    cached = call("compress", ZOO, "--recipe", folder / "r.yaml", "-o", out)
    assert cached.code == 0, cached.err
    assert "prune: 0.5: read from an earlier run" in cached.err


def test_a_training_that_diverges_keeps_the_last_good_weights(folder, monkeypatch):
    good = loop.loss_of
    calls = []

    def broken(*args):
        calls.append(1)
        return good(*args) * (float("nan") if len(calls) > 12 else 1)

    monkeypatch.setattr(loop, "loss_of", broken)
    out = folder / "diverged"
    answer = call("compress", ZOO, "-s", "train=3", "--data", folder / "train.npz", "-o", out)
    assert answer.code == 2
    assert "step 1 (train: 3) diverged: epoch 3, step 1: the loss is nan" in answer.err
    assert "smaller learning_rate than 0.001" in answer.err
    assert not (out / "model.npz").exists()
    graph = read_model(out / "last_good.npz")
    assert all(np.isfinite(t.value).all() for t in graph.tensors.values() if t.is_const)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("-s", "prone=0.5"), "did you mean 'prune'"),
        ((), "the recipe has no steps"),
        (("-s", "train=1"), "training needs samples"),
        (("-s", "train=1", "--data", "absent.npz"), "absent.npz does not exist"),
        (("-s", "train=1", "--data", "TRAIN", "--test", "TRAIN"), "are the same"),
        (("-s", "train={epochs: 1, layers: x}", "--data", "TRAIN"), "steps.train.layers"),
    ],
)
def test_mistakes_are_explained(options, says, folder, tmp_path):
    given = [str(o).replace("TRAIN", str(folder / "train.npz")) for o in options]
    answer = call("compress", ZOO, *given, "-o", tmp_path / "out")
    assert answer.code == 2
    assert says in answer.err


def test_a_folder_of_other_files_is_left_alone(folder, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    answer = call("compress", ZOO, "--data", folder / "train.npz", "-s", "train=1", "-o", tmp_path)
    assert answer.code == 2
    assert "did not write" in answer.err


def test_a_build_takes_the_steps_and_keeps_the_bits(folder):
    out = folder / "firmware"
    answer = call(
        "build", ZOO, "--recipe", folder / "r.yaml", "--board", "mps2-an386",
        "--data", folder / "test.npz", *FAST, "-o", out, "--json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    report = json.loads(answer.out)
    assert report["bit_exact"]["mismatches"] == 0
    assert report["accuracy"]["int8"] > 0.8
    taken = json.loads((folder / "firmware-compressed" / "compression.json").read_text())
    assert taken["steps"][-1]["most_values_per_layer"] == 8
    quantized = load_graph(out / "graph.npz", PARAMS)
    weights = [t.value for t in quantized.tensors.values() if t.is_const and len(t.shape) > 1]
    assert max(len(np.unique(value)) for value in weights) <= 8


def test_show_tells_which_channels_are_coupled():
    answer = call("show", "--groups", ZOO)
    assert answer.code == 0, answer.err
    assert "   30 channels made by 1\n" in answer.out
    found = json.loads(call("show", "--groups", ZOO, "--json").out)
    assert [entry["channels"] for entry in found] == [30, 10]

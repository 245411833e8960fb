"""`edgecomp compress`: what it writes, what it reads again, and what it refuses."""

import json
import shutil

import numpy as np
import pytest

from edgecomp.compress.train import loop
from edgecomp.config.recipe import PRESETS, parse_recipe
from edgecomp.draft import measure_for
from edgecomp.earlier_steps import earlier_steps
from edgecomp.errors import RecipeError
from edgecomp.frontend import read_model
from edgecomp.ir.serialize import load_graph
from edgecomp.ops import PARAMS
from edgecomp.paths import sha256_of
from edgecomp.recipes import Cluster, Huffman, Prune, Recipe, Store, Train
from tests.cli.support import FAST, call, press_ctrl_c, start
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
  - huffman: layer
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
    start, trained, pruned, clustered, coded = report["steps"]
    assert start["nonzero_weights"] == trained["nonzero_weights"] == start["weights"]
    assert pruned["nonzero_weights"] == pytest.approx(start["weights"] / 2, abs=2)
    assert clustered["most_values_per_layer"] == 8
    assert start["weights_bytes"] == start["weights"] == clustered["weights"]
    assert start["weights_bytes_by_storage"] == {"dense8": start["weights"]}
    assert clustered["weights_bytes_by_storage"].keys() <= {"codebook", "dense8", "sparse"}
    assert coded["weights_bytes_by_storage"] == {"huffman": coded["weights_bytes"]}
    assert coded["weights_bytes"] < clustered["weights_bytes"] < start["weights_bytes"]
    assert report["ratio_vs_int8"] == start["weights"] / coded["weights_bytes"] > 3
    assert report["ratio_vs_float32"] == 4 * report["ratio_vs_int8"]
    assert coded["test_accuracy"] == report["test"]["accuracy"]
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
    assert "prune: 0.5 of the weights: read from an earlier run" in cached.err
    again = json.loads((out / "compression.json").read_text())["steps"]
    assert again == report["steps"]
    assert "weights are 0" in again[2]["note"]
    assert "\nprune: 0.5 of the weights " in cached.out


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
        (("-s", "train={epochs: 1, layers: 3}", "--data", "TRAIN"), "steps.train.layers"),
        (("-s", "cluster=4", "-s", "prune=0.5", "--data", "TRAIN"), "cannot follow cluster"),
        (("-s", "quantize=int4", "-s", "train=1", "--data", "TRAIN"), "cannot follow quantize"),
        (("-s", "quantize={weights: mixed}", "--data", "TRAIN"), "mixed goes with bytes"),
        (("-s", "prune={macs: 0.001}", "--data", "TRAIN"), "the nearest was 0."),
        (
            ("-s", "quantize={weights: mixed, bytes: 100}", "--data", "TRAIN"),
            "the weights cannot fit 100 bytes",
        ),
        (("-s", "distill=none.onnx", "--data", "TRAIN"), "none.onnx"),
        (("-s", "train=1", "--data", "WIDE"), "shape"),
        (("--data", "TRAIN", "-s", "train={from: gone.npz}"), "gone.npz does not exist\n"),
        (("--recipe", "deep"), "recipes of the package are deep-compression, lossless"),
    ],
)
def test_mistakes_are_explained(options, says, folder, tmp_path):
    wide = tmp_path / "wide.npz"
    np.savez(wide, x=np.zeros((40, 17, 16), np.float32), y=np.zeros(40, np.int64))
    named = {"TRAIN": str(folder / "train.npz"), "WIDE": str(wide)}
    given = [named.get(str(option), str(option)) for option in options]
    answer = call("compress", ZOO, *given, "-o", tmp_path / "out")
    assert answer.code == 2
    assert says in answer.err


def test_test_samples_that_train_are_found(folder, tmp_path):
    given = ("compress", ZOO, "-s", "huffman", "--data", folder / "train.npz", "--scale", "0.5")
    copy, part = tmp_path / "copy.npz", tmp_path / "part.npz"
    copy.write_bytes((folder / "train.npz").read_bytes())
    with np.load(folder / "train.npz") as train, np.load(folder / "test.npz") as test:
        np.savez(part, **{key: np.concatenate([test[key], train[key][:7]]) for key in "xy"})
    answer = call(*given, "--test", copy, "-o", tmp_path / "out")
    assert answer.code == 2
    assert f"are the same, {copy} and {folder / 'train.npz'}: the test set must" in answer.err
    answer = call(*given, "--test", part, "-o", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert "7 of the 107 test samples are among those that train, too" in answer.err
    assert "scale: 0.5\n" in (tmp_path / "out" / "recipe.yaml").read_text()


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
    made = report["compression"]
    parameters = made["float32_bytes"] // 4
    weights = made["steps"][0]["weights"]
    assert made["int8_bytes"] == weights + 4 * (parameters - weights)
    assert made["weights_bytes"] == sum(layer["weights_bytes"] for layer in report["layers"])
    assert made["ratio_vs_float32"] == made["float32_bytes"] / made["weights_bytes"] > 8
    assert made["decoder_bytes"] > 0
    # What the last layer would save is less than what its decoding costs.
    assert {layer["storage"] for layer in report["layers"]} == {"huffman", "dense8"}
    assert [row["step"] for row in made["steps"]][-1] == "huffman: layer"
    taken = json.loads((folder / "firmware-compressed" / "compression.json").read_text())
    assert taken["steps"][-1]["most_values_per_layer"] == 8
    quantized = load_graph(out / "graph.npz", PARAMS)
    weights = [t.value for t in quantized.tensors.values() if t.is_const and len(t.shape) > 1]
    assert max(len(np.unique(value)) for value in weights) <= 8


def test_a_build_takes_recipes_of_the_package_by_name_and_says_what_it_leaves_out(done, folder):
    model = done[0] / "model.npz"
    given = ("--board", "mps2-an386", "--data", folder / "test.npz", *FAST, "-o", folder / "named")
    answer = call("build", model, "--recipe", "lossless", *given)
    assert answer.code == 0, answer.err
    assert f"the recipe's steps are not taken: {model} was made by others" in answer.err
    source = (folder / "named" / "src" / "lenet_300_100.c").read_text()
    assert sha256_of(PRESETS / "lossless.yaml")[:16] in source
    again = call("quantize", model, "--recipe", folder / "r.yaml", "-o", folder / "q.onnx")
    assert again.code == 0, again.err
    assert "not taken" not in again.err


def test_samples_of_a_build_do_not_train(folder, tmp_path):
    given = ("--board", "mps2-an386", "--data", folder / "train.npz", *FAST, "-o", tmp_path / "x")
    answer = call("build", ZOO, "--recipe", "deep-compression", *given)
    assert answer.code == 2
    assert "(data: {train: FILE.npz}); --data of a build calibrates and measures only" in answer.err


def test_what_each_step_takes_on_a_board(done, folder):
    given = ("--data", folder / "train.npz", "--board", "mps2-an386", "-o", folder / "linked")
    answer = call("compress", done[0] / "model.npz", "-s", "store=dense8", *given)
    assert answer.code == 0, answer.err
    steps = json.loads((folder / "linked" / "compression.json").read_text())["steps"]
    coded, plain = (row["linked"] for row in steps[-2:])
    assert coded["flash"]["weights_bytes"] < plain["flash"]["weights_bytes"]
    assert coded["modelled_cycles"] > plain["modelled_cycles"] > plain["macs"] / 2
    assert f"flash {plain['flash']['total_bytes']:,}, RAM" in answer.out


def test_the_account_goes_on_where_an_earlier_one_ended(done, folder, tmp_path):
    model, before = done[0] / "model.npz", done[1]["steps"]
    given = ("--data", folder / "train.npz", "-o")
    answer = call("compress", model, "-s", "store=codebook", *given, tmp_path / "b", "--json")
    assert answer.code == 0, answer.err
    report = json.loads(answer.out)
    assert report["steps"][:-1] == before
    assert report["steps"][-1]["step"] == "store: codebook"
    assert report["ratio_vs_int8"] == before[0]["weights"] / report["steps"][-1]["weights_bytes"]
    again = call("compress", tmp_path / "b" / "model.npz", "-s", "huffman", *given, tmp_path / "c")
    assert again.code == 0, again.err
    steps = json.loads((tmp_path / "c" / "compression.json").read_text())["steps"]
    assert [row["step"] for row in steps[-2:]] == ["store: codebook", "huffman: auto"]
    # Another model beside the account is none of its result.
    shutil.copy(tmp_path / "b" / "model.npz", tmp_path / "c" / "model.npz")
    other = call("compress", tmp_path / "c" / "model.npz", "-s", "huffman", *given, tmp_path / "d")
    assert other.code == 0, other.err
    assert len(json.loads((tmp_path / "d" / "compression.json").read_text())["steps"]) == 2
    for text in ("{", "[]"):
        (tmp_path / "b" / "compression.json").write_text(text)
        assert earlier_steps(tmp_path / "b" / "model.npz") == []


def test_what_is_linked_is_as_wide_as_the_recipe_says(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("edgecomp.draft.linked", lambda graph, request: asked.append(request) or {})
    graph = read_model(ZOO)
    name = graph.nodes[-1].name
    for section in ("{}", f"{{activations: int16, float_layers: ['{name}', '{name}.0']}}"):
        measure = measure_for("mps2-an386", parse_recipe(f"quantize: {section}"))
        measure(graph, tmp_path / "model.npz")
    assert [request.activations for request in asked] == ["int8", "int16"]
    assert [request.float_layers for request in asked] == [(), (name,)]


def test_a_storage_that_can_hold_nothing_is_told(tmp_path):
    answer = call("compress", ZOO, "-s", "store=packed4", "-o", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert "packed4 can hold none of the layers: weights from -127 to 127" in answer.err


def test_show_tells_which_channels_are_coupled():
    answer = call("show", "--groups", ZOO)
    assert answer.code == 0, answer.err
    assert "   30 channels made by 1\n" in answer.out
    found = json.loads(call("show", "--groups", ZOO, "--json").out)
    assert [entry["channels"] for entry in found] == [30, 10]


def test_ctrl_c_says_what_is_kept_and_the_same_command_goes_on(folder, tmp_path):
    out = tmp_path / "cut"
    given = ("compress", ZOO, "--data", folder / "train.npz", "-o", out)
    steps = ("-s", "train=2", "-s", "prune={amount: 0.5, what: weights, epochs: 25}")
    process = start(*given, *steps, cwd=tmp_path)
    heard = ""
    while "epoch 2 of 25" not in heard:
        line = process.stderr.readline()
        assert line, heard
        heard += line
    press_ctrl_c(process)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"what was finished is kept in {out}; the same command goes on" in rest
    answer = call(*given, *steps[:2], "-s", "prune={amount: 0.5, what: weights, epochs: 25}")
    assert answer.code == 0
    assert "train: 2: read from an earlier run" in answer.err
    assert "going on after epoch" in answer.err


def test_a_target_that_is_not_met_is_refused_with_what_came_of_it(folder, tmp_path):
    for target, code, says in (
        ("flash: 4K", 3, "the recipe allows 4,096 bytes of flash, the image takes"),
        ('accuracy: ">=99.9%"', 6, "wants accuracy of at least 0.9990, the quantized network has"),
    ):
        recipe = tmp_path / "target.yaml"
        recipe.write_text(f"model: '{ZOO}'\ntarget: {{board: mps2-an386, {target}}}\n")
        out = tmp_path / "firmware"
        answer = call("build", "--recipe", recipe, "--data", folder / "test.npz", *FAST, "-o", out)
        assert answer.code == code, answer.err
        assert says in answer.err
        assert not out.exists()


def test_recipes_in_python_do_what_the_command_does(done, folder):
    _, report = done
    recipe = Recipe(
        [
            Train(3, learning_rate=3e-3),
            Prune(0.5, what="weights", epochs=2),
            Cluster(8, epochs=1),
            Huffman("layer"),
        ],
        training={"batch": 32, "validation": 0.2},
    )
    with np.load(folder / "train.npz") as file:
        arrays = dict(file)
    result = recipe.run(ZOO, arrays, test=folder / "test.npz")
    assert result.report["steps"] == report["steps"]
    graph = read_model(done[0] / "model.npz")
    for name, tensor in graph.tensors.items():
        if tensor.is_const:
            np.testing.assert_array_equal(result.graph.tensors[name].value, tensor.value)
    again = Recipe([Store(["dense8", "huffman"])]).run(result.graph, arrays)
    assert again.report["steps"][-1]["weights_bytes"] == report["steps"][-1]["weights_bytes"]
    with pytest.raises(RecipeError, match="step 2, prune: cannot follow cluster"):
        Recipe([Cluster(4), Prune(0.5)])

"""Recipes with steps: what they say, what they extend, and where they are wrong."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from edgecomp import config
from edgecomp.config import (
    Cluster,
    Distill,
    Prune,
    Quantize,
    Recipe,
    TargetSection,
    Train,
    parse_recipe,
    recipe_schema,
    resolved,
    with_steps,
)
from edgecomp.config.recipe import PRESETS, QuantizeSection
from edgecomp.config.verbs import OF_BUILDS
from edgecomp.errors import RecipeError

STEPS = """
steps:
  - train: 3
  - prune: {amount: 0.9, what: weights, layers: [conv*]}
  - cluster: 16
"""


def test_a_scalar_is_the_main_knob_and_a_mapping_says_the_rest():
    train, prune, cluster = parse_recipe(STEPS).steps
    assert train == Train(epochs=3)
    assert prune == Prune(amount=0.9, what="weights", layers=("conv*",))
    assert cluster == Cluster(clusters=16)
    assert cluster.text == "cluster: 16"


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ("prune: {macs: 0.4}", "prune to 0.4 of the MACs"),
        ("prune: {amount: 0.7, what: weights}", "prune: 0.7 of the weights"),
        ("prune: {what: blocks, pattern: 2:4}", "prune: 2:4"),
        ("factorize: {energy: 0.9}", "factorize: energy 0.9"),
        ("factorize: {method: svd}", "factorize: 0.5 by svd"),
        ("quantize: {weights: int4, equalize: true}", "quantize: int4 adaround, equalized"),
        ("cluster: {clusters: 8, groups: 4}", "cluster: 8 in 4 groups"),
    ],
)
def test_a_step_is_called_what_was_asked_for(step, text):
    assert (
        parse_recipe(f"steps: [{step}]".replace("[", "[{").replace("]", "}]")).steps[0].text == text
    )


def test_when_weights_are_decoded():
    auto, boot, by_row = parse_recipe(
        "steps:\n- huffman: {layers: [a]}\n- huffman: boot\n"
        "- store: {storages: [sparse, dense8], decode: row}\n"
    ).steps
    assert (auto.times, boot.times, by_row.times) == ((), ("boot",), ("row",))
    assert boot.text == "huffman: boot"
    assert by_row.text == "store: sparse, dense8, decoded by row"
    given = ["huffman={layers: [a]}", "huffman={decode: boot}"]
    assert with_steps(Recipe(), given).steps == (auto, boot)


def test_every_key_of_the_section_quantize_is_known_to_the_step():
    keys = set(QuantizeSection.model_fields)
    assert keys == {*OF_BUILDS, *(keys & set(Quantize.model_fields))}


def test_steps_of_the_command_line_are_those_of_a_file():
    given = ["train=3", "prune={amount: 0.9, what: weights, layers: [conv*]}", "cluster=16"]
    assert with_steps(Recipe(), given).steps == parse_recipe(STEPS).steps


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps:\n- train: 1\n- prone: 0.5\n", r"r:3: steps: unknown step 'prone'; .*'prune'"),
        ("steps:\n- prune: 1.5\n", r"r:2: steps\.prune.*less than 1"),
        (
            "steps:\n- prune:\n    amount: 0.5\n    epoch: 3\n",
            r"r:4: steps\.prune\.epoch: unknown key; did you mean 'epochs'",
        ),
        (
            "steps:\n- prune: {amount: 0.5, what: wieghts}\n",
            r"r:2: steps\.prune\.what: .*'weights'",
        ),
        ("steps:\n- huffman: bot\n", r"r:2: steps\.huffman.*'row', 'layer' or 'boot'"),
        (
            "steps:\n- store: {storages: sparse, decoed: boot}\n",
            r"r:2: steps\.store\.decoed: unknown key; did you mean 'decode'",
        ),
        ("steps:\n- prune: {what: weights}\n", r"r:2: steps\.prune: amount: Field required"),
        ("steps:\n- cluster: 16\n- train: 2\n", r"r:3: steps\.train: cannot follow cluster"),
        ("steps: {prune: 0.5}\n", r"r:1: steps: must be a list"),
        ("steps:\n- {prune: 0.5, cluster: 4}\n", r"r:2: steps: a step is one verb"),
        ("extends: deep-compresion\n", r"r: extends: .*did you mean 'deep-compression'"),
        ("data:\n  train: ${NO_SUCH_NAME}/x.npz\n", r"r:2: data\.train: .*NO_SUCH_NAME is not set"),
        ("training: {seed: -1}\n", r"r:1: training\.seed: "),
        ("training:\n  augment: {flp: 1}\n", r"r:2: training\.augment\.flp: .*'flip'"),
        ("steps:\n- prune: 2\n", r"r:2: steps\.prune\.amount: Input should be less than 1"),
        ("steps:\n- distill: {form: x}\n", r"steps\.distill\.form: unknown key; .*'from'"),
        ("steps:\n- train: {zzz: 1}\n", r"known keys: .*learning_rate, from, temperature"),
        ("steps:\n- cluster:\n", r"r:2: steps\.cluster\.clusters: Field required"),
        ("steps: [quantize: {weights: mixed, bytes: 14Q}]\n", r"bytes: write bytes as 98304, 96K"),
        ("steps:\n- prune\n", r"r:2: steps\.prune: amount: Field required"),
        ("steps:\n- hufman\n", r"r:2: steps: unknown step 'hufman'; .*'huffman'"),
        ("steps:\n- prune: {amount: 0.5,\n    amount: 0.6}\n", r"r:3: amount: stands in line 2"),
        ("steps: [train]\ndata: {}\nsteps: [huffman]\n", r"r:3: steps: stands in line 1 already"),
        ("quantize: int8\n", r"r:1: quantize: has keys of its own: calibration, .* in steps"),
        ("training: 3\n", r"r:1: training: has keys of its own: seed, [^;]*$"),
        ("target: {accuracy: 85}\n", r"r:1: target\.accuracy: write a floor as 0\.85 or"),
        ("target: {accuracy: '>=85'}\n", r"r:1: target\.accuracy: write a floor as 0\.85 or"),
        ("target: {accuracy: 1.2.3}\n", r"r:1: target\.accuracy: write a floor as 0\.85 or"),
        ("data: {train: ${X}/a.npz}\n", r"r:1: not YAML: .*; put quotes around .* \$\{NAME\}"),
    ],
)
def test_wrong_recipes_name_line_and_key_and_what_was_meant(text, says):
    with pytest.raises(RecipeError, match=says):
        parse_recipe(text, "r")


def test_a_step_that_needs_a_value_is_refused_without():
    with pytest.raises(RecipeError, match="write a step as verb=value"):
        with_steps(Recipe(), ["prune"])


def test_steps_that_need_no_value_may_stand_alone():
    text = "steps: [train, quantize, huffman]"
    jsonschema.validate(yaml.safe_load(text), recipe_schema())
    steps = parse_recipe(text).steps
    assert [step.text for step in steps] == ["train: 20", "quantize: int8 nearest", "huffman: auto"]
    assert with_steps(Recipe(), ["train", "quantize=", "huffman"]).steps == steps
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"steps": ["prune"]}, recipe_schema())


def test_one_glob_needs_no_list():
    text = "steps: [{prune: {amount: 0.5, layers: fc*}}, {quantize: {weights: int4, keep8: head}}]"
    jsonschema.validate(yaml.safe_load(text), recipe_schema())
    prune, quantize = parse_recipe(text).steps
    assert (prune.layers, quantize.keep8) == (("fc*",), ("head",))
    assert parse_recipe("quantize: {float_layers: head}").quantize.float_layers == ("head",)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("prune=1.5", r"^-s prune=1.5: steps\.prune\.amount: Input should be less than 1"),
        ("prune={amount: 0.5, epoch: 2}", r"^-s prune=\{.*\}: steps\.prune\.epoch: .*'epochs'"),
        ("prune={amount: 0.5", r"^-s prune=\{amount: 0.5: not YAML"),
        ("prune=0.5", r"^-s prune=0.5: cannot follow cluster"),
    ],
)
def test_a_wrong_step_of_the_command_line_is_told_as_it_was_given(given, says):
    with pytest.raises(RecipeError, match=says):
        with_steps(Recipe(), ["cluster=4", given])


def test_a_recipe_extends_another(monkeypatch):
    monkeypatch.setenv("FOLDER", "samples")
    text = "extends: deep-compression\ndata: {train: '${FOLDER}/a.npz', scale: 2}\n"
    recipe = parse_recipe(text)
    assert [step.verb for step in recipe.steps] == ["prune", "cluster", "huffman"]
    assert (recipe.data.train, recipe.data.scale) == ("samples/a.npz", 2)
    own = parse_recipe("extends: deep-compression\nsteps: [{train: 1}]\n")
    assert own.steps == (Train(epochs=1),)


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_presets_are_recipes_and_fit_the_schema(path):
    assert parse_recipe(path.read_text()).steps
    jsonschema.validate(yaml.safe_load(path.read_text()), recipe_schema())


def test_the_schema_tells_right_from_wrong():
    schema = recipe_schema()
    jsonschema.validate(yaml.safe_load(STEPS), schema)
    for wrong in ("steps: [{prone: 0.5}]", "steps: [{prune: {amout: 0.5}}]", "stps: []"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(wrong), schema)


MANUAL = Path(__file__).parents[2] / "docs" / "recipes.md"


def test_the_manual_is_right(monkeypatch):
    monkeypatch.setenv("DATA", "samples")
    text = MANUAL.read_text(encoding="utf-8")
    yaml_text = text.partition("```yaml\n")[2].partition("```")[0]
    recipe = parse_recipe(yaml_text)
    jsonschema.validate(yaml.safe_load(yaml_text), recipe_schema())
    assert [step.verb for step in recipe.steps] == [
        "train", "prune", "distill", "quantize", "cluster", "huffman",
    ]  # fmt: skip
    assert recipe.steps[2] == Distill(teacher="original", temperature=4)
    assert recipe.target == TargetSection(
        board="nucleo_f446re", flash=96 << 10, ram=48 << 10, accuracy=0.85
    )
    for verb in config.STEPS:
        assert f"| `{verb}" in text, verb
    for file in PRESETS.glob("*.yaml"):
        assert f"`{file.stem}`" in text


def test_what_is_written_out_can_be_read_again():
    given = parse_recipe(
        "target: {flash: 8K, accuracy: '>= 90 %'}\n"
        "steps: [distill: a.onnx, prune: {macs: 0.5}, prune: {what: blocks, pattern: '2:4'},"
        " prune: {amount: 0.5, what: weights},"
        " lottery: 0.5, factorize: {energy: 0.9}, quantize: int4, store: sparse]"
    )
    again = parse_recipe(yaml.safe_dump(resolved(given)))
    assert again == given
    assert given.steps[2].share == 0.5
    assert given.steps[6].how == "adaround"


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ("quantize: int4, prune: 0.5", "steps.prune: cannot follow quantize"),
        ("cluster: 4, quantize: int4", "steps.quantize: cannot follow cluster"),
        ("quantize: int4, cluster: 8, huffman: layer, cluster: 4, store: codebook", ""),
        ("quantize: int8, quantize: int4", ""),
        ("prune: {what: blocks, pattern: 4:2}", "write a pattern as 1x4"),
        ("prune: {macs: 0.5, what: weights}", "only channels that go make MACs fewer"),
        (
            "prune: {amount: 0.5, what: weights, criterion: l1}",
            "criterion: .* of channels; leave it",
        ),
        ("prune: {what: blocks, pattern: 2:4, round_to: 4}", "round_to: .* of blocks"),
        ("prune: {amount: 0.5, pattern: 1x4}", "pattern: .* or say what: blocks"),
        ("prune: {amount: 0.5, schedule: gradual}", "schedule: .* or say what: weights"),
        ("prune: {amount: 0.5, macs: 0.5}", "amount and macs: .* give one of them"),
        ("prune: {amount: 0.7, what: blocks, pattern: 2:4}", "amount: .*'2:4' 0.5 of .* not 0.7"),
        ("prune: {what: blocks, pattern: 2:4, budget: sensitivity}", "budget: with pattern: '2:4'"),
        ("prune: {amount: 0.5, what: blocks, pattern: 2:4, schedule: one-shot}", ""),
        ("factorize: {macs: 0.5, energy: 0.9}", "macs and energy: .* give one of them"),
        ("quantize: {weights: int4, bytes: 9}", "mixed goes with bytes"),
        ("quantize: {weights: int8, bias_correction: true}", "section quantize, beside steps"),
        ("quantize: {equalize: true, layers: [a]}", "equalize: balances the whole network"),
        (
            "prune: {amount: 0.5, temperature: 2}",
            "temperature: says nothing without a teacher; add",
        ),
        ("train: {epochs: 1, weight: 0.9}", "weight: says nothing without a teacher"),
        ("cluster: {clusters: 8, from: original, features: 3}", ""),
        ("quantize: {weights: int4, epochs: 20}", "epochs: says nothing of adaround, only of qat"),
        ("quantize: {from: original}", "from: says nothing of nearest, only of qat; leave it out"),
        ("quantize: {weights: int4, method: qat, from: original, epochs: 2}", ""),
        ("quantize: {keep8: [head]}", "keep8: says nothing of int8"),
        ("quantize: {weight: int4}", "share of a teacher's loss; did you mean 'weights'"),
        ("quantize: int2", "did you mean 'int8'|'int4'"),
        ("store: huffmann", "steps.store"),
        ("store: []", "steps.store.storages: .* at least 1 item"),
        ("distil: x", "did you mean 'distill'"),
    ],
)
def test_steps_that_cannot_be_are_refused(steps, says):
    parts = re.split(r", (?=[a-z]+:)(?![^{]*})", steps)
    text = f"steps: [{', '.join('{' + part + '}' for part in parts)}]"
    if not says:
        assert parse_recipe(text).steps
        return
    with pytest.raises(RecipeError, match=says):
        parse_recipe(text)

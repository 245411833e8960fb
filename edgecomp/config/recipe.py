"""The recipe file: what to do with the data, how to quantize, and the steps of compression.

```yaml
extends: deep-compression
model: resnet8.py:build
target: {board: nucleo_f446re, flash: 96K, ram: 48K, accuracy: ">=85%"}
data:
  scale: 0.0039215686
  mean: [0.49, 0.48, 0.45]
  std: 0.25
  layout: hwc
  train: ${DATA}/train.npz
  test: ${DATA}/test.npz
quantize:
  calibration: auto
  equalize: false
  bias_correction: false
  symmetric: false
  float_layers: []
training: {seed: 0, validation: 0.1}
steps:
  - prune: 0.5
```
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, SerializeAsAny, ValidationError, WithJsonSchema, field_validator

from edgecomp.config.section import (
    Names,
    Section,
    check_unique,
    entry_of,
    explain,
    nearest,
    read_bytes,
)
from edgecomp.config.step import Step
from edgecomp.config.steps import STEPS, order_problem, parse_steps, stands_alone
from edgecomp.errors import RecipeError

PRESETS = Path(__file__).parent / "presets"

_Finite = Annotated[float, Field(allow_inf_nan=False)]
_NUMBER_OR_TEXT = WithJsonSchema({"type": ["number", "string"]})
_Bytes = Annotated[int, Field(ge=1), _NUMBER_OR_TEXT]
_Numbers = _Finite | tuple[_Finite, ...]


class DataSection(Section):
    """`real = (x * scale - mean) / std`, how the axes of one sample lie, and where samples are.

    `train` and `test` are left out of `model_dump`, which gives the preprocessing alone.
    """

    scale: _Finite = 1.0
    mean: _Numbers = 0.0
    std: _Numbers = 1.0
    layout: Literal["hwc", "chw", "hw", "wc", "cw"] | None = None
    train: str | None = Field(default=None, exclude=True)
    test: str | None = Field(default=None, exclude=True)

    @field_validator("train", "test")
    @classmethod
    def _expand(cls, value: str | None) -> str | None:
        """Put environment variables in."""
        return _expanded(value)


def _expanded(value: str | None) -> str | None:
    """A text with `${NAME}` replaced by environment variables."""
    for name in re.findall(r"\$\{(\w+)\}", value or ""):
        if name not in os.environ:
            raise ValueError(f"the environment variable {name} is not set")
    return value and re.sub(r"\$\{(\w+)\}", lambda match: os.environ[match[1]], value)


class TargetSection(Section):
    """What the result is for, and what it must keep to; a build that does not is refused.

    Attributes:
        board: to build for, unless a command names one.
        flash: bytes of the image, a number or `96K`.
        ram: bytes of arena, data and stack together.
        accuracy: of the quantized network on the samples that measure it: `0.85` or `">=85%"`.
    """

    board: str | None = None
    flash: _Bytes | None = None
    ram: _Bytes | None = None
    accuracy: Annotated[float, Field(ge=0, le=1), _NUMBER_OR_TEXT] | None = None

    @field_validator("flash", "ram", mode="before")
    @classmethod
    def _bytes(cls, value: Any) -> Any:
        """Read `96K` and `1M`."""
        return read_bytes(value)

    @field_validator("accuracy", mode="before")
    @classmethod
    def _share(cls, value: Any) -> Any:
        """Read `>=85%`."""
        if isinstance(value, str):
            found = re.fullmatch(r">?=?\s*(\d+(?:\.\d*)?|\.\d+)\s*(%?)", value.strip())
            value = float(found[1]) / (100 if found[2] else 1) if found else -1.0
        if isinstance(value, (int, float)) and not 0 <= value <= 1:
            raise ValueError('write a floor as 0.85 or ">=85%"')
        return value


class QuantizeSection(Section):
    """Options of post-training quantization.

    Attributes:
        calibration: how ranges are chosen.
        equalize: balance the ranges of neighbouring layers' channels first.
        bias_correction: take the mean error of every channel out of the bias.
        symmetric: give all activations the zero point 0.
        float_layers: names or globs of layers that compute in float32, as `--float`.
        activations: `int8`, or `int16`, as `--activations`.
    """

    calibration: Literal["auto", "minmax", "percentile", "mse", "entropy"] = "auto"
    equalize: bool = False
    bias_correction: bool = False
    symmetric: bool = False
    float_layers: Names = ()
    activations: Literal["int8", "int16"] = "int8"


class AugmentSection(Section):
    """How pictures are varied while a network trains on them.

    Attributes:
        flip: mirror half of them, left to right.
        shift: move them by at most so many pixels.
    """

    flip: bool = False
    shift: Annotated[int, Field(ge=0, le=64)] = 0


class TrainingSection(Section):
    """How the steps train.

    Attributes:
        seed: of the validation split and the order of samples.
        validation: share of the training samples that training never sees.
        batch: samples per step.
        patience: epochs without a better validation score after which training stops.
        weight_decay: pulls weights towards 0.
        augment: how pictures are varied.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    batch: Annotated[int, Field(ge=1)] = 64
    patience: Annotated[int, Field(ge=1)] = 10
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    augment: AugmentSection = AugmentSection()


class Recipe(Section):
    """A recipe; a section that is not given has its defaults.

    `model` is taken where a command is given none.
    """

    model: str | None = None
    target: TargetSection = TargetSection()
    data: DataSection = DataSection()
    quantize: QuantizeSection = QuantizeSection()
    training: TrainingSection = TrainingSection()
    steps: tuple[SerializeAsAny[Step], ...] = ()

    @field_validator("model")
    @classmethod
    def _expand(cls, value: str | None) -> str | None:
        """Put environment variables in."""
        return _expanded(value)


def recipe_file(path: str | Path) -> Path:
    """The file of a recipe, or of a recipe of the package that is given by its name.

    >>> recipe_file("ptq").name
    'ptq.yaml'
    """
    path = Path(path)
    preset = PRESETS / f"{path}.yaml"
    is_name = path.name == str(path) and not path.exists() and preset.exists()
    return preset if is_name else path


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe file, or a recipe of the package by its name.

    Raises:
        RecipeError: the file is missing, is not YAML, or has an unknown key or a wrong value; the
            message names file, line and key.
    """
    path = recipe_file(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        known = ", ".join(sorted(file.stem for file in PRESETS.glob("*.yaml")))
        raise RecipeError(
            f"recipe {path} cannot be read: {reason}; recipes of the package are {known}"
        ) from error
    return parse_recipe(text, path.name)


def parse_recipe(text: str, name: str = "recipe") -> Recipe:
    """Parse the text of a recipe; `name` stands for the file in messages.

    >>> parse_recipe("quantize: {calibration: mse}").quantize.calibration
    'mse'
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error)
        lines = text.splitlines()[mark.line : mark.line + 1] if mark else []
        if "${" in "".join(lines):
            reason += "; put quotes around what has a ${NAME}"
        raise RecipeError(f"{name}{line}: not YAML: {reason}") from error
    check_unique(node, name)
    if content is None:
        return Recipe()
    if not isinstance(content, dict):
        raise RecipeError(f"{name}:1: a recipe has sections ({', '.join(Recipe.model_fields)})")
    given = {key: value for key, value in content.items() if value is not None}
    base = given.pop("extends", None)
    steps = entry_of(node, "steps")
    if "steps" in given and steps is not None:
        given["steps"] = parse_steps(steps[1], name)
    try:
        recipe = Recipe.model_validate(given)
    except ValidationError as error:
        problem = error.errors()[0]
        message = explain(name, node, Recipe, problem)
        if problem["type"] == "model_type" and problem["loc"][-1] in STEPS:
            message += f"; the step {problem['loc'][-1]} stands in steps"
        raise RecipeError(message) from error
    return recipe if base is None else _extended(_preset(str(base), name), recipe)


def make_recipe(steps: Sequence[Step], extends: str | None, sections: Mapping[str, Any]) -> Recipe:
    """A recipe of steps and sections, as Python gives them.

    Args:
        steps: in order; none for those of the recipe that is extended.
        extends: the name of a recipe of the package, or None.
        sections: mappings by the names that a recipe file has.

    Raises:
        RecipeError: a step cannot follow those before it, or a section is wrong.
    """
    if isinstance(steps, Step) or not isinstance(steps, Sequence):
        raise RecipeError(f"steps are a list, as Recipe([Prune(0.5)]), not {steps!r}")
    for count, step in enumerate(steps, 1):
        if not isinstance(step, Step):
            raise RecipeError(f"step {count}: {step!r} is no step; write one as Prune(0.5)")
        problem = order_problem(steps[:count])
        if problem:
            raise RecipeError(f"step {count}, {steps[count - 1].verb}: {problem}")
    given = {**sections, "steps": tuple(steps)} if steps else dict(sections)
    try:
        recipe = Recipe.model_validate(given)
    except ValidationError as error:
        raise RecipeError(explain("Recipe", None, Recipe, error.errors()[0])) from error
    return recipe if extends is None else _extended(_preset(extends, "Recipe"), recipe)


def _preset(base: str, name: str) -> Recipe:
    """Read the recipe that another one extends."""
    known = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    if base not in known:
        raise RecipeError(
            f"{name}: extends: no recipe {base!r}; {nearest(base, known)}".replace(
                "known keys", "there are"
            )
        )
    return read_recipe(PRESETS / f"{base}.yaml")


def _extended(base: Recipe, own: Recipe) -> Recipe:
    """What `own` says, and for the rest what `base` says."""
    merged: dict[str, Any] = {}
    for name in Recipe.model_fields:
        mine, theirs = getattr(own, name), getattr(base, name)
        if isinstance(mine, Section):
            changes = {key: getattr(mine, key) for key in mine.model_fields_set}
            merged[name] = theirs.model_copy(update=changes)
        else:
            merged[name] = mine if name in own.model_fields_set else theirs
    return Recipe(**merged)


def with_steps(recipe: Recipe, texts: list[str]) -> Recipe:
    """Return the recipe with other steps, written `verb=value`, or `verb` where that says enough.

    >>> with_steps(Recipe(), ["prune=0.5", "cluster={clusters: 16, epochs: 2}"]).steps[1].epochs
    2

    Raises:
        RecipeError: a step is wrong.
    """
    steps: list[Step] = []
    for text in texts:
        verb, equals, value = text.partition("=")
        if not equals and verb in STEPS and not stands_alone(verb):
            raise RecipeError(f"-s {text}: write a step as verb=value, for example prune=0.5")
        try:
            steps += parse_recipe(f"steps:\n- {verb}: {value}", "-s").steps
        except RecipeError as error:
            # Lines are those of the text that was made here.
            message = re.sub(r"^-s(:\d+)?: ", "", str(error))
            raise RecipeError(f"-s {text}: {message}") from error
        problem = order_problem(steps)
        if problem:
            raise RecipeError(f"-s {text}: {problem}")
    return recipe.model_copy(update={"steps": tuple(steps)})

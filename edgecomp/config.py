"""The recipe file: what to do with the data and how to quantize, in YAML.

```yaml
data:
  scale: 0.0039215686
  mean: [0.49, 0.48, 0.45]
  std: 0.25
  layout: hwc
quantize:
  calibration: auto
  equalize: false
  bias_correction: false
  symmetric: false
```
"""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgecomp.errors import RecipeError

_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Numbers = _Finite | tuple[_Finite, ...]


class _Section(BaseModel):
    """A part of the recipe: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSection(_Section):
    """`real = (x * scale - mean) / std`, and how the axes of one sample lie."""

    scale: _Finite = 1.0
    mean: _Numbers = 0.0
    std: _Numbers = 1.0
    layout: Literal["hwc", "chw", "hw", "wc", "cw"] | None = None


class QuantizeSection(_Section):
    """Options of post-training quantization."""

    calibration: Literal["auto", "minmax", "percentile", "mse", "entropy"] = "auto"
    equalize: bool = False
    bias_correction: bool = False
    symmetric: bool = False


class Recipe(_Section):
    """A recipe; a section that is not given has its defaults."""

    data: DataSection = DataSection()
    quantize: QuantizeSection = QuantizeSection()


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe file.

    Raises:
        RecipeError: the file is missing, is not YAML, or has an unknown key or a wrong value; the
            message names file, line and key.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RecipeError(f"recipe {path} cannot be read: {reason}") from error
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
        raise RecipeError(f"{name}{line}: not YAML: {reason}") from error
    if content is None:
        return Recipe()
    if not isinstance(content, dict):
        raise RecipeError(f"{name}:1: a recipe has sections ({', '.join(Recipe.model_fields)})")
    given = {key: value for key, value in content.items() if value is not None}
    try:
        return Recipe.model_validate(given)
    except ValidationError as error:
        problem = error.errors()[0]
        raise RecipeError(_explain(name, node, problem["loc"], problem)) from error


def _explain(name: str, node: Any, loc: tuple[int | str, ...], problem: Any) -> str:
    """Say which line and key a problem is at, and what would be right."""
    keys = [str(part) for part in loc]
    line, known = 1, Recipe.model_fields
    for depth, key in enumerate(keys):
        entry = _entry(node, key)
        if entry is None:
            keys = keys[:depth]
            break
        line, node = entry[0].start_mark.line + 1, entry[1]
        if depth + 1 < len(keys) and key in known:
            known = getattr(known[key].annotation, "model_fields", {})
    where = f"{name}:{line}: {'.'.join(keys)}"
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(keys[-1], known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        return f"{where}: unknown key; {hint}"
    text = f"{where}: {problem['msg']}"
    choices = problem.get("ctx", {}).get("expected", "") if "ctx" in problem else ""
    near = difflib.get_close_matches(str(problem["input"]), str(choices).replace("'", "").split())
    return f"{text}; did you mean {near[0].rstrip(',')!r}?" if near else text


def _entry(node: Any, key: str) -> tuple[Any, Any] | None:
    """The key node and value node of `key` in a mapping node."""
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((pair for pair in node.value if pair[0].value == key), None)

"""What all parts of a recipe share: strict keys, and errors that name line and key."""

import difflib
from typing import Any

from pydantic import BaseModel, ConfigDict
from yaml import MappingNode


class Section(BaseModel):
    """A part of the recipe: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def nearest(word: str, known: list[str]) -> str:
    """Say which known word was likely meant, or which there are."""
    near = difflib.get_close_matches(word, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"


def explain(
    name: str, node: Any, model: type[BaseModel], problem: Any, prefix: tuple[str, ...] = ()
) -> str:
    """Say which line and key a problem is at, and what would be right.

    Args:
        name: stands for the file.
        node: the YAML node that was validated as `model`.
        model: what it should have been.
        problem: pydantic's description.
        prefix: keys that lead to `node`.
    """
    keys = [str(part) for part in problem["loc"]]
    line, known = node.start_mark.line + 1 if node else 1, model.model_fields
    for depth, key in enumerate(keys):
        entry = entry_of(node, key)
        if entry is None:
            # A key that is missing is named; what is inside a value is not.
            keys = keys[: depth + (problem["type"] == "missing")]
            break
        line, node = entry[0].start_mark.line + 1, entry[1]
        if depth + 1 < len(keys) and key in known:
            known = getattr(known[key].annotation, "model_fields", {})
    where = f"{name}:{line}: {'.'.join((*prefix, *keys))}"
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key; {nearest(keys[-1], list(known))}"
    text = f"{where}: {problem['msg'].removeprefix('Value error, ')}"
    choices = problem.get("ctx", {}).get("expected", "") if "ctx" in problem else ""
    near = difflib.get_close_matches(str(problem["input"]), str(choices).replace("'", "").split())
    return f"{text}; did you mean {near[0].rstrip(',')!r}?" if near else text


def entry_of(node: Any, key: str) -> tuple[Any, Any] | None:
    """The key node and value node of `key` in a mapping node."""
    if not isinstance(node, MappingNode):
        return None
    return next((pair for pair in node.value if pair[0].value == key), None)

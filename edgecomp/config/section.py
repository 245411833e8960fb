"""What all parts of a recipe share: strict keys, and errors that name line and key."""

import difflib
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema
from yaml import MappingNode, SequenceNode

from edgecomp.errors import RecipeError

Names = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    WithJsonSchema({"type": ["string", "array"], "items": {"type": "string"}}),
]
"""Names or globs; one may stand without a list around it."""


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
        node: the YAML node that was validated as `model`; None for what has no lines.
        model: what it should have been.
        problem: pydantic's description.
        prefix: keys that lead to `node`.
    """
    keys, is_file = [str(part) for part in problem["loc"]], node is not None
    fields, depth = model.model_fields, 0
    inner: dict[str, Any] = {}
    for depth, key in enumerate(keys, 1):
        field = fields.get(key) or next((f for f in fields.values() if f.alias == key), None)
        inner = getattr(field and field.annotation, "model_fields", {})
        # What is inside of a value is not named.
        if depth == len(keys) or not inner:
            break
        fields = inner
    keys, line = keys[:depth], node.start_mark.line + 1 if node else 0
    for key in keys:
        entry = entry_of(node, key)
        if entry is None:
            break
        line, node = entry[0].start_mark.line + 1, entry[1]
    where = ": ".join([f"{name}:{line}" if line else name, ".".join((*prefix, *keys))])
    if problem["type"] == "extra_forbidden":
        # `from` is a word of Python's own: there its name is `teacher`.
        known = [(is_file and field.alias) or key for key, field in fields.items()]
        return f"{where}: unknown key; {nearest(keys[-1], known)}"
    if problem["type"] == "model_type":
        return f"{where}: has keys of its own: {', '.join(inner)}"
    text = f"{where}: {problem['msg'].removeprefix('Value error, ')}"
    choices = problem.get("ctx", {}).get("expected", "") if "ctx" in problem else ""
    near = difflib.get_close_matches(str(problem["input"]), str(choices).replace("'", "").split())
    return f"{text}; did you mean {near[0].rstrip(',')!r}?" if near else text


def read_bytes(value: Any) -> Any:
    """A number of bytes that may be written as `96K` or `1M`.

    >>> read_bytes("96K")
    98304

    Raises:
        ValueError: the text is none.
    """
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d+)\s*(?:([KM])i?)?B?", value.strip())
    if found is None:
        raise ValueError("write bytes as 98304, 96K or 1M")
    return int(found[1]) << {None: 0, "K": 10, "M": 20}[found[2]]


def check_unique(node: Any, name: str) -> None:
    """Refuse a key that stands twice in a mapping, of which YAML would take the last.

    Raises:
        RecipeError: one does.
    """
    if isinstance(node, SequenceNode):
        for item in node.value:
            check_unique(item, name)
    if not isinstance(node, MappingNode):
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        line, text = key.start_mark.line + 1, str(key.value)
        if text in lines:
            raise RecipeError(f"{name}:{line}: {text}: stands in line {lines[text]} already")
        lines[text] = line
        check_unique(value, name)


def entry_of(node: Any, key: str) -> tuple[Any, Any] | None:
    """The key node and value node of `key` in a mapping node."""
    if not isinstance(node, MappingNode):
        return None
    return next((pair for pair in node.value if pair[0].value == key), None)

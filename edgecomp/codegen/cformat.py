"""How values are written in C: numbers, arrays, names, comments."""

import re
from collections.abc import Iterable

import numpy as np

from edgecomp.ir import Array

LINE_WIDTH = 96
_MARKS = re.compile(r"(?<=\*)(?=/)|(?<=/)(?=\*)|(?<=\?)(?=\?)")
"""Where a space keeps two characters from being the mark of a comment or a trigraph."""

C_KEYWORDS = frozenset(
    """
    auto break case char const continue default do double else enum extern float for goto if
    inline int long register restrict return short signed sizeof static struct switch typedef
    union unsigned void volatile while main
    """.split()  # noqa: SIM905 - a list of one word per line helps nobody
)


def c_int(value: int) -> str:
    """An int32 literal that no compiler complains about.

    >>> c_int(-(2**31))
    '(-2147483647 - 1)'
    """
    return "(-2147483647 - 1)" if int(value) == -(2**31) else str(int(value))


def c_term(value: int) -> str:
    """A number after a binary operator.

    >>> "x - " + c_term(-3)
    'x - (-3)'
    """
    return str(int(value)) if value >= 0 else f"({c_int(value)})"


def c_float(value: float) -> str:
    """A float literal with the shortest digits that read back as the same float32.

    >>> c_float(0.25), c_float(3.0)
    ('0.25f', '3.0f')
    """
    text = str(np.float32(value))
    if not re.search(r"[.e]", text):
        text += ".0"
    return text + "f"


def c_term_float(value: float) -> str:
    """A float after a binary operator."""
    return c_float(value) if value >= 0 else f"({c_float(value)})"


def c_elements(values: Array, indent: str = "    ") -> str:
    """The elements of an initializer, wrapped to lines."""
    if values.dtype.kind == "f":
        items: Iterable[str] = (c_float(v) for v in values.reshape(-1))
    else:
        items = (c_int(v) for v in values.reshape(-1).tolist())
    lines: list[str] = []
    line = indent
    for item in items:
        piece = f"{item},"
        if len(line) + len(piece) + 1 > LINE_WIDTH and line.strip():
            lines.append(line.rstrip())
            line = indent
        line += piece if line == indent else f" {piece}"
    lines.append(line.rstrip())
    return "\n".join(lines)


def c_comment(text: str, limit: int = 80) -> str:
    """Any text made harmless inside a block comment: printable ASCII, no comment marks."""
    safe = "".join(ch if " " <= ch <= "~" else "?" for ch in text).replace("\\", "/")
    safe = _MARKS.sub(" ", safe)
    return safe if len(safe) <= limit else safe[: limit - 3] + "..."


def c_identifier(text: str, fallback: str = "model") -> str:
    """A C identifier in lower case made from any text; keywords get a trailing underscore."""
    name = re.sub(r"[^a-z0-9_]+", "_", text.lower()).strip("_")[:48] or fallback
    if name[0].isdigit():
        name = f"{fallback}_{name}"
    return f"{name}_" if name in C_KEYWORDS else name

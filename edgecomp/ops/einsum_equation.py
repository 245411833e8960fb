"""Equations of Einsum: what the axes of every operand and of the result are called.

Source of the semantics: ONNX Einsum.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgecomp.ir import Shape

Labels = tuple[str, ...]
"""A name per axis: a letter of the equation, or the number of an axis that `...` stands for."""

_ELLIPSIS = "..."


@dataclass(frozen=True)
class Equation:
    """An equation whose ellipses are spelt out.

    Attributes:
        terms: labels of the axes of each operand.
        result: labels of the result's axes.
        sizes: the length of every label; operands may have 1 instead.
    """

    terms: tuple[Labels, ...]
    result: Labels
    sizes: dict[str, int]


def parse(text: str, shapes: Sequence[Shape]) -> Equation:
    """Read an equation for operands of these shapes.

    >>> parse("ij, jk", [(2, 3), (3, 4)]).result
    ('i', 'k')
    >>> parse("...ij->...", [(5, 2, 3)]).result
    ('0',)

    Raises:
        ValueError: it is no equation, or not one for these operands.
    """
    left, arrow, right = text.replace(" ", "").partition("->")
    written = left.split(",")
    if len(written) != len(shapes):
        raise ValueError(f"{text!r} is for {len(written)} operands, but there are {len(shapes)}")
    hidden = [
        len(shape) - len(term.replace(_ELLIPSIS, "", 1))
        for term, shape in zip(written, shapes, strict=True)
    ]
    # Axes that `...` stands for are aligned from the right, as in any broadcasting.
    unnamed = tuple(str(i) for i in range(max(0, *hidden)))
    terms = tuple(
        _labels(term, unnamed[len(unnamed) - max(n, 0) :], len(shape))
        for term, n, shape in zip(written, hidden, shapes, strict=True)
    )
    if arrow:
        result = _labels(right, unnamed)
    else:
        times = Counter(label for term in terms for label in term if label.isalpha())
        result = (*unnamed, *sorted(label for label, n in times.items() if n == 1))
    sizes = _sizes(terms, shapes)
    lost = [label for label in (*result, *unnamed) if label not in {*sizes} & {*result}]
    if lost or len(set(result)) < len(result):
        raise ValueError(f"the result of {text!r} does not fit its operands")
    return Equation(terms, result, sizes)


def _labels(term: str, unnamed: Labels, rank: int | None = None) -> Labels:
    """Spell out one term.

    Raises:
        ValueError: it is no term, or not one for `rank` axes.
    """
    before, dots, after = term.partition(_ELLIPSIS)
    labels = (*before, *(unnamed if dots else ()), *after)
    letters = before + after
    if (letters and not (letters.isascii() and letters.isalpha())) or rank not in {
        None,
        len(labels),
    }:
        raise ValueError(f"the term {term!r} does not name the axes of its operand")
    return labels


def _sizes(terms: Sequence[Labels], shapes: Sequence[Shape]) -> dict[str, int]:
    """Lengths of all labels, where 1 gives way to any other.

    Raises:
        ValueError: a label has two lengths.
    """
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        for label, n in zip(term, shape, strict=True):
            known = sizes.get(label, 1)
            if known != n and 1 not in {known, n}:
                raise ValueError(f"the axis {label!r} has {known} elements and {n}")
            sizes[label] = max(known, n)
    return sizes

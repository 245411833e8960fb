"""How ONNX's Einsum arrives: taken apart into sums, transposes and products.

Operands are combined from the left, two at a time.  Axes that only one of them has and that nothing
later needs are summed first; what both have is contracted by a dense layer where one of them is
constant and by products of matrices where both are computed, or where the constant has another
matrix for each element of a common axis; without a contraction a product with broadcasting is left.
"""

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np

from edgecomp.ir import Array
from edgecomp.ops.base import Builder, ImportedNode, Importer
from edgecomp.ops.binary import import_binary
from edgecomp.ops.dense import emit_dense
from edgecomp.ops.einsum_equation import Equation, Labels, parse
from edgecomp.ops.gather import emit_gather
from edgecomp.ops.matmul import MatMulParams
from edgecomp.ops.mul import MulParams
from edgecomp.ops.reduce_mean import ReduceMeanParams

_product = import_binary("mul", "mul", MulParams())


@dataclass(frozen=True)
class Term:
    """An operand, or a product of some: a tensor and what its axes are called."""

    name: str
    labels: Labels


class Einsum:
    """One Einsum on its way into layers."""

    def __init__(self, node: ImportedNode, build: Builder) -> None:
        """Read the equation.

        Raises:
            ValueError: it does not fit the operands.
        """
        self._node = node
        self._build = build
        shapes = [build.shape(name) for name in node.inputs]
        self._equation: Equation = parse(str(node.attrs["equation"]), shapes)

    def emit(self) -> str:
        """Emit all layers; the name of the result."""
        result = self._equation.result
        terms = [
            self._squeezed(self._diagonal(Term(name, labels)))
            for name, labels in zip(self._node.inputs, self._equation.terms, strict=True)
        ]
        product = terms[0]
        for index, other in enumerate(terms[1:], start=2):
            later = {label for term in terms[index:] for label in term.labels}
            product = self._combined(product, other, later | {*result})
        product = self._summed(product, {*result})
        product = self._ordered(product, [label for label in result if label in product.labels])
        # Axes of length 1 may have been left out on the way.
        return self._reshaped(product, result).name

    def _combined(self, a: Term, b: Term, needed: AbstractSet[str]) -> Term:
        """Multiply two terms, and sum over what is not `needed` later."""
        both = {*a.labels} & {*b.labels}
        a, b = self._summed(a, needed | both), self._summed(b, needed | both)
        values = self._build.value(a.name), self._build.value(b.name)
        if values[0] is not None and values[1] is not None:
            return self._constant_product(a, b, needed)
        common = tuple(label for label in a.labels if label in both & needed)
        contracted = tuple(label for label in a.labels if label in both - needed)
        if not contracted:
            return self._broadcast(a, b)
        if not common and (values[0] is not None or values[1] is not None):
            x, weights = (b, a) if values[0] is not None else (a, b)
            return self._dense(x, weights, contracted)
        if self._comes_first(b, a, both):
            a, b = b, a
        return self._matrices(a, b, common, contracted)

    def _constant_product(self, a: Term, b: Term, needed: AbstractSet[str]) -> Term:
        """Multiply two constants."""
        labels = tuple(label for label in dict.fromkeys(a.labels + b.labels) if label in needed)
        number = {label: i for i, label in enumerate(dict.fromkeys(a.labels + b.labels))}
        arguments: list[object] = []
        for term in (a, b):
            arguments += [self._value(term), [number[label] for label in term.labels]]
        product = np.einsum(*arguments, [number[label] for label in labels])  # type: ignore[call-overload]
        return Term(self._new_constant(np.asarray(product)), labels)

    def _dense(self, x: Term, weights: Term, contracted: Labels) -> Term:
        """Contract an activation with constant weights: the product has x's axes first."""
        rows = tuple(label for label in x.labels if label not in contracted)
        outputs = tuple(label for label in weights.labels if label not in contracted)
        places = [weights.labels.index(label) for label in outputs + contracted]
        depth = math.prod(self._size(label) for label in contracted)
        matrix = self._value(weights).transpose(places).reshape(-1, depth)
        x = self._ordered(x, rows + contracted)
        shape = tuple(self._size(label) for label in rows) or (1,)
        name = self._build.reshape(x.name, (*shape, depth), self._node)
        y = emit_dense(self._node, self._build, name, matrix, weights.name, None)
        return self._reshaped(Term(y, ()), rows + outputs)

    def _matrices(self, a: Term, b: Term, common: Labels, contracted: Labels) -> Term:
        """Contract by products of matrices, one for each element of the common axes."""
        rows, columns = (
            tuple(label for label in term.labels if label not in common + contracted)
            for term in (a, b)
        )
        batch = tuple(self._size(label) for label in common)
        m, k, n = (
            math.prod(self._size(label) for label in labels)
            for labels in (rows, contracted, columns)
        )
        left = self._ordered(a, common + rows + contracted).name
        right = self._ordered(b, common + contracted + columns).name
        names = [
            self._build.reshape(left, (*batch, m, k), self._node),
            self._build.reshape(right, (*batch, k, n), self._node),
        ]
        y = self._build.emit("matmul", names, MatMulParams(), self._node)
        return self._reshaped(Term(y, ()), common + rows + columns)

    def _broadcast(self, a: Term, b: Term) -> Term:
        """Multiply element by element; the product has the result's order as far as it can."""
        result = self._equation.result
        found = dict.fromkeys(a.labels + b.labels)
        labels = tuple(sorted(found, key=lambda x: result.index(x) if x in result else -1))
        names = []
        for term in (a, b):
            ordered = self._ordered(term, [label for label in labels if label in term.labels])
            shape = tuple(self._size(x) if x in term.labels else 1 for x in labels)
            names.append(self._build.reshape(ordered.name, shape, self._node))
        pair = replace(self._node, inputs=tuple(names))
        return Term(_product(pair, self._build), labels)

    def _comes_first(self, a: Term, b: Term, both: AbstractSet[str]) -> bool:
        """Whether the result has the axes of `a` alone before those of `b` alone."""
        place = [
            min(
                (
                    self._equation.result.index(label)
                    for label in term.labels
                    if label not in both and label in self._equation.result
                ),
                default=len(self._equation.result),
            )
            for term in (a, b)
        ]
        return place[0] < place[1]

    def _diagonal(self, term: Term) -> Term:
        """Take the elements where axes of the same name have the same index."""
        for label in term.labels:
            times = term.labels.count(label)
            if times == 1:
                continue
            n = self._size(label)
            others = [i for i, other in enumerate(term.labels) if other != label]
            same = [i for i, other in enumerate(term.labels) if other == label]
            moved = self._build.transpose(term.name, others + same, self._node)
            kept = tuple(self._build.shape(term.name)[i] for i in others)
            flat = self._build.reshape(moved, (*kept, n**times), self._node)
            step = sum(n**i for i in range(times))
            places = range(0, n * step, step)
            name = self._taken(flat, len(kept), places)
            term = Term(name, (*(term.labels[i] for i in others), label))
        return term

    def _taken(self, name: str, axis: int, places: Sequence[int]) -> str:
        """Choose elements along one axis."""
        value = self._build.value(name)
        if value is not None:
            return self._new_constant(np.take(value, places, axis))
        return emit_gather(self._build, self._node, name, {axis: places}, ".diagonal")

    def _squeezed(self, term: Term) -> Term:
        """Leave out axes along which an operand is repeated, and those of 1 in constants."""
        shape = self._build.shape(term.name)
        constant = self._build.value(term.name) is not None
        labels = tuple(
            label
            for label, n in zip(term.labels, shape, strict=True)
            if n != 1 or not (constant or self._size(label) != 1)
        )
        return self._reshaped(term, labels)

    def _summed(self, term: Term, needed: AbstractSet[str]) -> Term:
        """Sum over axes that are not needed."""
        term = self._reshaped(
            term, tuple(x for x in term.labels if x in needed or self._size(x) != 1)
        )
        axes = tuple(i for i, label in enumerate(term.labels) if label not in needed)
        if not axes:
            return term
        labels = tuple(label for label in term.labels if label in needed)
        if self._build.value(term.name) is not None:
            return Term(self._new_constant(self._value(term).sum(axis=axes)), labels)
        params = ReduceMeanParams(axes, keepdims=False)
        return Term(self._build.emit("reduce_sum", [term.name], params, self._node, ".sum"), labels)

    def _ordered(self, term: Term, labels: Sequence[str]) -> Term:
        perm = [term.labels.index(label) for label in labels]
        return Term(self._build.transpose(term.name, perm, self._node), tuple(labels))

    def _reshaped(self, term: Term, labels: Labels) -> Term:
        shape = tuple(self._size(label) for label in labels)
        return Term(self._build.reshape(term.name, shape, self._node), labels)

    def _size(self, label: str) -> int:
        return self._equation.sizes[label]

    def _value(self, term: Term) -> Array:
        value = self._build.value(term.name)
        assert value is not None, term.name
        return value

    def _new_constant(self, value: Array) -> str:
        return self._build.constant(value, f"{self._node.name}.constant")


def _import(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Einsum: any equation, taken apart into sums, transposes and products."""
    return Einsum(node, build).emit()


ONNX: dict[str, Importer] = {"Einsum": _import}

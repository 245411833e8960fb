"""Views: a tensor of the original graph as a rearrangement of a tensor of the new one.

`original = reshape(transpose(reshape(base, split), perm), shape)`.  Movements compose on views for
free; a view without a permutation is a plain reshape of its base and costs nothing on the device.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgecomp.ir import Array, Shape, View


@dataclass(frozen=True)
class Layout:
    """How an original tensor lies over its base.

    Attributes:
        base: name of the tensor in the new graph.
        split: the base's elements as axes (row-major), none of them 1.
        perm: order of those axes in the original; never two neighbours that could be one axis.
        shape: the original's shape.
    """

    base: str
    split: tuple[int, ...]
    perm: tuple[int, ...]
    shape: Shape

    @classmethod
    def plain(cls, base: str, shape: Shape) -> "Layout":
        """The tensor itself, or a reshape of it."""
        return normalized(cls(base, shape, tuple(range(len(shape))), shape))

    @classmethod
    def permuted(cls, base: str, base_shape: Shape, perm: Sequence[int]) -> "Layout":
        """`original = transpose(base, perm)`."""
        shape = tuple(base_shape[axis] for axis in perm)
        return normalized(cls(base, base_shape, tuple(perm), shape))

    @property
    def is_plain(self) -> bool:
        """Whether the elements lie in the original's order."""
        return len(self.perm) <= 1

    def reshaped(self, shape: Shape) -> "Layout":
        """The view of `reshape(original, shape)`."""
        return replace(self, shape=shape)

    def transposed(self, perm: Sequence[int]) -> "Layout | None":
        """The view of `transpose(original, perm)`; None if the base's axes do not allow it."""
        groups = self._axes()
        if groups is None:
            return None
        view, members = groups
        order = [atom for axis in perm for atom in members[axis]]
        shape = tuple(self.shape[axis] for axis in perm)
        return normalized(replace(view, perm=tuple(order), shape=shape))

    def axis_order(self, base_shape: Shape) -> tuple[int, ...] | None:
        """The permutation with `original = transpose(base, perm)`, or None if there is none."""
        if len(base_shape) != len(self.shape):
            return None
        groups = self._axes()
        if groups is None:
            return None
        view, members = groups
        # The base's axes, as runs of atoms, in the base's order.
        owners: dict[tuple[int, ...], int] = {}
        atom = 0
        for axis, length in enumerate(base_shape):
            run: list[int] = []
            product = 1
            while product < length and atom < len(view.split):
                product *= view.split[atom]
                run.append(atom)
                atom += 1
            if product != length:
                return None
            if run:
                owners[tuple(run)] = axis
        ones = iter([axis for axis, length in enumerate(base_shape) if length == 1])
        perm = []
        for axis, atoms in enumerate(members):
            if self.shape[axis] == 1:
                perm.append(next(ones, -1))
            else:
                perm.append(owners.get(tuple(atoms), -1))
        return None if -1 in perm else tuple(perm)

    def natural_order(self) -> tuple[int, ...] | None:
        """An order of the original's axes in which the base, reshaped, has them all as they are.

        Returns:
            The permutation with `original = transpose(reshape(base, ...), perm)`, or None if an
            axis of the original is scattered over the base.
        """
        groups = self._axes()
        if groups is None:
            return None
        members = groups[1]
        order = sorted((axis for axis, run in enumerate(members) if run), key=members.__getitem__)
        if [atom for axis in order for atom in members[axis]] != sorted(groups[0].perm):
            return None
        # The batch comes first, any other axis of 1 before the one that it precedes.
        for axis in reversed(range(len(members))):
            if not members[axis]:
                after = order.index(axis + 1) if axis + 1 in order else len(order)
                order.insert(after if axis else 0, axis)
        return tuple(int(place) for place in np.argsort(order))

    def source_index(self) -> Array:
        """For each element of the base, in order, its index in the flattened original."""
        sizes = [self.split[atom] for atom in self.perm]
        index = np.arange(math.prod(sizes)).reshape(sizes)
        return index.transpose(np.argsort(self.perm)).reshape(-1) if sizes else index.reshape(-1)

    def _axes(self) -> "tuple[Layout, list[list[int]]] | None":
        """Refine until each axis of the original is a run of atoms; return those by axis."""
        sizes = [self.split[atom] for atom in self.perm]
        owners = list(self.perm)
        pieces: list[list[tuple[int, int]]] = []
        parts: dict[int, list[int]] = {atom: [] for atom in self.perm}
        position = 0
        rest = sizes[0] if sizes else 1
        for length in self.shape:
            need, run = length, []
            while need > 1:
                if math.gcd(need, rest) not in {need, rest} or rest == 1:
                    return None
                step = min(need, rest)
                atom = owners[position]
                run.append((atom, len(parts[atom])))
                parts[atom].append(step)
                need //= step
                rest //= step
                if rest == 1:
                    position += 1
                    rest = sizes[position] if position < len(sizes) else 1
            pieces.append(run)
        return _refined(self, parts, pieces)


def _refined(
    view: Layout, parts: dict[int, list[int]], pieces: list[list[tuple[int, int]]]
) -> tuple[Layout, list[list[int]]]:
    """Number the parts of the old atoms in the base's order."""
    first: dict[int, int] = {}
    split: list[int] = []
    for atom in range(len(view.split)):
        first[atom] = len(split)
        split.extend(parts[atom])
    members = [[first[atom] + part for atom, part in run] for run in pieces]
    order = tuple(atom for run in members for atom in run)
    return replace(view, split=tuple(split), perm=order), members


def normalized(view: Layout) -> Layout:
    """Drop axes of 1 and merge axes that stay neighbours, so that equal views are equal."""
    kept = [axis for axis, n in enumerate(view.split) if n != 1]
    number = {axis: index for index, axis in enumerate(kept)}
    perm = [number[axis] for axis in view.perm if axis in number]
    sizes = [view.split[axis] for axis in kept]
    runs: list[list[int]] = []
    for axis in perm:
        if runs and runs[-1][-1] + 1 == axis:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    by_base = sorted(range(len(runs)), key=lambda index: runs[index][0])
    rank = {index: position for position, index in enumerate(by_base)}
    split = tuple(math.prod(sizes[axis] for axis in runs[index]) for index in by_base)
    return replace(view, split=split, perm=tuple(rank[index] for index in range(len(runs))))


def as_view(layout: Layout, base_shape: Shape) -> View | None:
    """Say a layout by whole axes of its base, as the graph's inputs and outputs do, if possible."""
    order = layout.axis_order(base_shape)
    if order is not None:
        return View(order, layout.shape)
    runs: list[list[int]] = []
    axis = next((axis for axis, n in enumerate(base_shape) if n != 1), len(base_shape))
    ones = list(range(axis))
    for length in layout.split:
        run, product = [], 1
        while product < length and axis < len(base_shape):
            product *= base_shape[axis]
            run.append(axis)
            axis += 1
        if product != length:
            return None
        runs.append(run)
    perm = ones + [axis for atom in layout.perm for axis in runs[atom]]
    perm += range(axis, len(base_shape))
    return View(tuple(perm), layout.shape)


def inverse(layout: Layout) -> Layout:
    """The view of the base over the original, both under the original's name and shape.

    Of a device tensor that holds what `layout` describes, it says how the base lies over it.
    """
    split = tuple(layout.split[atom] for atom in layout.perm)
    return replace(layout, split=split, perm=tuple(int(a) for a in np.argsort(layout.perm)))

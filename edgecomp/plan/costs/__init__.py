"""What a kernel costs on a core: measured tables, and estimates between their points.

`edgecomp tune` measures every kernel on layers of many shapes, in the emulator, and keeps the
points in one file per core beside this module.  A shape that was measured costs what was measured;
for any other the kernel's own points are interpolated by non-negative least squares over the
layer's sizes.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Layer
from edgecomp.plan.costs.layers import (
    BANDS,
    PLAIN,
    Kind,
    is_coded,
    kind_of,
    own_functions,
    signature,
    sizes,
    weights_shape,
)
from edgecomp.targets.cores import CORES, Core

__all__ = [
    "BANDS",
    "PLAIN",
    "Cost",
    "CostTable",
    "Point",
    "cost_table",
    "is_coded",
    "signature",
    "sizes",
]

FOLDER = Path(__file__).parent
_ROUNDS = 200
_PENALTY = 0.001
"""Of a coefficient, as a share of what it alone explains."""
FEW_POINTS = 4
"""Fewer points of a kind than these are put together with others."""


@dataclass(frozen=True)
class Cost:
    """What one run of a stage takes.

    Attributes:
        instructions: executed.
        cycles: modelled, see docs/cycles.md.
        own_bytes: size of the stage's own function.
        functions: bytes of each function that it calls; those of one name are equal and stand in
            an image once.
    """

    instructions: int
    cycles: int
    own_bytes: int
    functions: Mapping[str, int]


@dataclass(frozen=True)
class Point:
    """One measurement: a layer's signature and sizes, and what it cost."""

    signature: str
    sizes: tuple[int, ...]
    cost: Cost


@dataclass(frozen=True)
class CostTable:
    """All points of a core, by kernel."""

    points: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)

    @cached_property
    def _exact(self) -> dict[tuple[str, str], Cost]:
        return {
            (kernel, point.signature): point.cost
            for kernel, points in self.points.items()
            for point in points
        }

    @cached_property
    def functions(self) -> dict[str, int]:
        """Bytes of every function that any measured layer calls."""
        return {
            name: size
            for points in self.points.values()
            for point in points
            for name, size in point.cost.functions.items()
        }

    @cached_property
    def _fits(self) -> dict[tuple[str, Kind], tuple[Array, Array]]:
        """Found when first asked for: few of them are."""
        return {}

    def _fit(self, kernel: str, kind: Kind) -> tuple[Array, Array]:
        """Coefficients for instructions and for cycles."""
        key = kernel, kind
        if key not in self._fits:
            points = self._alike(*key)
            self._fits[key] = (
                _fit(points, [point.cost.instructions for point in points]),
                _fit(points, [point.cost.cycles for point in points]),
            )
        return self._fits[key]

    def _alike(self, kernel: str, kind: Kind) -> tuple[Point, ...]:
        """A kernel's points on layers of a kind; where they are few, of kinds more and more alike.

        Whether windows are padded decides least, then whether there are groups, then the rows.
        """
        points = self.points[kernel]
        kinds = [kind_of(point.signature) for point in points]
        for much in (3, 2):
            same = [p for p, k in zip(points, kinds, strict=True) if k[:much] == kind[:much]]
            if len(same) >= FEW_POINTS:
                return tuple(same)
        return tuple(p for p, k in zip(points, kinds, strict=True) if k[0] == kind[0]) or points

    def cost(self, kernel: str, layer: Layer) -> Cost | None:
        """What `layer` costs when `kernel` computes it; None for a kernel never measured."""
        found = self._exact.get((kernel, signature(layer)))
        if found is not None:
            return replace(found, functions=own_functions(found.functions, layer))
        if kernel not in self.points:
            return None
        kind = kind_of(signature(layer))
        fits = self._fit(kernel, kind)
        instructions, cycles = (float(np.dot(fit, sizes(layer))) for fit in fits)
        nearest = self._nearest(kernel, layer)
        common = self._common_functions(kernel, kind)
        functions = {
            # A function that few layers call is made for their shape: this layer has its own.
            name if name in common else f"{name} for {weights_shape(layer)}": size
            for name, size in nearest.functions.items()
        }
        own = own_functions(functions, layer)
        return Cost(math.ceil(instructions), math.ceil(cycles), nearest.own_bytes, own)

    def _common_functions(self, kernel: str, kind: Kind) -> set[str]:
        """Functions that a third of a kernel's points call: they do not depend on the shape."""
        points = self._alike(kernel, kind)
        counts = Counter(name for point in points for name in point.cost.functions)
        return {name for name, count in counts.items() if 3 * count >= len(points)}

    def _nearest(self, kernel: str, layer: Layer) -> Cost:
        """The cost of the point whose sizes are least far from those of `layer`, as factors."""
        wanted = np.log1p(sizes(layer))
        return min(
            self._alike(kernel, kind_of(signature(layer))),
            key=lambda point: float(np.abs(np.log1p(point.sizes) - wanted).sum()),
        ).cost

    def with_points(self, points: Mapping[str, Iterable[Point]]) -> "CostTable":
        """A table in which `points` stand before those that were there."""
        merged = {kernel: list(old) for kernel, old in self.points.items()}
        for kernel, new in points.items():
            fresh = list(new)
            known = {point.signature for point in fresh}
            kept = [point for point in merged.get(kernel, []) if point.signature not in known]
            merged[kernel] = fresh + kept
        return CostTable({kernel: tuple(several) for kernel, several in merged.items()})


def _fit(points: tuple[Point, ...], values: list[int]) -> Array:
    """Coefficients of at least 0 with the least squares of *relative* errors.

    By coordinate descent: each coefficient in turn takes its best value while the others rest.  A
    small penalty on each decides where the points alone do not: a coefficient for everything that
    grows, work first, says more of larger layers than one for a whole layer.
    """
    wanted = np.array(values, np.float64)
    rows = np.array([point.sizes for point in points], np.float64) / wanted[:, None]
    result = np.zeros(rows.shape[1])
    rest = np.ones(len(rows))
    squares = (rows**2).sum(axis=0)
    for _ in range(_ROUNDS):
        for index, square in enumerate(squares):
            if square == 0:
                continue
            wish = result[index] + float(rows[:, index] @ rest) / square
            best = max(0.0, wish / (1 + _PENALTY))
            rest -= rows[:, index] * (best - result[index])
            result[index] = best
    return result


def to_json(table: CostTable, core: Core) -> str:
    """The text of a core's file."""
    functions: dict[str, int] = {}
    kernels: dict[str, dict[str, Any]] = {}
    for kernel, points in sorted(table.points.items()):
        kernels[kernel] = {}
        for point in sorted(points, key=lambda point: point.signature):
            cost = point.cost
            functions.update(cost.functions)
            kernels[kernel][point.signature] = [
                list(point.sizes),
                cost.instructions,
                cost.cycles,
                cost.own_bytes,
                sorted(cost.functions),
            ]
    head = {"core": core.name, "made_by": f"edgecomp tune --core {core.name}"}
    lines = [json.dumps(head)[:-1] + ',\n"functions": ' + json.dumps(functions, sort_keys=True)]
    for kernel, entries in kernels.items():
        rows = ",\n ".join(f"{json.dumps(key)}: {json.dumps(row)}" for key, row in entries.items())
        lines.append(f"{json.dumps(kernel)}: {{\n {rows}\n}}")
    return ",\n".join([lines[0], '"kernels": {\n' + ",\n".join(lines[1:]) + "}}"]) + "\n"


def from_json(text: str) -> CostTable:
    """Read what `to_json` wrote."""
    document = json.loads(text)
    functions = document["functions"]
    return CostTable(
        {
            kernel: tuple(
                Point(
                    key,
                    tuple(row[0]),
                    Cost(row[1], row[2], row[3], {name: functions[name] for name in row[4]}),
                )
                for key, row in entries.items()
            )
            for kernel, entries in document["kernels"].items()
        }
    )


def file_of(core: Core) -> Path:
    """Where the table of a core is kept; cores with the same instructions share one."""
    own = FOLDER / f"{core.name}.json"
    if own.exists():
        return own
    alike = [
        FOLDER / f"{other.name}.json"
        for other in CORES
        if (other.architecture, other.dsp, other.mve) == (core.architecture, core.dsp, core.mve)
    ]
    return next((path for path in alike if path.exists()), own)


@cache
def cost_table(core: Core) -> CostTable:
    """The kept measurements of `core`; empty where nobody has measured it."""
    path = file_of(core)
    return from_json(path.read_text()) if path.exists() else CostTable()

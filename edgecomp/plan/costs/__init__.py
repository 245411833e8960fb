"""What a kernel costs on a core: measured tables, and estimates between their points.

`edgecomp tune` measures every kernel on layers of many shapes, in the emulator, and keeps the
points in one file per core beside this module.  A shape that was measured costs what was measured;
for any other the kernel's own points are interpolated by non-negative least squares over the
layer's sizes.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgecomp.ir import Array, Clamp, OpParams
from edgecomp.kernels.base import Layer
from edgecomp.targets.cores import CORES, Core

FOLDER = Path(__file__).parent
_ROUNDS = 200
PLAIN = "dense8"
"""The storage of weights that need no decoder."""
BANDS = (2, 4)
"""Rows that stages may compute at a time, beside one."""


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
    def _fits(self) -> dict[tuple[str, int], tuple[Array, Array]]:
        """Found when first asked for: few of them are."""
        return {}

    def _fit(self, kernel: str, rows: int) -> tuple[Array, Array]:
        """Coefficients for instructions and for cycles."""
        key = kernel, min(rows, *BANDS)  # all bands are alike
        if key not in self._fits:
            points = self._alike(*key)
            self._fits[key] = (
                _fit(points, [point.cost.instructions for point in points]),
                _fit(points, [point.cost.cycles for point in points]),
            )
        return self._fits[key]

    def _alike(self, kernel: str, rows: int) -> tuple[Point, ...]:
        """A kernel's points on so many rows of a layer, on whole ones if 0; all if none is."""
        points = self.points[kernel]
        band = rows > 1
        return (
            tuple(
                point
                for point in points
                if (of := _rows_of(point.signature)) == rows or (band and of > 1)
            )
            or points
        )

    def cost(self, kernel: str, layer: Layer) -> Cost | None:
        """What `layer` costs when `kernel` computes it; None for a kernel never measured."""
        found = self._exact.get((kernel, signature(layer)))
        if found is not None or kernel not in self.points:
            return found
        rows = _rows_of(signature(layer))
        fits = self._fit(kernel, rows)
        instructions, cycles = (float(np.dot(fit, sizes(layer))) for fit in fits)
        nearest = self._nearest(kernel, layer)
        common = self._common_functions(kernel, rows)
        functions = {
            # A function that few layers call is made for their shape: this layer has its own.
            name if name in common else f"{name} for {_weights_shape(layer)}": size
            for name, size in nearest.functions.items()
        }
        return Cost(math.ceil(instructions), math.ceil(cycles), nearest.own_bytes, functions)

    def _common_functions(self, kernel: str, rows: int) -> set[str]:
        """Functions that a third of a kernel's points call: they do not depend on the shape."""
        points = self._alike(kernel, rows)
        counts = Counter(name for point in points for name in point.cost.functions)
        return {name for name, count in counts.items() if 3 * count >= len(points)}

    def _nearest(self, kernel: str, layer: Layer) -> Cost:
        """The cost of the point whose sizes are least far from those of `layer`, as factors."""
        wanted = np.log1p(sizes(layer))
        return min(
            self._alike(kernel, _rows_of(signature(layer))),
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


def signature(layer: Layer) -> str:
    """What decides a layer's cost, beside its weights: operator, shapes, window."""
    parameters = ",".join(
        f"{name}={value}"
        for name, value in sorted(_plain(layer.params).items())
        if value not in {0, 1}
    )
    shapes = [tensor.shape for tensor in (*layer.inputs[:2], layer.output)]
    text = " ".join("x".join(str(n) for n in shape) for shape in shapes)
    numerics = "" if layer.node.numerics == "edgecomp" else f" {layer.node.numerics}"
    narrows = layer.inputs[0].dtype is not layer.output.dtype
    of = f" of {layer.inputs[0].dtype.value}" if narrows else ""
    coded = ""
    if is_coded(layer):
        share = round(100 * _nonzero(layer) / layer.inputs[1].size)
        coded = f" {' or '.join(layer.storages)} {share}% not 0"
        if "sparse" in layer.storages:
            coded += f", {round(100 * _live_blocks(layer))}% of blocks"
    return f"{layer.node.op} {text} {parameters}".strip() + numerics + of + coded


def is_coded(layer: Layer) -> bool:
    """Whether the layer's weights are to be decoded."""
    return PLAIN not in layer.storages


def _nonzero(layer: Layer) -> int:
    return int(np.count_nonzero(layer.inputs[1].value))


def _live_blocks(layer: Layer) -> float:
    """The share of blocks of four neighbouring weights of a channel that are not all 0."""
    rows = layer.inputs[1].value.reshape(layer.inputs[1].shape[0], -1)
    blocks = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4))).reshape(-1, 4)
    return float(blocks.any(axis=1).mean())


def _rows_of(text: str) -> int:
    """How many rows a signature has, as stages fused by rows compute them; 0 for whole layers.

    What a kernel needs for whole layers says little of them: strips and blocks of rows are cut off.

    >>> _rows_of("conv2d 1x3x32x16 16x3x3x16 1x1x32x16"), _rows_of("dense 1x8 4x8 1x4")
    (1, 0)
    >>> _rows_of("conv2d 1x5x32x16 32x3x3x16 1x2x16x32 pad_right=1,stride_h=2,stride_w=2")
    2
    """
    op, *words = text.split()
    if op != "conv2d":
        return 0
    (_, height, *_), (_, kernel_h, kernel_w, _), out = (
        [int(n) for n in shape.split("x")] for shape in words[:3]
    )
    one_dimensional = kernel_h == 1 and kernel_w > 1
    if len(out) != 4 or out[1] not in {1, *BANDS} or one_dimensional:
        return 0
    stride = next((int(m[1]) for m in [re.search(r"stride_h=(\d+)", text)] if m), 1)
    padded = "pad_top" in text or "pad_bottom" in text
    whole = padded or height != (out[1] - 1) * stride + kernel_h or out[1] == out[2] > 1
    return 0 if whole else out[1]


def _weights_shape(layer: Layer) -> str:
    """What code that is made for a layer's shape depends on."""
    return "x".join(str(n) for n in layer.inputs[min(1, len(layer.inputs) - 1)].shape)


def _plain(params: OpParams) -> dict[str, Any]:
    """The numbers among the parameters; a fused clamp costs nothing."""
    return {
        name: value
        for name, value in vars(params).items()
        if not isinstance(value, Clamp) and isinstance(value, int)
    }


def sizes(layer: Layer) -> tuple[int, ...]:
    """The numbers that a layer's cost is taken to be a sum of.

    Where weights are decoded, the last three are how many there are, how many are not 0, and the
    multiply-accumulates of the blocks of four that are not all 0; of a table those count that
    the output takes.
    """
    channels = max((1, *layer.output.shape)[-1], 1)
    weights: tuple[int, ...] = layer.macs // channels, layer.output.size // channels
    if is_coded(layer):
        live = round(layer.macs * _live_blocks(layer))
        table = layer.inputs[1].size
        taken = layer.output.size / table if layer.node.op == "embedding" else 1.0
        weights = round(taken * table), round(taken * _nonzero(layer)), live
    return (
        1,
        layer.macs,
        layer.output.size,
        sum(tensor.size for tensor in layer.inputs if not tensor.is_const),
        channels,
        *weights,
    )


def _fit(points: tuple[Point, ...], values: list[int]) -> Array:
    """Coefficients of at least 0 with the least squares of *relative* errors.

    By coordinate descent: each coefficient in turn takes its best value while the others rest.
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
            best = max(0.0, result[index] + float(rows[:, index] @ rest) / square)
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

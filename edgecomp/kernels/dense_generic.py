"""Dense layer in plain C: any shape, any core."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer, linear_constants
from edgecomp.kernels.events import in_order
from edgecomp.kernels.schedule import Reads, Schedule


def row_by_row(layer: Layer) -> Schedule:
    """Row, output; each reads its whole row."""
    out_channels, in_channels = layer.inputs[1].shape
    rows = math.prod(layer.inputs[0].shape[:-1])
    low = np.repeat(np.arange(rows, dtype=np.int64) * in_channels, out_channels)
    return in_order(Reads(low, low + in_channels - 1))


def dense_sizes(layer: Layer) -> dict[str, int]:
    """Rows, inputs and outputs, as the templates call them."""
    out_channels, in_channels = layer.inputs[1].shape
    rows = math.prod(layer.inputs[0].shape[:-1])
    return {"rows": rows, "in_channels": in_channels, "out_channels": out_channels}


class DenseGeneric(Kernel):
    """One output at a time, weights as OI."""

    name: ClassVar[str] = "dense_generic"
    op: ClassVar[str] = "dense"
    template: ClassVar[str] = "dense/generic.c.j2"

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Weights as OI."""
        return linear_constants(layer, layer.inputs[1].value, "OI")

    def schedule(self, layer: Layer) -> Schedule:
        """Row, output."""
        return row_by_row(layer)

    def context(self, layer: Layer) -> dict[str, Any]:
        """Rows, inputs and outputs."""
        return {
            **dense_sizes(layer),
            "has_shift": bool(np.any(layer.prepared.shift)),
            "k": layer.prepared,
        }

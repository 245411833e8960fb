"""The best elements of each row and their indices, in plain C."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.events import in_order
from edgecomp.kernels.int16_generic import Int16Kernel
from edgecomp.kernels.schedule import Reads, Schedule


class TopValuesGeneric(Kernel):
    """Walk along the row once for each element: the best of those behind the one before."""

    name: ClassVar[str] = "top_values_generic"
    op: ClassVar[str] = "top_values"
    template: ClassVar[str] = "top/generic.c.j2"

    def schedule(self, layer: Layer) -> Schedule:
        """Row by row; every element that is written comes from a walk along the whole row."""
        length = layer.inputs[0].shape[-1]
        first = np.arange(layer.output.size, dtype=np.int64) // layer.params.count * length
        return in_order(Reads(first, first + length - 1))

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """None."""
        return ()

    def context(self, layer: Layer) -> dict[str, Any]:
        """Rows, their length, and what no code is better or worse than."""
        params = layer.params
        low, high = layer.inputs[0].dtype.limits
        length = layer.inputs[0].shape[-1]
        return {
            "rows": layer.inputs[0].size // length,
            "length": length,
            "count": params.count,
            "code_type": self.code_type,
            "better": ">" if params.largest else "<",
            "worse": "<" if params.largest else ">",
            "best": high + 1 if params.largest else low - 1,
            "worst": low - 1 if params.largest else high + 1,
            "k": layer.prepared,
        }


class TopIndicesGeneric(TopValuesGeneric):
    """Walk along the row once for each index: of the best of those behind the one before."""

    name: ClassVar[str] = "top_indices_generic"
    op: ClassVar[str] = "top_indices"


class TopValuesInt16(Int16Kernel, TopValuesGeneric):
    """The best int16 codes, found as those of int8."""

    name: ClassVar[str] = "top_values_int16"


class TopIndicesInt16(Int16Kernel, TopIndicesGeneric):
    """Indices of the best int16 codes."""

    name: ClassVar[str] = "top_indices_int16"

"""Where a module gets constrained weights from: masked ones, and ones that share values."""

from typing import TYPE_CHECKING, Any

import numpy as np

from edgecomp.compress.train.graph_module import import_torch, weight_tensors
from edgecomp.ir import Array, Graph

if TYPE_CHECKING:
    from torch import Tensor, nn


def masked(value: Array, mask: Array) -> Any:
    """Make a module that yields `weight * mask`; both can be set later."""
    torch = import_torch()

    class Masked(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(value, dtype=torch.float32))
            self.register_buffer("mask", torch.tensor(mask, dtype=torch.float32))

        def forward(self) -> "Tensor":
            product: Tensor = self.weight * self.mask
            return product

    return Masked()


def shared(codebook: Array, indices: Array, scale: float) -> Any:
    """Make a module that yields `scale * round(codebook / scale)[indices]`.

    Entry 0 of the codebook stays 0 for ever: pruned weights.  Gradients pass the rounding as if it
    were not there (straight-through).

    Args:
        codebook: real values `(entries,)`.
        indices: entry of each weight, of the weights' shape.
        scale: of the int8 grid.
    """
    torch = import_torch()

    class Shared(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.values = torch.nn.Parameter(torch.tensor(codebook[1:], dtype=torch.float32))
            self.register_buffer("indices", torch.tensor(indices.astype(np.int64)))

        def forward(self) -> "Tensor":
            codes = (self.values / scale).round().clamp(-127, 127) * scale
            exact = self.values + (codes - self.values).detach()
            entries: Tensor = torch.cat([exact.new_zeros(1), exact])
            return entries[self.indices]

    return Shared()


def keeping_zeros(graph: Graph) -> "dict[str, nn.Module]":
    """Sources that keep at 0 what has been pruned: for the weights that have any zeros."""
    return {
        name: masked(value, value != 0)
        for name in weight_tensors(graph)
        for value in [graph.tensors[name].value]
        if not value.all()
    }

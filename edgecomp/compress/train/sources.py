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


def shared(codebook: Array, indices: Array, scales: Array) -> Any:
    """Make a module that yields `scales * round(codebook)[indices]`.

    Entry 0 of the codebook stays 0 for ever: pruned weights.  Gradients pass the rounding as if it
    were not there (straight-through).

    Args:
        codebook: codes `(entries,)`.
        indices: entry of each weight, of the weights' shape.
        scales: of the integer grid; broadcast over the weights.
    """
    torch = import_torch()
    # Entries are trained in the weights' own size, for which learning rates are meant.
    unit = float(np.mean(scales))

    class Shared(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.values = torch.nn.Parameter(torch.tensor(unit * codebook[1:], dtype=torch.float32))
            self.register_buffer("indices", torch.tensor(indices.astype(np.int64)))
            self.register_buffer("scales", torch.tensor(scales, dtype=torch.float32))

        def forward(self) -> "Tensor":
            units = self.values / unit
            codes = units + (units.round().clamp(-limit, limit) - units).detach()
            entries = torch.cat([codes.new_zeros(1), codes])
            weights: Tensor = entries[self.indices] * self.scales
            return weights

    limit = 7 if np.abs(codebook).max(initial=0) <= 7 else 127
    return Shared()


def keeping_zeros(graph: Graph) -> "dict[str, nn.Module]":
    """Sources that keep at 0 what has been pruned: for the weights that have any zeros."""
    return {
        name: masked(value, value != 0)
        for name in weight_tensors(graph)
        for value in [graph.tensors[name].value]
        if not value.all()
    }

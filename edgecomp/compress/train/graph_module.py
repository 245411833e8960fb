"""A float graph as a torch module, and its weights back as a graph.

Any model that can be read can so be trained: an ONNX file needs no Python code of its user.
BatchNorm is folded into the layers by then.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecomp.compress.train.torch_ops import TORCH_OPS
from edgecomp.errors import UserError
from edgecomp.ir import Array, DType, Graph

if TYPE_CHECKING:
    from torch import Tensor, nn


def import_torch() -> Any:
    """Import torch.

    Raises:
        UserError: it is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise UserError(
            "training needs PyTorch, which is not installed: pip install 'edgecomp[torch]'"
        ) from error
    return torch


def trainable_tensors(graph: Graph) -> tuple[str, ...]:
    """Names of the constants that training changes: every float constant that a layer reads."""
    used = dict.fromkeys(name for node in graph.nodes for name in node.inputs)
    floats = {DType.FLOAT32, DType.FLOAT64}
    return tuple(
        name
        for name in used
        if graph.tensors[name].is_const and graph.tensors[name].dtype in floats
    )


def weight_tensors(graph: Graph) -> dict[str, str]:
    """Weights of convolutions and dense layers: the tensor's name, and its (first) layer's."""
    found: dict[str, str] = {}
    for node in graph.nodes:
        if node.op in {"conv2d", "dense"}:
            found.setdefault(node.inputs[1], node.name)
    return found


def as_module(graph: Graph, sources: "Mapping[str, nn.Module] | None" = None) -> "nn.Module":
    """Make a module that computes `graph`, as `run_float` does.

    It is called with one tensor `(samples, *shape)` per graph input and returns a dict: the output
    tensors by name, or those in `names=`.  `module.sources` has one module per trainable constant
    (in the order of `trainable_tensors`); called, it yields the constant.

    Args:
        graph: a float graph.
        sources: where constants come from, for those that are not plain parameters: a module whose
            `forward()` gives a tensor of the constant's shape (a masked or a shared weight).

    Raises:
        UserError: torch is missing, or the graph is quantized.
    """
    torch = import_torch()
    if any(t.dtype not in {DType.FLOAT32, DType.FLOAT64} for t in graph.tensors.values()):
        raise UserError(f"{graph.name} is quantized; train the float model")
    names = trainable_tensors(graph)

    class Plain(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, value: Array) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(value, dtype=torch.float32))

        def forward(self) -> "Tensor":
            weight: Tensor = self.weight
            return weight

    class GraphModule(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            given = dict(sources or {})
            self.sources = torch.nn.ModuleList(
                given.get(name) or Plain(graph.tensors[name].value) for name in names
            )

        def forward(self, *inputs: "Tensor", names: Iterable[str] = ()) -> "dict[str, Tensor]":
            values = dict(zip(graph.inputs, inputs, strict=True))
            values |= {name: source() for name, source in zip(constants, self.sources, strict=True)}
            for node in graph.nodes:
                arrays = [values[name] for name in node.inputs]
                values[node.output] = TORCH_OPS[node.op](graph, node, arrays)
            return {name: values[name] for name in tuple(names) or graph.outputs}

    constants = names
    return GraphModule()


def constants_of(graph: Graph, module: "nn.Module") -> dict[str, Array]:
    """The values that the trainable constants of `graph` have in its module, float32."""
    torch = import_torch()
    made: Any = module
    with torch.no_grad():
        return {
            name: source().detach().numpy().astype(np.float32)
            for name, source in zip(trainable_tensors(graph), made.sources, strict=True)
        }


def with_constants(graph: Graph, values: Mapping[str, Array]) -> Graph:
    """Return the graph with other constants.

    A changed constant loses the quantization parameters that a file gave it: they no longer fit.
    """
    tensors = dict(graph.tensors)
    for name, value in values.items():
        old = tensors[name]
        if np.array_equal(old.value, value):
            continue
        tensors[name] = old.with_data(
            np.ascontiguousarray(value, np.float32), dtype=DType.FLOAT32, qparams=None
        )
    return graph.replace(tensors=tensors)


def trained(graph: Graph, module: "nn.Module") -> Graph:
    """Return the graph with the weights that `module`, made of it, has now."""
    return with_constants(graph, constants_of(graph, module))

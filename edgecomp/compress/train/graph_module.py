"""A float graph as a torch module, and its weights back as a graph.

Any model that can be read can so be trained: an ONNX file needs no Python code of its user.
BatchNorm is folded into the layers by then.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecomp.compress.train.torch_ops import TORCH_OPS, clamped
from edgecomp.errors import UserError
from edgecomp.ir import NO_CLAMP, Array, DType, Graph, Node
from edgecomp.ir.weights import LINEAR, weights_of

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
    """Weights of all layers that have any: the tensor's name, and its (first) layer's."""
    found: dict[str, str] = {}
    for node in graph.nodes:
        for name in weights_of(graph, node):
            found.setdefault(name, node.name)
    return found


def linear_weights(graph: Graph) -> dict[str, str]:
    """Those of convolutions and dense layers."""
    linear = {node.name for node in graph.nodes if node.op in LINEAR}
    return {name: layer for name, layer in weight_tensors(graph).items() if layer in linear}


def as_module(
    graph: Graph,
    sources: "Mapping[str, nn.Module] | None" = None,
    *,
    after: "Mapping[str, nn.Module] | None" = None,
    batch_norm: bool = False,
) -> "nn.Module":
    """Make a module that computes `graph`, as `run_float` does.

    It is called with one tensor `(samples, *shape)` per graph input and returns a dict: the output
    tensors by name, or those in `names=`.  `module.sources` has one module per trainable constant
    (in the order of `trainable_tensors`); called, it yields the constant.

    Args:
        graph: a float graph.
        sources: where constants come from, for those that are not plain parameters: a module whose
            `forward()` gives a tensor of the constant's shape (a masked or a shared weight).
        after: what becomes of activations, by tensor: a module that is given the tensor as the
            graph has it.
        batch_norm: normalize the outputs of `normalizable` layers, so that a network can be trained
            from the beginning; `constants_of` folds it away again.

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
            self.after = torch.nn.ModuleList(hooks.values())
            self.norms = torch.nn.ModuleList(
                torch.nn.BatchNorm1d(graph.tensors[name].shape[-1]) for name in normalized
            )

        def forward(self, *inputs: "Tensor", names: Iterable[str] = ()) -> "dict[str, Tensor]":
            values = {
                name: hooks[name](x) if name in hooks else x
                for name, x in zip(graph.inputs, inputs, strict=True)
            }
            values |= {name: source() for name, source in zip(constants, self.sources, strict=True)}
            norms = dict(zip(normalized, self.norms, strict=True))
            for node in graph.nodes:
                arrays = [values[name] for name in node.inputs]
                if node.output in norms:
                    y = _normalized(graph, node, arrays, norms[node.output])
                else:
                    y = TORCH_OPS[node.op](graph, node, arrays)
                values[node.output] = hooks[node.output](y) if node.output in hooks else y
            return {name: values[name] for name in tuple(names) or graph.outputs}

    constants = names
    hooks = dict(after or {})
    normalized = {node.output: node for node in normalizable(graph)} if batch_norm else {}
    return GraphModule()


def normalizable(graph: Graph) -> list[Node]:
    """Layers whose outputs may be normalized: all with constants of their own but the last."""
    readers = graph.consumers()
    last = {graph.outputs[0]} | {
        node.inputs[0] for node in graph.nodes if node.output == graph.outputs[0]
    }
    return [
        node
        for node in graph.nodes
        if node.op in LINEAR
        and len(node.inputs) == 3
        and node.output not in last
        and all(len(readers[name]) == 1 for name in node.inputs[1:])
    ]


def _normalized(graph: Graph, node: Node, arrays: "list[Tensor]", norm: Any) -> "Tensor":
    """A layer's outputs, normalized before its activation."""
    params: Any = node.params
    plain = replace(node, params=replace(params, clamp=NO_CLAMP))
    raw = TORCH_OPS[node.op](graph, plain, arrays)
    y: Tensor = norm(raw.reshape(-1, raw.shape[-1])).reshape(raw.shape)
    return clamped(params.clamp, y)


def constants_of(graph: Graph, module: "nn.Module") -> dict[str, Array]:
    """The values that the trainable constants of `graph` have in its module, float32."""
    torch = import_torch()
    made: Any = module
    with torch.no_grad():
        values = {
            name: source().detach().numpy().astype(np.float32)
            for name, source in zip(trainable_tensors(graph), made.sources, strict=True)
        }
        for norm, node in zip(made.norms, normalizable(graph) if made.norms else (), strict=True):
            factor = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).numpy()
            weights, bias = node.inputs[1:]
            shaped = factor.reshape(-1, *(1,) * (values[weights].ndim - 1))
            values[weights] = values[weights] * shaped
            values[bias] = (values[bias] - norm.running_mean.numpy()) * factor + norm.bias.numpy()
    return values


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

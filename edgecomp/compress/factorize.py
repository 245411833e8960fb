"""Low-rank layers: one layer becomes two or three that are smaller together.

Dense and 1x1 layers by singular values; KxK convolutions by Tucker-2 (1x1, KxK, 1x1) or as a
separable pair (Kx1, 1xK).  Ranks come from one budget of MACs for all layers, or from the energy
that each keeps.  Sources: M. Jaderberg et al., "Speeding up convolutional neural networks with low
rank expansions" (2014); Y.-D. Kim et al., "Compression of deep convolutional neural networks for
fast and low power mobile applications" (2016).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgecomp.compress.low_rank import Factors, dense_factors, separable_factors, tucker_factors
from edgecomp.compress.prune_channels import total_macs
from edgecomp.compress.retrain import train_step
from edgecomp.compress.technique import Outcome, Workshop, chosen_weights
from edgecomp.compress.train.graph_module import linear_weights
from edgecomp.config import Factorize
from edgecomp.errors import UserError
from edgecomp.ir import NO_CLAMP, Graph, Node, Tensor
from edgecomp.ir.weights import LINEAR
from edgecomp.ops import OPS
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.passes.channel_classes import is_mixing

ROUNDS = 60


@dataclass(frozen=True)
class Option:
    """One way to compute a layer.

    Attributes:
        macs: of all its parts.
        error: share of the weights' squares that is lost.
        nodes: the parts; the layer itself where it stays.
        tensors: their constants and what lies between them.
        text: for people.
    """

    macs: int
    error: float
    nodes: tuple[Node, ...]
    tensors: tuple[Tensor, ...]
    text: str


def factorize_step(graph: Graph, step: Factorize, workshop: Workshop) -> Outcome:
    """Factorize the chosen layers and fine-tune the result.

    Raises:
        UserError: no chosen layer can be factorized, or the budget cannot be met.
    """
    chosen = set(chosen_weights(graph, step, linear_weights(graph)))
    options = {
        node.name: _options(graph, node, step.method)
        for node in graph.nodes
        if node.op in LINEAR and node.inputs[1] in chosen and is_mixing(graph, node)
    }
    options = {name: found for name, found in options.items() if len(found) > 1}
    if not options:
        raise UserError(
            f"factorize: no chosen layer ({', '.join(step.layers)}) can be made of smaller ones by "
            f"{step.method}; depthwise layers cannot, and 1x1 layers only by svd"
        )
    if step.energy is not None:
        taken = {name: _by_energy(found, step.energy) for name, found in options.items()}
    else:
        taken = _by_budget(options, step, _chosen_macs(graph, chosen))
    smaller = replaced(graph, taken)
    outcome = train_step(smaller, step, workshop)
    parts = [f"{name} {option.text}" for name, option in taken.items() if len(option.nodes) > 1]
    share = 100 * total_macs(smaller) / total_macs(graph)
    note = f"{share:.1f} % of the MACs left: {', '.join(parts) or 'nothing was worth it'}"
    return replace(outcome, note=note)


def replaced(graph: Graph, taken: dict[str, Option]) -> Graph:
    """The graph with layers computed as the options say."""
    tensors = dict(graph.tensors)
    nodes: list[Node] = []
    for node in graph.nodes:
        option = taken.get(node.name)
        nodes += [node] if option is None else option.nodes
        for tensor in option.tensors if option else ():
            tensors[tensor.name] = tensor
    return graph.with_nodes(nodes, tensors)


def _by_energy(options: Sequence[Option], energy: float) -> Option:
    """The fewest MACs that keep enough of the weights' squares."""
    return min(
        (option for option in options if option.error <= 1 - energy + 1e-9),
        key=lambda option: option.macs,
    )


def _chosen_macs(graph: Graph, chosen: Collection[str]) -> int:
    """MACs of all layers whose weights are chosen."""
    linear = [node for node in graph.nodes if node.op in LINEAR]
    return sum(_macs(graph, node, {}) for node in linear if node.inputs[1] in chosen)


def _by_budget(
    options: Mapping[str, Sequence[Option]], step: Factorize, whole: int
) -> dict[str, Option]:
    """The least error of all layers together for a share of the MACs of the chosen layers.

    Args:
        options: of each layer that the method can make smaller, itself first.
        step: the share, and what there is to say where it cannot be met.
        whole: MACs of all chosen layers.
    """
    share = step.macs or 0.0
    others = whole - sum(found[0].macs for found in options.values())

    def at(price: float) -> dict[str, Option]:
        return {
            name: min(found, key=lambda option: option.error + price * option.macs / whole)
            for name, found in options.items()
        }

    def macs(taken: dict[str, Option]) -> int:
        return others + sum(option.macs for option in taken.values())

    low, high = 0.0, 1e6
    least = macs(at(high))
    if least > share * whole:
        raise UserError(
            f"factorize: {share:g} of the MACs cannot be reached; with every rank 1 it is "
            f"{least / whole:.3f}{_remedy(others / whole, step.method)}"
        )
    for _ in range(ROUNDS):
        price = (low + high) / 2
        low, high = (low, price) if macs(at(price)) <= share * whole else (price, high)
    return at(high)


def _remedy(share: float, method: str) -> str:
    """What to do where too many MACs stay: `share` of them is in layers that stay as they are."""
    if not share:
        return "; take a larger share"
    what = f" by {method}" if method != "auto" else ""
    remedy = f"; take a larger share{', method: auto,' if what else ''} or choose other layers"
    return f", as {share:.3f} is in chosen layers that cannot be made smaller{what}{remedy}"


def _options(graph: Graph, node: Node, method: str) -> list[Option]:
    """Every way to compute a layer, itself first."""
    params: Any = node.params
    weights = graph.tensors[node.inputs[1]].value.astype(np.float64)
    found = [Option(_macs(graph, node, {}), 0.0, (node,), (), "whole")]
    pointwise = node.op == "dense" or (params.kernel_h, params.kernel_w) == (1, 1)
    makers: list[Any] = []
    if pointwise and method in {"auto", "svd"}:
        makers.append(dense_factors)
    if not pointwise and method in {"auto", "tucker"}:
        makers.append(tucker_factors)
    if not pointwise and min(params.kernel_h, params.kernel_w) > 1:
        makers += [separable_factors] if method in {"auto", "separable"} else []
    for maker in makers:
        for factors in maker(weights):
            option = _option(graph, node, factors)
            if option.macs < found[0].macs:
                found.append(option)
    return found


def _option(graph: Graph, node: Node, factors: Factors) -> Option:
    """Build the layers of a factorization."""
    params: Any = node.params
    nodes: list[Node] = []
    tensors: dict[str, Tensor] = {}
    source = node.inputs[0]
    count = len(factors.weights)
    for index, weights in enumerate(factors.weights):
        last = index == count - 1
        name = node.name if last else f"{node.name}.{index}"
        constant = f"{node.inputs[1]}.{index}"
        tensors[constant] = replace(
            graph.tensors[node.inputs[1]].with_data(np.ascontiguousarray(weights, np.float32)),
            name=constant,
            qparams=None,
        )
        inputs = (source, constant, *(node.inputs[2:] if last else ()))
        part: Any = replace(params, clamp=params.clamp if last else NO_CLAMP)
        if isinstance(part, Conv2dParams):
            part = _window(part, factors.kind, index, count, weights.shape[1:3])
        output = node.output if last else f"{node.output}.{index}"
        made = Node(name, node.op, inputs, output, part, node.numerics)
        if not last:
            known = {**graph.tensors, **tensors}
            shape = OPS[node.op].infer(part, [known[n] for n in inputs])
            tensors[output] = replace(
                graph.tensors[node.output], name=output, shape=shape, qparams=None
            )
        nodes.append(made)
        source = output
    macs = sum(_macs(graph, made, tensors) for made in nodes)
    return Option(macs, factors.error, tuple(nodes), tuple(tensors.values()), factors.text)


def _window(
    params: Conv2dParams, kind: str, index: int, count: int, kernel: tuple[int, ...]
) -> Conv2dParams:
    """The part of the window that one of the layers has: its stride and its padding."""
    height, width = kernel
    plain = Conv2dParams(height, width, clamp=params.clamp)
    down: dict[str, Any] = {
        "stride_h": params.stride_h,
        "dilation_h": params.dilation_h,
        "pad_top": params.pad_top,
        "pad_bottom": params.pad_bottom,
    }
    right: dict[str, Any] = {
        "stride_w": params.stride_w,
        "dilation_w": params.dilation_w,
        "pad_left": params.pad_left,
        "pad_right": params.pad_right,
    }
    if kind == "separable":
        return replace(plain, **(down if index == 0 else right))
    whole = index == (0 if kind == "svd" else 1)
    return replace(plain, **down, **right) if whole else plain


def _macs(graph: Graph, node: Node, tensors: dict[str, Tensor]) -> int:
    known = {**graph.tensors, **tensors}
    return OPS[node.op].macs(node.params, [known[name] for name in node.inputs], known[node.output])

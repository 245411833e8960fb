"""What no network for a microcontroller needs, refused before time or memory is spent on it.

A file of a few hundred bytes can ask for terabytes.  The limits lie far above what any board can
hold or compute, and low enough for a host to look at everything below them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import onnx

from edgecomp.errors import UserError
from edgecomp.ir import Node, Shape, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.spatial import Window

LARGEST_ACTIVATION = 2**22
"""Elements of one activation: four megabytes of codes."""
LARGEST_CONSTANT = 2**24
"""Elements of one constant."""
LARGEST_NETWORK = 2**25
"""Elements of all activations together, and of all constants."""
MOST_WORK = 2**34
"""Products, and elements looked at by windows: minutes of the fastest core."""
MOST_LAYERS = 2000
"""Layers of a file, those in its functions counted each time they are called."""
LARGEST_NUMBER = 1e12
"""Of the constants, and of what the codes of a quantized file stand for."""
SMALLEST_SCALE = 1e-20
"""Of the codes of a quantized file."""
MOST_INPUTS = 256
"""Tensors that one layer reads."""
DEEPEST_CALL = 100
"""Functions of a file that may be on their way at once."""


def check_size(name: str, shape: Shape, limit: int = LARGEST_ACTIVATION) -> None:
    """Refuse a tensor that is empty or has more than `limit` elements.

    Raises:
        UserError: naming the tensor and its shape.
    """
    if not 0 < math.prod(shape) <= limit:
        raise UserError(
            f"tensor {name!r} would have the shape {'x'.join(map(str, shape)) or '()'}; "
            f"1 to {limit:,} elements are possible"
        )


def check_network(nodes: Sequence[Node], tensors: Mapping[str, Tensor]) -> None:
    """Refuse a network that is too large as a whole.

    Raises:
        UserError: its activations, constants or layers are too many, or take too long.
    """
    for node in nodes:
        if len(node.inputs) > MOST_INPUTS:
            raise UserError(
                f"layer {node.name!r} reads {len(node.inputs)} tensors; at most {MOST_INPUTS} are "
                "possible"
            )
    for what, constant in (("activations", False), ("constants", True)):
        total = sum(t.size for t in tensors.values() if t.is_const is constant)
        if total > LARGEST_NETWORK:
            raise UserError(
                f"its {what} have {total:,} elements together; at most {LARGEST_NETWORK:,} are "
                "possible"
            )
    work = sum(_work(node, tensors) for node in nodes)
    if work > MOST_WORK:
        raise UserError(
            f"it takes {work:,} products; at most {MOST_WORK:,} are possible\n"
            "  use a smaller network, or a smaller input"
        )


def _work(node: Node, tensors: Mapping[str, Tensor]) -> int:
    """Products of a layer, or elements that its windows look at."""
    inputs, output = [tensors[name] for name in node.inputs], tensors[node.output]
    window = node.params
    seen = window.kernel_h * window.kernel_w * output.size if isinstance(window, Window) else 0
    return max(seen, OPS[node.op].macs(node.params, inputs, output))


def check_layer_count(count: int) -> None:
    """Refuse files with more layers than anybody draws.

    Raises:
        UserError: there are more than `MOST_LAYERS`.
    """
    if count > MOST_LAYERS:
        raise UserError(f"it has {count:,} layers; at most {MOST_LAYERS:,} are possible")


def check_functions(model: onnx.ModelProto) -> None:
    """Refuse functions that call themselves, or that become too many layers when inlined.

    Raises:
        UserError: naming the function, or the number of layers.
    """
    functions = {(f.domain, f.name): f for f in model.functions}
    calls: list[tuple[str, str]] = []

    @cache
    def layers(key: tuple[str, str]) -> int:
        if key in calls:
            raise UserError(f"the function {key[1]!r} calls itself; unroll it before export")
        if len(calls) > DEEPEST_CALL:
            raise UserError(f"functions call each other more than {DEEPEST_CALL} levels deep")
        calls.append(key)
        count = total(functions[key].node)
        calls.pop()
        return count

    def total(nodes: Iterable[onnx.NodeProto]) -> int:
        keys = [(node.domain, node.op_type) for node in nodes]
        return sum(layers(key) if key in functions else 1 for key in keys)

    check_layer_count(total(model.graph.node))

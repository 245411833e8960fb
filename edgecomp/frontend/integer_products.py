"""ConvInteger and MatMulInteger: products of codes that a factor brings back to real numbers.

In the file they stand in a chain, `ConvInteger -> Cast -> Mul by a constant`; where the codes came
from a quantizer with constant scale, the chain is one float layer of dequantized operands, and the
factor divided by the input's scale is the scale of the weights.
Source: ONNX operators ConvInteger and MatMulInteger, as onnxruntime's tools place them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import onnx

from edgecomp.frontend.names import STANDARD_DOMAINS

FLOAT_OPERATORS = {"ConvInteger": ("Conv", 0), "MatMulInteger": ("MatMul", 1)}
"""The float operator, and the axis of its weights that may have a scale per index."""


@dataclass(frozen=True)
class Chain:
    """A product of codes and what follows it.

    Attributes:
        product: the ConvInteger or MatMulInteger.
        cast: turns its int32 sums into real numbers.
        mul: scales them.
        factor: the other operand of `mul`.
    """

    product: onnx.NodeProto
    cast: onnx.NodeProto
    mul: onnx.NodeProto
    factor: str


def find_chains(
    nodes: Iterable[onnx.NodeProto], constants: Iterable[str], outputs: Iterable[str]
) -> list[Chain]:
    """Find the products of which nothing else is read than what the factor made of them.

    Args:
        nodes: the graph's nodes in execution order.
        constants: names of initializers; what is computed from them alone is constant as well.
        outputs: names of the graph's outputs.
    """
    known = set(constants)
    readers: dict[str, list[onnx.NodeProto]] = {}
    products = []
    for node in nodes:
        if node.input and all(name in known for name in node.input if name):
            known.update(node.output)
        if node.op_type in FLOAT_OPERATORS and node.domain in STANDARD_DOMAINS:
            products.append(node)
        for name in dict.fromkeys(node.input):
            readers.setdefault(name, []).append(node)
    shown = set(outputs)

    def only_reader(node: onnx.NodeProto, op_type: str) -> onnx.NodeProto | None:
        read_by = readers.get(node.output[0], [])
        alone = len(read_by) == 1 and node.output[0] not in shown
        return read_by[0] if alone and read_by[0].op_type == op_type else None

    chains = []
    for product in products:
        cast = only_reader(product, "Cast")
        mul = only_reader(cast, "Mul") if cast is not None else None
        if cast is None or mul is None or product.input[1] not in known:
            continue
        (factor,) = [name for name in mul.input if name != cast.output[0]] or [""]
        if factor in known:
            chains.append(Chain(product, cast, mul, factor))
    return chains


def by_output(chains: Iterable[Chain]) -> Mapping[str, Chain]:
    """The chain of which a tensor is a link, by the name of the tensor."""
    return {
        link.output[0]: chain for chain in chains for link in (chain.product, chain.cast, chain.mul)
    }

"""Operators on codes become float operators between quantizers, which the reader understands.

ONNX has two forms of a quantized network.  In the QOperator form a layer reads codes and writes
codes, scales and zero points being further inputs; here each such layer is taken apart into
DequantizeLinear, the float layer and QuantizeLinear (the QDQ form), with the scales untouched.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgecomp.frontend.integer_products import FLOAT_OPERATORS, Chain, by_output, find_chains
from edgecomp.frontend.names import STANDARD_DOMAINS, qualified
from edgecomp.frontend.qoperator_forms import FORMS, Form, has_input, integer_of

MICROSOFT = "com.microsoft"
FIRST_OPSET_WITH_AXIS = 13
"""Before it only the quantizers of onnxruntime know scales per channel."""

_MOVING = frozenset(
    {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "MaxPool", "Identity", "Slice"}
)
"""Standard operators after which codes mean what they meant before, whatever the scale."""
_EQUIVARIANT = frozenset({"Pad", "Resize", "ReduceMax", "ReduceMin"})
"""Standard operators that onnxruntime applies to codes, and that the reader knows on reals."""
_SOFTMAX_OF_ONE_AXIS = 13
"""Operator set since which Softmax runs along one axis only."""


_OWN_ATTRIBUTES = frozenset({"channels_last", "opset"})
"""Attributes that the float operator does not have."""


def to_qdq(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Take every layer on codes apart.

    Args:
        model: any model that keeps the rules of ONNX.
        opset: version of its standard operators.

    Returns:
        The model itself where it has no such layer, else a copy.  Layers in a form that has no
        float equivalent here (channels last, a float result) are left as they are, for the reader
        to refuse.
    """
    if not any(qualified(n) in FORMS or n.op_type in FLOAT_OPERATORS for n in model.graph.node):
        return model
    result = onnx.ModelProto()
    result.CopyFrom(model)
    rewriter = _Rewriter(result, opset)
    nodes = [made for node in model.graph.node for made in rewriter.rewritten(node)]
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    if MICROSOFT not in {o.domain for o in result.opset_import}:
        result.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    return result


class _Rewriter:
    """Rewrites nodes one by one, and remembers what the codes of each tensor mean."""

    def __init__(self, model: onnx.ModelProto, opset: int) -> None:
        self._opset = opset
        self._domain = "" if opset >= FIRST_OPSET_WITH_AXIS else MICROSOFT
        self._scales: dict[str, tuple[str, str]] = {}
        self._taken = {t.name for t in model.graph.initializer}
        self._taken |= {v.name for v in (*model.graph.input, *model.graph.output)}
        self._taken |= {name for node in model.graph.node for name in node.output}
        self._chains = by_output(
            find_chains(
                model.graph.node,
                [t.name for t in model.graph.initializer],
                [v.name for v in model.graph.output],
            )
        )

    def rewritten(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The nodes that stand for `node`."""
        standard = node.domain in STANDARD_DOMAINS
        chain = self._chains.get(node.output[0]) if node.output else None
        if chain is not None and self._has_scale(chain):
            return self._product(chain) if node == chain.mul else []
        if node.op_type == "QuantizeLinear" and len(node.input) > 2 and node.output:
            self._scales[node.output[0]] = (node.input[1], node.input[2])
        elif standard and node.op_type in _MOVING and node.input[0] in self._scales:
            self._scales.update(dict.fromkeys(node.output, self._scales[node.input[0]]))
        elif standard and node.op_type in _EQUIVARIANT and node.input[0] in self._scales:
            return self._between_quantizers(node)
        form = FORMS.get(qualified(node))
        if form is None or not self._fits(node, form(node)):
            return [node]
        return self._apart(node, form(node))

    def _has_scale(self, chain: Chain) -> bool:
        """Whether the product's input was quantized with the zero point that it takes off."""
        scale = self._scales.get(chain.product.input[0])
        zero_point = chain.product.input[2] if has_input(chain.product, 2) else ""
        return scale is not None and scale[1] == zero_point

    def _product(self, chain: Chain) -> list[onnx.NodeProto]:
        """Stand for a product of codes and its factor by a float layer."""
        node, y = chain.product, chain.mul.output[0]
        op, axis = FLOAT_OPERATORS[node.op_type]
        scale, zero_point = self._scales[node.input[0]]
        names = [self._take(f"{y}.{part}") for part in ("line", "ratio", "weight_scale")]
        made = [
            helper.make_node(
                "Constant", [], names[:1], value=numpy_helper.from_array(np.array([-1]))
            ),
            helper.make_node("Div", [chain.factor, scale], names[1:2]),
            helper.make_node("Reshape", [names[1], names[0]], names[2:]),
        ]
        weights = [node.input[1], names[2], *node.input[3:4]]
        inputs = [
            self._dequantized(made, chain.mul, [node.input[0], scale, zero_point], 1),
            self._dequantized(made, chain.mul, weights, axis),
        ]
        layer = helper.make_node(op, inputs, [y], node.name)
        layer.attribute.extend(node.attribute)
        return [*made, layer]

    def _fits(self, node: onnx.NodeProto, form: Form) -> bool:
        """Whether the float operator means the same."""
        places = [form.scale, *(place for o in form.operands for place in (o.codes, o.scale))]
        complete = node.output and all(has_input(node, i) for i in places if i >= 0)
        if not complete or integer_of(node, "channels_last", 0):
            return False
        if form.op != "Softmax":
            return True
        written_for = integer_of(node, "opset", self._opset)
        return (written_for >= _SOFTMAX_OF_ONE_AXIS) == (self._opset >= _SOFTMAX_OF_ONE_AXIS)

    def _apart(self, node: onnx.NodeProto, form: Form) -> list[onnx.NodeProto]:
        """Dequantize the operands, compute, quantize the result."""
        made: list[onnx.NodeProto] = []
        inputs = []
        for operand in form.operands:
            places = (operand.codes, operand.scale, operand.zero_point)
            names = [node.input[i] for i in places if has_input(node, i)]
            coded = operand.scale >= 0
            inputs.append(self._dequantized(made, node, names, operand.axis) if coded else names[0])
        if has_input(node, form.bias):
            inputs.append(self._bias(made, node, form))
        attributes = [a for a in node.attribute if a.name not in _OWN_ATTRIBUTES]
        if form.op == "ReduceMean" and self._opset >= 18:
            inputs += self._axes(made, attributes)
        self._finish(made, node, form.op, inputs, attributes, node.input[form.scale :][:2])
        return made

    def _between_quantizers(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Let an operator that the file applies to codes see real numbers."""
        made: list[onnx.NodeProto] = []
        scale = self._scales[node.input[0]]
        inputs = [self._dequantized(made, node, [node.input[0], *scale], 1), *node.input[1:]]
        if node.op_type == "Pad" and len(inputs) > 2 and inputs[2]:
            inputs[2] = self._dequantized(made, node, [inputs[2], *scale], 1)
        self._finish(made, node, node.op_type, inputs, node.attribute, scale)
        return made

    def _finish(
        self,
        made: list[onnx.NodeProto],
        node: onnx.NodeProto,
        op: str,
        inputs: Sequence[str],
        attributes: Sequence[onnx.AttributeProto],
        scale: Sequence[str],
    ) -> None:
        """Add the float layer, which keeps the name, and the quantizer of its result."""
        real = self._take(f"{node.output[0]}.real")
        layer = helper.make_node(op, inputs, [real], node.name)
        layer.attribute.extend(attributes)
        quantize = helper.make_node(
            "QuantizeLinear", [real, *scale], node.output[:1], domain=self._domain
        )
        made += [layer, quantize]
        if len(scale) > 1:
            self._scales[node.output[0]] = (scale[0], scale[1])

    def _dequantized(
        self, made: list[onnx.NodeProto], node: onnx.NodeProto, names: Sequence[str], axis: int
    ) -> str:
        real = self._take(f"{node.output[0]}.{names[0]}")
        made.append(
            helper.make_node("DequantizeLinear", names, [real], domain=self._domain, axis=axis)
        )
        return real

    def _bias(self, made: list[onnx.NodeProto], node: onnx.NodeProto, form: Form) -> str:
        """Dequantize an int32 bias, whose scale is a product of constants."""
        factors = [node.input[operand.scale] for operand in form.operands]
        alpha = next((a.f for a in node.attribute if a.name == "alpha"), 1.0)
        if alpha != 1.0:
            factors.append(self._take(f"{node.output[0]}.alpha"))
            value = numpy_helper.from_array(np.array(alpha, np.float32))
            made.append(helper.make_node("Constant", [], factors[-1:], value=value))
        scale = factors[0]
        for factor in factors[1:]:
            product = self._take(f"{node.output[0]}.bias_scale")
            made.append(helper.make_node("Mul", [scale, factor], [product]))
            scale = product
        return self._dequantized(made, node, [node.input[form.bias], scale], 0)

    def _axes(self, made: list[onnx.NodeProto], attributes: list[onnx.AttributeProto]) -> list[str]:
        """Turn the attribute `axes` into the input that it is in newer operator sets."""
        for attribute in [a for a in attributes if a.name == "axes"]:
            attributes.remove(attribute)
            name = self._take("axes")
            made.append(helper.make_node("Constant", [], [name], value_ints=attribute.ints))
            return [name]
        return []

    def _take(self, name: str) -> str:
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

"""What PyTorch programs quantized by PT2E (torchao, torch.ao) need before they become ONNX.

Their graphs hold `quantized_decomposed` operators, which torch's exporter turns into QuantizeLinear
and DequantizeLinear with the very same scales.  Two things it does not do: the operators must be
registered before a program that has them is loaded, and it ignores ranges of codes that are
narrower than their type.
Source: `torch/ao/quantization/fx/_decomposed.py`.
"""

import contextlib
import importlib
from typing import Any

LIBRARY = "torch.ao.quantization.fx._decomposed"
"""The module that registers the operators as it is imported."""


def register_quantizers() -> None:
    """Make the operators of quantized programs known, where this torch has them."""
    with contextlib.suppress(ImportError):
        importlib.import_module(LIBRARY)


def clamp_narrow_ranges(torch: Any, program: Any) -> None:
    """Say by a clamp of real numbers that codes end before their type does.

    A quantizer of `uint8` codes from 0 to 127 saturates at 127; ONNX's only knows 255.

    Args:
        torch: the package.
        program: an exported program, changed in place.
    """
    for node in list(program.graph.nodes):
        if "quantized_decomposed.quantize_per_tensor.default" not in str(node.target):
            continue
        source, scale, zero_point, low, high, dtype = node.args
        limits = torch.iinfo(dtype)
        if low <= limits.min and high >= limits.max:
            continue
        with program.graph.inserting_before(node):
            if source.op == "placeholder":
                # An input is quantized as it arrives, when nothing can clamp it yet.
                source = _quantized(torch, program, node, limits)
            clamp = program.graph.call_function(
                torch.ops.aten.clamp.default,
                (source, scale * (low - zero_point), scale * (high - zero_point)),
            )
        clamp.meta = dict(source.meta)
        node.args = (clamp, *node.args[1:])
    program.graph_module.recompile()


def _quantized(torch: Any, program: Any, node: Any, limits: Any) -> Any:
    """Quantize a node's source as it does, but with all codes of the type, and dequantize it."""
    source = node.args[0]
    library = torch.ops.quantized_decomposed
    settings = (*node.args[1:3], limits.min, limits.max, node.args[5])
    codes = program.graph.call_function(library.quantize_per_tensor.default, (source, *settings))
    codes.meta = dict(node.meta)
    real = program.graph.call_function(library.dequantize_per_tensor.default, (codes, *settings))
    real.meta = dict(source.meta)
    return real

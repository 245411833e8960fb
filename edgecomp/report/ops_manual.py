"""The manual page of the operators, written from the operators themselves.

`python -m edgecomp.report.ops_manual docs/ops.md` writes it; a test fails where it is out of date.
"""

import inspect
import re
import sys
from pathlib import Path

from edgecomp.kernels import KERNELS
from edgecomp.ops import ONNX_IMPORTERS, OPS

_HEAD = """\
# Operators

<!-- written by `python -m edgecomp.report.ops_manual docs/ops.md`: do not edit -->

A layer that is not listed here, or that breaks a limit, is refused before anything is generated:
the message names the layer, the attribute and the limit, and suggests what to do. The exact integer
arithmetic of each operator is in [numerics.md](numerics.md).

QuantizeLinear and DequantizeLinear become scales of the tensors between them; Identity, Dropout and
Constant disappear; whatever depends on constants and shapes only is computed while the model is
read. Activations are real numbers whatever type the file gives them, and a truth value is 0 or 1:
Cast and CastLike from float to integers round towards zero, to BOOL compare with zero, to narrower
integers wrap around, and do nothing where the numbers stay the same. An output of the file that is
constant is left out of the network and told with its values, as long as another one is computed.

Operators that ONNX itself defines by others, and that are not listed here, are taken apart by that
definition: Attention (scaled_dot_product_attention of torch), FlexAttention, RotaryEmbedding,
SwiGLU, CausalConvWithState, CenterCropPad, NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss. The
layers that they become are named `layer/Operator/tensor`. One whose definition needs a loop or
random numbers is refused. Of an If whose condition is constant the branch that is taken is read.
"""

_IMPORT = re.compile(r"^Import (?:ONNX )?[A-Z]\w*(?: and [A-Z]\w*)?\s*[:,;]?\s*")


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").split("\n")[0]


def manual() -> str:
    """Return the page as Markdown."""
    lines = [_HEAD, "## What can be imported", "", "| ONNX | how |", "|---|---|"]
    for name in sorted(ONNX_IMPORTERS):
        importer = ONNX_IMPORTERS[name]
        by_closure = importer.__qualname__.split(".")[0]
        note = {
            "_simple": "a table of 256 codes",
            "import_binary": "two tensors with broadcasting; with a scalar constant a table",
        }.get(by_closure, _IMPORT.sub("", _first_line(importer)))
        lines.append(f"| {name} | {note.rstrip('.') or 'as ONNX defines it'} |")
    lines += ["", "## What is computed", ""]
    for op in OPS.values():
        lines += [f"### {op.name}", "", _first_line(type(op)), ""]
        limits = [" ".join((check.__doc__ or "").split()) for check in op.constraints()]
        lines += [f"- limit: {limit}" for limit in limits]
        if op.same_qparams:
            lines.append("- inputs and output share scale and zero point")
        kernels = [kernel for kernel in KERNELS.values() if kernel.op == op.name]
        lines += [f"- kernel `{kernel.name}`: {_first_line(type(kernel))}" for kernel in kernels]
        if not kernels:
            lines.append("- no code is generated for it")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(manual(), encoding="utf-8")

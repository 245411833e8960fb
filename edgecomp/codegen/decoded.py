"""The text of layers that a plain kernel computes on weights decoded as a whole."""

from edgecomp.codegen.env import render
from edgecomp.kernels import Layer
from edgecomp.kernels.decoded import Decoded


def with_decoder(label: str, layer: Layer, kernel: Decoded, text: str) -> tuple[str, str]:
    """Put the function that decodes in front of the plain kernel's.

    At boot it fills an array that has the name of the plain kernel's own.  Else the array lies in
    the scratch: it becomes a parameter of the plain function, and one more function decodes and
    calls that.

    Args:
        label: prefix of the layer's names.
        layer: the layer.
        kernel: its kernel.
        text: what the plain kernel's template makes of it.

    Returns:
        The text of all functions, and the name of the one that computes the layer.
    """
    values = kernel.decoding(layer)
    signature, function = signature_of(text)
    decoder = render("storage/decoded.c.j2", layer=label, **values)
    if kernel.at_boot:
        return f"{decoder}\n{text}", function
    array = kernel.packing(layer).constant
    parameter = f", const {array.c_type} *{label}_{array.name}"
    own = signature.replace("EC_STAGE ", "")[:-1] + f"{parameter})"
    caller = render(
        "storage/decoded_layer.c.j2",
        layer=label,
        plain=function,
        code_type=kernel.code_type,
        **values,
    )
    return f"{decoder}\n{text.replace(signature, own)}\n{caller}", f"{label}_decoded"


def signature_of(text: str) -> tuple[str, str]:
    """The line that begins a layer's own function, which comes last, and the function's name."""
    # What it shares with others may be a stage as well.
    line = [x for x in text.splitlines() if x.startswith("static EC_STAGE void")][-1]
    return line, line.split("(")[0].split()[-1]

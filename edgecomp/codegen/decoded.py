"""The text of layers that a plain kernel computes on weights decoded as a whole."""

import re

from edgecomp.codegen.env import render
from edgecomp.kernels import Layer
from edgecomp.kernels.decoded import Decoded

SCRATCH = "int8_t *scratch"
"""The parameter of a layer's function that needs scratch."""


def with_decoder(label: str, layer: Layer, kernel: Decoded, text: str) -> tuple[str, str]:
    """Put the function that decodes in front of the plain kernel's.

    At boot it fills an array that has the name of the plain kernel's own.  Else the array lies in
    the scratch: it becomes the last parameter of the plain function, and of one that this calls for
    each sequence; one more function decodes and calls the plain one.

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
    name = f"{label}_{array.name}"
    names = f"{function}|{label}_sequence"
    own = re.compile(rf"^static EC_STAGE (void ({names})\(.*)\)$", re.MULTILINE)
    text = own.sub(rf"static \g<1>, const {array.c_type} *{name})", text)
    text = re.sub(rf"^( +{label}_sequence\(.*)\);$", rf"\1, {name});", text, flags=re.MULTILINE)
    parameters = re.split(r"[()]", signature)[1].split(", ")
    caller = render(
        "storage/decoded_layer.c.j2",
        layer=label,
        plain=function,
        parameters=[*(p for p in parameters if p != SCRATCH), SCRATCH],
        arguments=[*(p.split("*")[-1] for p in parameters), "weights"],
        **values,
    )
    return f"{decoder}\n{text}\n{caller}", f"{label}_decoded"


def signature_of(text: str) -> tuple[str, str]:
    """The line that begins a layer's own function, which comes last, and the function's name."""
    # What it shares with others may be a stage as well.
    line = [x for x in text.splitlines() if x.startswith("static EC_STAGE void")][-1]
    return line, line.split("(")[0].split()[-1]

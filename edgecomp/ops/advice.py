"""What to do about a limit, where the place that refuses a layer has no better idea.

The limits of operators are docstrings; so what helps is found by their words, too.
"""

FOLD = "make it a constant: export with fixed values, or simplify the model (onnxsim)"
EXPORT_AGAIN = "its numbers contradict each other: export the model again"

_ADVICE = (
    ("batch must be 1", "export with batch 1; the firmware infers one input after the other"),
    ("state from call to call must have a batch", "export with batch 1"),
    ("int16 activations need a bias", "convert again with a newer converter"),
    ("activations are int16", "quantize activations to int8, or give float ONNX and build with "
     "--activations int16"),
    ("constants of", "quantize weights to int8"),
    ("activations cannot become", "leave the cast out: indices and truth are numbers here, and "
     "end the network in front of integer arithmetic"),
    ("activations of", "let only constants be integers: fix shapes and indices before export, or "
     "leave integer arithmetic to the application"),
    ("must have zero point 0", "quantize weights symmetrically"),
    ("one scale", "quantize again with one scale for the layer's input and output"),
    ("another scale than", "quantize again with one scale for both"),
    ("codes of another scale", "quantize again with one scale for both"),
    ("differs from that of", "give QuantizeLinear and DequantizeLinear the same constants"),
    ("scales per row", "quantize weights per tensor, with zero point 0"),
    ("quantized per channel is reshaped", "quantize these weights per tensor"),
    ("by blocks", "quantize weights per tensor or per output channel"),
    ("shuffled weights", "convert again for the reference kernels, without shuffling"),
    ("not a positive number", "quantize again: every scale is a positive number"),
    ("elements of type", "give the network float inputs; convert or look up before it"),
    ("further output", "use the first output only, and export in evaluation mode"),
    ("peepholes of a recurrent layer must be", FOLD),
    ("divisor has zeros", "divide by numbers that are not zero: add a small one before"),
    ("slope", "give one constant slope per channel, or use LeakyRelu"),
    ("gain and offset", "use constant gain and offset of one number per channel; multiply and add "
     "computed ones in layers of their own"),
    ("sums of at most", "cut the matrices into parts of the inner axis, and add the products"),
    ("rows have at most", "normalize along a shorter axis, or pool before"),
    ("at most 256 elements", "end the network before the layer, and find the index on the host"),
    ("elements taken", "take fewer elements, or end the network before and sort on the host"),
    ("taken from it", "take fewer elements"),
    ("at most two axes", "resize two axes at a time"),
    ("needed for every axis", "give scales or sizes of all axes, 1 for those that stay"),
    ("coordinates must lie", "resize without extrapolation"),
    ("coordinates", "use the coordinates half_pixel, asymmetric or align_corners"),
    ("padding value must be finite", "pad with a finite number: the layer's least value"),
    ("number of axes", "reshape the operands to the same number of axes"),
    ("must be computed", "fold what depends on constants only (onnxsim), or let a layer that adds "
     "0 to an input compute the constant"),
    ("every input must be computed", "add the constant to a part that is computed"),
    ("may keep", "export it without state"),
    ("keeps its value between", "export without variables; recurrent layers keep their own state"),
    ("fused activation", "use relu, relu6 or none, and put others into layers of their own"),
    ("activations ", "use sigmoid and tanh, the operator's own"),
    ("larger than its padded", "pad the input, or use a smaller kernel"),
    ("every window", "pad by less than the kernel"),
    ("at least one element", "pad by less than the kernel"),
    ("cannot be reflected", "use the mode edge along axes of one element"),
    ("the mode", "use the mode constant, edge, reflect or wrap"),
    ("ellipses and new axes", "slice every axis by numbers, and reshape in a layer of its own"),
    ("for each batch", "use the same indices for the whole batch"),
    ("channels in blocks", "use channels that are a multiple of the block's elements"),
    ("in blocks of", "use sizes that are multiples of the block's, or pad before"),
    ("channels in", "use channels that are a multiple of the groups"),
    ("an output of", "use a larger input, or smaller pads"),
    ("places of a split", "read it at constant places, or use Split"),
    ("are not constants", FOLD),
    ("must be constant", FOLD),
    ("must be a constant", FOLD),
    ("bounds must be", FOLD),
    ("could leave 32 bits", "train with weight decay, or clip the weights: they are huge"),
    ("can leave", "quantize again with calibration data of the real ranges"),
    ("scale", "quantize again with calibration data of the real ranges"),
    ("calibration:", "build with --data: the made-up samples do not suit this network"),
    ("at most", "use a smaller network, or a smaller input"),
    ("elements are possible", "use a smaller input, or fewer channels"),
)  # fmt: skip
"""Words of a limit in small letters, and what helps; the first that fits."""


def advice(limit: str) -> str:
    """What to do about a limit, never empty.

    >>> advice("The batch must be 1.")
    'export with batch 1; the firmware infers one input after the other'
    """
    text = limit.lower()
    return next((help_ for words, help_ in _ADVICE if words in text), EXPORT_AGAIN)

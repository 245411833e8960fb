"""A quantized graph as an int8 TFLite file, for TensorFlow Lite for Microcontrollers and others.

Inputs and outputs are int8 codes in the device's layout, which is TFLite's own (channels last);
scales, zero points, weights and biases are those of the firmware.
"""

from edgecomp.errors import InternalError, UnsupportedError
from edgecomp.export.tflite_builder import TfliteBuilder
from edgecomp.export.tflite_layers import LAYERS, Emitter
from edgecomp.export.tflite_lstm import emit_lstm
from edgecomp.export.tflite_moves import MOVES
from edgecomp.export.tflite_norm import emit_norm
from edgecomp.export.tflite_unary import emit_unary
from edgecomp.export.tflite_windows import WINDOWS
from edgecomp.ir import Graph, Node

SMALLEST_SCALE = 1e-20
EMITTERS: dict[str, Emitter] = {
    **LAYERS,
    **WINDOWS,
    **MOVES,
    "unary": emit_unary,
    "lstm": emit_lstm,
    "layer_norm": emit_norm,
}
"""By operator: what adds it to the file."""


def export_tflite(graph: Graph) -> bytes:
    """Write a quantized graph as TFLite.

    Args:
        graph: a quantized graph.

    Returns:
        The file; the same for the same graph.  Read back and written again it has the same bytes.
        Layers with the numerics `tflite` give the same codes in TensorFlow Lite for
        Microcontrollers; others are at most 1 code apart for the same input codes.

    Raises:
        UnsupportedError: a layer that TFLite has no operator for.
        InternalError: the graph is not quantized.
    """
    if not graph.is_quantized:
        raise InternalError(f"{graph.name} is not quantized")
    if graph.states:
        raise UnsupportedError(
            "state",
            graph.states[0].source,
            "TFLite export: tensors that are kept between runs",
            "export the network that sees the whole sequence",
        )
    for node in graph.nodes:
        _refuse_scales(graph, node)
    build = TfliteBuilder(graph)
    inputs = [build.activation(name, build.outer_shape(name)) for name in graph.inputs]
    for node in _from_outputs(graph):
        if node.is_float32:
            raise build.refusal(
                node, "it computes in float32", "build without --float, or export QDQ ONNX"
            )
        if node.op not in EMITTERS:
            raise build.refusal(
                node,
                "no operator has this meaning",
                "export QDQ ONNX, or leave the layer out of the network",
            )
        EMITTERS[node.op](build, node)
    outputs = [build.output(name) for name in graph.outputs]
    return build.file.content(inputs, outputs)


def _refuse_scales(graph: Graph, node: Node) -> None:
    """Refuse scales that runtimes cannot divide by each other."""
    for tensor in (*graph.node_inputs(node), graph.node_output(node)):
        if tensor.qparams is not None and min(tensor.qparams.scale) < SMALLEST_SCALE:
            raise UnsupportedError(
                node.op,
                node.name,
                f"TFLite export: a scale of {min(tensor.qparams.scale):.0e}",
                "its weights are next to nothing: train the layer again, or leave it out",
            )


def _from_outputs(graph: Graph) -> list[Node]:
    """The nodes in the order in which the outputs need them, whatever order the graph has."""
    producers = graph.producers()
    ordered: dict[str, Node] = {}
    waiting = [producers[name] for name in reversed(graph.outputs) if name in producers]
    while waiting:
        node = waiting[-1]
        missing = [
            producers[name]
            for name in node.inputs
            if name in producers and producers[name].output not in ordered
        ]
        if missing:
            waiting += reversed(missing)
        else:
            ordered[waiting.pop().output] = node
    return list(ordered.values())

"""Quantized graphs in the files of other runtimes, by the name of the format."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from edgecomp.artifact import GRAPH_FILE, WHOLE_FILE
from edgecomp.errors import UserError
from edgecomp.export.tflite import export_tflite
from edgecomp.ir import DType, Graph
from edgecomp.ir.serialize import load_graph
from edgecomp.ops import PARAMS
from edgecomp.passes.keep_states import keeps_states
from edgecomp.paths import write_atomically
from edgecomp.quant.export_qdq import export_qdq

Exporter = Callable[[Graph], bytes]


def _tflite(graph: Graph) -> bytes:
    if any(node.numerics == "int16" for node in graph.nodes):
        raise UserError(
            "networks with int16 activations can be exported with TFLite's arithmetic only\n"
            "  quantize with --activations int16 --numerics tflite"
        )
    return export_tflite(graph)


def onnx_refusal(graph: Graph) -> str | None:
    """Say why ONNX cannot express a quantized network; None if it can."""
    if graph.has_int16:
        return "networks with int16 activations cannot be written as ONNX"
    if any(graph.tensors[name].dtype is DType.INT16 for name in graph.inputs):
        return "networks with indices of int16 cannot be written as ONNX"
    if graph.states:
        return "a network that keeps tensors between runs cannot be written as ONNX"
    for node in graph.nodes:
        if not math.isinf(getattr(node.params, "cell_clip", math.inf)):
            return f"{node.name!r} clips its cells, which an LSTM of ONNX does not"
    return None


def _qdq(graph: Graph) -> bytes:
    if reason := onnx_refusal(graph):
        raise UserError(reason)
    return bytes(export_qdq(graph).SerializeToString())


EXPORTERS: Mapping[str, Exporter] = {
    "qdq": _qdq,
    "tflite": _tflite,
}
"""What writes a quantized graph, by format."""

SUFFIXES = {"qdq": ".onnx", "tflite": ".tflite"}


def exporter_for(file: Path, wanted: str | None = None) -> Exporter:
    """The exporter of a format, or of the one that a file's name says.

    Raises:
        UserError: the name says none, or another than is wanted.
    """
    said = next((name for name, suffix in SUFFIXES.items() if suffix == file.suffix), None)
    known = " or ".join(SUFFIXES.values())
    if wanted is None and said is None:
        raise UserError(f"{file} must end in {known}")
    if wanted is not None and wanted != said:
        raise UserError(f"{file} must end in {SUFFIXES[wanted]} for the format {wanted}")
    return EXPORTERS[wanted or str(said)]


def export_built(folder: Path, file: Path, wanted: str | None = None) -> None:
    """Write the network of a folder that `edgecomp build` made.

    Raises:
        UserError: there is no such folder, or the file's name fits no format.
        UnsupportedError: the format has no operator for one of the layers.
    """
    exporter = exporter_for(file, wanted)
    if not (folder / GRAPH_FILE).is_file():
        raise UserError(
            f"{folder} holds no {GRAPH_FILE}: it is not a folder that `edgecomp build` made\n"
            "  `edgecomp quantize MODEL -o model.tflite` exports a model that was not built"
        )
    write_atomically(file, exporter(_network(folder)))


def _network(folder: Path) -> Graph:
    """What a folder computes; of layers that keep their states themselves, without these."""
    graph = load_graph(folder / GRAPH_FILE, PARAMS)
    if not graph.states or not (folder / WHOLE_FILE).is_file():
        return graph
    whole = load_graph(folder / WHOLE_FILE, PARAMS)
    return whole if keeps_states(whole) else graph

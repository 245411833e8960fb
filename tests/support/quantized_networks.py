"""Random networks, quantized from a file as a user would have it."""

from pathlib import Path

from edgecomp.data.layout import model_to_device
from edgecomp.frontend import read_model
from edgecomp.ir import Graph
from edgecomp.passes import run_passes
from edgecomp.quant import QuantizeOptions, quantize_model
from tests.support.random_graphs import random_model


def quantized_network(seed: int, folder: Path, numerics: str | None = None) -> Graph:
    """Make network number `seed`, calibrated by its samples' extremes."""
    model = random_model(seed)
    path = folder / f"{model.name}.onnx"
    path.write_bytes(model.proto.SerializeToString())
    graph = run_passes(read_model(path))
    samples = {
        name: model_to_device(
            model.inputs[graph.io_names.get(name, name)],
            graph.tensors[name].shape,
            graph.views.get(name),
        )
        for name in graph.inputs
    }
    options = QuantizeOptions(calibration="minmax", numerics=numerics)
    return quantize_model(graph, samples, options)[0]

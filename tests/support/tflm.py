"""TensorFlow Lite for Microcontrollers (PyPI `tflite-micro`) as a witness of exported files."""

import numpy as np

from edgecomp.export.tflite import export_tflite
from edgecomp.frontend.tflite_file import load_tflite
from edgecomp.ir import Array, Graph

ARENA_BYTES = 1 << 20


class Tflm:
    """A quantized graph, exported and run from codes to codes."""

    def __init__(self, graph: Graph, content: bytes | None = None) -> None:
        """Load the file; raises RuntimeError where the runtime has not what it needs."""
        from tflite_micro.python.tflite_micro import runtime

        content = export_tflite(graph) if content is None else content
        self._graph = graph
        self._interpreter = runtime.Interpreter.from_bytes(content, arena_size=ARENA_BYTES)

    def __call__(self, codes: dict[str, Array]) -> dict[str, Array]:
        """Output codes `(samples, *shape)` by name; indices as the codes that we give them."""
        graph, run = self._graph, self._interpreter
        found: dict[str, list[Array]] = {name: [] for name in graph.outputs}
        for sample in range(len(next(iter(codes.values())))):
            for number, name in enumerate(graph.inputs):
                shape = tuple(run.get_input_details(number)["shape"])
                run.set_input(np.ascontiguousarray(codes[name][sample].reshape(shape)), number)
            run.invoke()
            for number, name in enumerate(graph.outputs):
                found[name].append(run.get_output(number).copy())
        return {
            name: self._codes(name, np.stack(arrays)).reshape(-1, *graph.tensors[name].shape)
            for name, arrays in found.items()
        }

    def _codes(self, name: str, array: Array) -> Array:
        """Codes as they are; indices as codes."""
        qparams = self._graph.tensors[name].qparams
        assert qparams is not None
        return array if array.dtype in (np.int8, np.int16) else qparams.quantize(array)


def structure(path):
    """A file without names: operators, options, shapes, scales and data, in order."""
    file = load_tflite(path)
    place: dict[int, int] = {}

    def seen(index):
        if index in place:
            return place[index]
        place[index] = len(place)
        t = file.tensors[index]
        data = None if t.data is None else t.data.tobytes()
        return (place[index], t.shape, t.dtype, t.scale, t.zero_point, t.axis, data)

    return (
        [seen(index) for index in file.inputs],
        [
            (
                operator.op_type,
                sorted((key, str(value)) for key, value in operator.options.items()),
                [seen(index) for index in operator.inputs],
                [seen(index) for index in operator.outputs],
            )
            for operator in file.operators
        ],
        [seen(index) for index in file.outputs],
    )

"""The exported QDQ model in onnxruntime, graph optimizations off: an implementation not ours."""

import numpy as np
import onnxruntime

from edgecomp.data.layout import device_to_model, model_to_device
from edgecomp.quant.export_qdq import export_qdq


class Runtime:
    """One quantized graph, run by onnxruntime from codes to codes."""

    def __init__(self, graph, *, optimize=False):
        options = onnxruntime.SessionOptions()
        level = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = (
            level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
        )
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        self.graph = graph
        self.session = onnxruntime.InferenceSession(
            export_qdq(graph).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, codes):
        """Output codes `(samples, *shape)` in the device's layout, before saturation int64."""
        graph = self.graph
        feeds = {
            graph.io_names.get(name, name): device_to_model(
                graph.tensors[name].qparams.dequantize(codes[name]).astype(np.float32),
                graph.views.get(name),
            )
            for name in graph.inputs
        }
        shapes = {value.name: value.shape for value in self.session.get_inputs()}
        count = len(next(iter(codes.values())))
        runs = [
            self.session.run(None, {n: x[i].reshape(shapes[n]) for n, x in feeds.items()})
            for i in range(count)
        ]
        result = {}
        for index, name in enumerate(graph.outputs):
            tensor = graph.tensors[name]
            values = np.stack([run[index] for run in runs])
            device = model_to_device(values, tensor.shape, graph.views.get(name))
            q = tensor.qparams
            result[name] = np.rint(device / q.scalar).astype(np.int64) + q.zero_point
        return result

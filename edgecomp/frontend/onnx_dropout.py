"""Dropout in an ONNX file: nothing, unless the file was exported for training."""

import numpy as np

from edgecomp.frontend.onnx_builder import GraphBuilder
from edgecomp.ops.base import ImportedNode


def undropped(node: ImportedNode, build: GraphBuilder) -> str:
    """The input of a layer that drops nothing.

    Raises:
        UnsupportedError: it drops elements.
    """
    training = build.value(node.inputs[2]) if node.has_input(2) else None
    ratio = build.value(node.inputs[1]) if node.has_input(1) else np.array(0.5)
    if training is not None and training.any() and (ratio is None or ratio.any()):
        raise build.unsupported(
            node, "it drops elements, as in training", "export in evaluation mode"
        )
    return node.inputs[0]

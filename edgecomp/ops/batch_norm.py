"""How ONNX's batch normalization arrives: with kept statistics, or with those of the batch."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgecomp.ir import Array
from edgecomp.ops.base import Builder, ImportedNode, Importer
from edgecomp.ops.convolutions import emit_per_channel
from edgecomp.ops.layer_norm import LayerNormParams
from edgecomp.ops.normalization import emit_moments, emit_normalized


def _import(node: ImportedNode, build: Builder) -> str | list[str]:
    """Import ONNX BatchNormalization as a depthwise 1x1 convolution, or by channels as rows."""
    constants = [build.value(name) for name in node.inputs[1:5]]
    if any(value is None for value in constants):
        raise build.unsupported(node, "statistics must be constants", "export in evaluation mode")
    gamma, beta, mean, variance = (np.asarray(v, np.float64) for v in constants)
    if node.attrs.get("training_mode", 0):
        return _of_the_batch(node, build, (gamma, beta), (mean, variance))
    factor = gamma / np.sqrt(variance + node.attrs.get("epsilon", 1e-5))
    return emit_per_channel(node, build, node.inputs[0], factor, beta - mean * factor)


def _of_the_batch(
    node: ImportedNode, build: Builder, affine: Sequence[Array], kept: Sequence[Array]
) -> list[str]:
    """Normalize every channel by its own mean and variance: channels are rows.

    The further outputs are the kept statistics, moved towards these by `1 - momentum`.
    """
    x = node.inputs[0]
    shape = build.shape(x)
    channels, length = shape[1], math.prod(shape) // shape[1]
    swap = (1, 0, *range(2, len(shape)))
    moved = build.transpose(x, swap, node)
    rows = build.reshape(moved, (1, channels, length), node)
    params = LayerNormParams(float(node.attrs.get("epsilon", 1e-5)), repeat=length)
    constants = [np.broadcast_to(v, (channels,)).astype(np.float32) for v in affine]
    y = emit_normalized(node, build, rows, params, constants)
    y = build.transpose(build.reshape(y, build.shape(moved), node), swap, node)
    wanted = (*node.outputs[1:3], "", "")
    count = 2 if wanted[1] else 1 if wanted[0] else 0
    moments = emit_moments(replace(node, outputs=()), build, rows, count) if count else []
    momentum = float(node.attrs.get("momentum", 0.9))
    found = [y]
    for output, now, old in zip(wanted, moments, kept, strict=False):
        if not output:
            found.append("")
            continue
        part = replace(node, name=f"{node.name}.running{len(found)}", outputs=(output,))
        flat = build.reshape(now, (1, channels), part)
        moving = emit_per_channel(part, build, flat, np.array(1 - momentum), old * momentum)
        found.append(build.reshape(moving, (channels,), part))
    return found


ONNX: dict[str, Importer] = {"BatchNormalization": _import}

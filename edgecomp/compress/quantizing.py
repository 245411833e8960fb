"""The step `quantize`: weights on the grids that the device computes with."""

from dataclasses import replace

import numpy as np

from edgecomp.compress.adaround import adaround
from edgecomp.compress.grids import MOST, best_scales, chosen_bits, few_inputs, on_grid
from edgecomp.compress.qat import train_in_integers
from edgecomp.compress.storing import allow_also
from edgecomp.compress.technique import Outcome, Workshop
from edgecomp.compress.train.graph_module import weight_tensors
from edgecomp.config import Quantize
from edgecomp.ir import Array, Graph, QParams
from edgecomp.quant.equalize import equalize


def quantize_step(graph: Graph, step: Quantize, workshop: Workshop) -> Outcome:
    """Put weights on int4 or int8 grids, as the step's method says.

    int8 by `nearest` changes nothing: that is what every build does after calibration.  Channels
    are balanced before anything is put on a grid, so that the result has them so in every build.

    Raises:
        UserError: a glob chooses nothing, or the budget of bytes cannot be met.
    """
    balanced: tuple[str, ...] = ()
    if step.equalize:
        graph, balanced = equalize(graph, few_inputs(workshop))
    bits = chosen_bits(graph, step, workshop)
    small = tuple(name for name, count in bits.items() if count == 4)
    scales = {name: _scales(graph, name, MOST[count]) for name, count in bits.items()}
    layers = weight_tensors(graph)
    eight = dict.fromkeys(layers[name] for name in layers if name not in small)
    note = f"int4: {len(small)} layers, int8: {', '.join(eight) or 'none'}"
    if step.equalize:
        note += f"; balanced: the outputs of {', '.join(balanced) or 'no layer'}"
    if step.how == "qat":
        outcome = train_in_integers(graph, bits, scales, step, workshop)
        made = outcome.graph
    else:
        made = graph
        if step.how == "adaround":
            inputs = workshop.split.train.inputs
            seed = workshop.training.seed
            made = adaround(graph, bits, scales, inputs, seed, workshop.say)
        made = _pinned(made, small, scales)
        outcome = Outcome(made, workshop.score(made))
    return replace(outcome, graph=allow_also(made, small, "packed4"), note=note)


def _scales(graph: Graph, name: str, most: int) -> Array:
    """Scales of the channels: those that an earlier step gave, or the best ones."""
    tensor = graph.tensors[name]
    if tensor.qparams is not None:
        known = tensor.qparams
        codes = np.abs(known.quantize(tensor.value)).max(initial=0)
        if codes <= most and (most == MOST[4]) == (codes <= MOST[4]):
            return np.broadcast_to(np.asarray(known.scale, np.float64), tensor.shape[:1]).copy()
    return best_scales(tensor.value, most)


def _pinned(graph: Graph, names: tuple[str, ...], scales: dict[str, Array]) -> Graph:
    """Weights on their grids, with the grids, which quantization then keeps."""
    tensors = dict(graph.tensors)
    for name in names:
        value = on_grid(tensors[name].value, scales[name], MOST[4])
        qparams = QParams.per_channel(scales[name], 0)
        tensors[name] = replace(tensors[name].with_data(value), qparams=qparams)
    return graph.replace(tensors=tensors)

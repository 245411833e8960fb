"""Post-training quantization from end to end: a float graph and samples become integers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgecomp.errors import UserError
from edgecomp.fixedpoint import PRECISE_MULTIPLIER
from edgecomp.ir import Array, Graph, QParams
from edgecomp.ops.linear import LinearConstants
from edgecomp.quant.bias_correction import correct_biases
from edgecomp.quant.calibrate import Calibration, needs_samples, observe_and_choose
from edgecomp.quant.equalize import equalize
from edgecomp.quant.float_layers import float_layers, left_in_integers
from edgecomp.quant.int16 import in_16_bits, refuse_besides_tflite16, refuse_int8_options
from edgecomp.quant.quantize import quantize
from edgecomp.quant.recurrent import settle_cells
from edgecomp.quant.sharing import insert_rescales
from edgecomp.quant.tflite_form import as_tflite
from edgecomp.requant import prepare_node


@dataclass(frozen=True)
class QuantizeOptions:
    """How to quantize.

    Attributes:
        calibration: `auto`, `minmax`, `percentile`, `mse` or `entropy`.
        equalize: balance the ranges of neighbouring layers' channels first.
        bias_correction: take the mean error of every channel out of the bias.
        symmetric: give all activations the zero point 0.
        numerics: arithmetic of the layers, `edgecomp`, `tflite`, or, with activations of 16 bits
            (their ranges by `minmax` unless said otherwise), `int16` or `tflite16`; the file's own
            unless given.
        float_layers: names of layers that compute in float32, or globs; see `float_layers`.
        skips_infinite: look only at finite values, where the samples are made up.
    """

    calibration: str = "auto"
    equalize: bool = False
    bias_correction: bool = False
    symmetric: bool = False
    numerics: str | None = None
    float_layers: tuple[str, ...] = ()
    skips_infinite: bool = False


@dataclass(frozen=True)
class CalibrationReport:
    """What calibration found.

    Attributes:
        samples: number of calibration samples.
        tensors: how each activation's parameters were chosen.
        coarse_channels: per layer, the channels whose multiplier is below 2^17 (and not 0).
        rescales: names of the identity layers that were inserted between two scales.
        equalized: names of the layers whose channels were balanced.
        float_layers: what asked for it, by name of each layer that computes in float32.
        left_in_integers: why not, by name of each layer that a glob found besides.
        reference: the float graph whose integers these are: rescaled and balanced; what the error
            of each tensor is measured against.
    """

    samples: int
    tensors: Mapping[str, Calibration]
    coarse_channels: Mapping[str, int]
    rescales: tuple[str, ...]
    equalized: tuple[str, ...]
    float_layers: Mapping[str, str]
    left_in_integers: Mapping[str, str]
    reference: Graph


def quantize_model(
    graph: Graph,
    samples: Mapping[str, Array] | None,
    options: QuantizeOptions | None = None,
) -> tuple[Graph, CalibrationReport]:
    """Calibrate and quantize a float graph.

    Args:
        graph: a float graph, optimized by the passes.
        samples: for each graph input the calibration samples `(samples, *shape)` float32 in the
            device's layout; None where the model file gives all parameters.
        options: how to quantize.

    Returns:
        The graph of integers and what calibration found.

    Raises:
        UserError: samples are needed and missing or wrong; an option has no such value.
        UnsupportedError: a layer cannot compute in float32.
    """
    options = options or QuantizeOptions()
    # Passes add layers of their own to a network that came with its arithmetic.
    wide = any(t.qparams is not None and t.qparams.is_wide for t in graph.tensors.values())
    own = "tflite" if wide or any(node.numerics == "tflite" for node in graph.nodes) else None
    numerics = options.numerics or own
    if numerics in {"tflite", "tflite16"}:
        graph = as_tflite(graph)
    in_16 = numerics in {"int16", "tflite16"}
    if in_16:
        refuse_int8_options(
            graph, bias_correction=options.bias_correction, float_layers=options.float_layers
        )
        method = "minmax" if options.calibration == "auto" else options.calibration
        options = replace(options, calibration=method, symmetric=True)
    ready = insert_rescales(graph)
    if wide:
        asked = options.bias_correction or options.equalize or bool(options.float_layers)
        refuse_besides_tflite16(ready, numerics, wants_more=asked)
    present = {node.name for node in graph.nodes}
    rescales = tuple(node.name for node in ready.nodes if node.name not in present)
    in_float = float_layers(ready, options.float_layers)
    if samples is None and needs_samples(ready, symmetric=options.symmetric):
        raise UserError(
            f"{graph.name} needs calibration samples: the model file does not give the scales of "
            "all its activations; give a data set with --data"
        )
    ready = settle_cells(ready, samples)
    equalized: tuple[str, ...] = ()
    if options.equalize and samples is not None:
        ready, equalized = equalize(ready, samples)
    calibrations = observe_and_choose(
        ready,
        samples or {},
        options.calibration,
        symmetric=options.symmetric,
        skips_infinite=options.skips_infinite,
    )
    if in_16:
        is_wide = numerics == "tflite16"
        calibrations = {
            name: in_16_bits(found, is_wide=is_wide) for name, found in calibrations.items()
        }
    qparams: dict[str, QParams] = {name: c.qparams for name, c in calibrations.items()}
    quantized = quantize(
        ready,
        qparams,
        symmetric=options.symmetric,
        numerics="tflite" if numerics == "tflite16" else numerics,
        float_layers=in_float,
    )
    if options.bias_correction and samples is not None:
        quantized = correct_biases(ready, quantized, samples)
    report = CalibrationReport(
        samples=len(next(iter(samples.values()))) if samples else 0,
        tensors=calibrations,
        coarse_channels=coarse_channels(quantized),
        rescales=rescales,
        equalized=equalized,
        float_layers=in_float,
        left_in_integers=left_in_integers(ready, options.float_layers, in_float),
        reference=ready,
    )
    return quantized, report


def coarse_channels(graph: Graph) -> dict[str, int]:
    """Count, per layer of a quantized graph, the channels with a multiplier below 2^17."""
    counts = {}
    for node in graph.nodes:
        constants = prepare_node(node, graph.node_inputs(node), graph.node_output(node))
        if isinstance(constants, LinearConstants) and node.numerics == "edgecomp":
            size = abs(constants.multiplier)
            count = int(((size < PRECISE_MULTIPLIER) & (size > 0)).sum())
            if count:
                counts[node.name] = count
    return counts

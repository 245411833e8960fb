"""How far hidden states and memories in integers may lie from the real ones, step by step.

Errors are in real numbers, one per unit; what a step adds is bounded by its roundings, the chords
of the table of tanh, and the largest slopes of tanh (1) and the sigmoid (1/4).
"""

import functools
from dataclasses import dataclass

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels import Layer
from edgecomp.ops.recurrent import logistic
from edgecomp.requant.tflite_lstm import sigmoid_int16, tanh_int16

UNIT = 2.0**-15
CHORD = 2.0**-10 / 8 * 0.77
"""A chord of 1/32 where tanh bends most."""
TANH = CHORD + 1.5 * UNIT
"""Chord, table and rounding."""
SIGMOID = 0.5 * TANH + UNIT


@dataclass
class Errors:
    """Of the hidden codes and the memory."""

    hidden: Array
    memory: Array


def recurrent_error(layer: Layer) -> float:
    """The bound in output codes, without the output's own rounding."""
    found = steps_of_errors(layer)
    assert layer.output.qparams is not None
    errors = [e.memory if layer.params.emits == "memory" else e.hidden for e in found]
    return float(max(e.max() for e in errors) / layer.output.qparams.scalar) - 0.5


def steps_of_errors(layer: Layer, first: Errors | None = None) -> list[Errors]:
    """The bound after every step; from states without any error unless given."""
    k, units = layer.prepared, layer.inputs[2].shape[1]
    if k.arithmetic == "tflite":
        return _tflite_steps(layer)
    scale = 2.0**-k.pre.bits
    recurrent = np.abs(layer.inputs[2].qparams.dequantize(layer.inputs[2].value))
    parts = (k.pre.inputs, k.pre.hidden)
    rounding = scale * sum(0.5 + m.magnitude * 2.0 ** (m.shift - 31) for m in parts)
    rounding = rounding.reshape(-1, units) + scale
    errors = first or _first(layer, units)
    found = []
    for step in range(layer.inputs[0].shape[1]):
        pre = rounding + (recurrent @ errors.hidden).reshape(-1, units)
        errors = STEPS[layer.node.op](layer, pre, errors, step)
        found.append(errors)
    return found


def _first(layer: Layer, units: int) -> Errors:
    k = layer.prepared
    code = _code(layer)
    given = layer.params.begins == "given"
    memory = 2.0 ** -_memory_bits(layer) if given else 0.0
    hidden = 0.5 * code + UNIT if given and layer.node.op == "gru" else 0.5 * code * given
    del k
    return Errors(np.full(units, hidden + 1e-3 * code), np.full(units, memory))


def _code(layer: Layer) -> float:
    if layer.params.emits == "memory":
        return 1 / 128
    return layer.output.qparams.scalar


def _memory_bits(layer: Layer) -> int:
    return getattr(layer.params, "cell_bits", 15)


def _lstm(layer: Layer, pre: Array, errors: Errors, step: int) -> Errors:
    p, k = layer.params, layer.prepared
    i, o, f, g = pre
    unit = 2.0**-p.cell_bits
    seen = [np.zeros_like(i)] * 3
    if p.peepholes:
        seen = list(np.abs(layer.inputs[4].value).reshape(3, -1))
        least = 2.0**-k.pre.bits * (0.5 + 2.0 ** (15 + k.peephole_shift - 31))
        i, o, f = i + least, o + least, f + least
    i = SIGMOID + (i + seen[0] * errors.memory) / 4
    f = i if p.coupled else SIGMOID + (f + seen[2] * errors.memory) / 4
    size = 2.0 ** (15 - p.cell_bits)
    if p.begins == "zero":
        size = min(float(step), size)
    # Where the memory ends, both are clamped: the real one is not, but cases stay below.
    memory = errors.memory + size * f + i + TANH + g + unit
    o = SIGMOID + (o + seen[1] * memory) / 4
    hidden = o + TANH + memory + UNIT + 0.5 * _code(layer) + _outside(layer)
    return Errors(hidden, memory)


def _gru(layer: Layer, pre: Array, errors: Errors, step: int) -> Errors:
    del step
    z, r, n = pre
    r = SIGMOID + r / 4
    recurrent = np.abs(layer.inputs[2].qparams.dequantize(layer.inputs[2].value))
    units = len(z)
    candidate = recurrent[2 * units :]
    if layer.params.reset_after:
        bias = np.abs(layer.prepared.pre.hidden_bias) * 2.0**-layer.prepared.pre.bits
        n = n + r * (candidate.sum(axis=1) + bias)
    else:
        kept = r + errors.memory + UNIT + 0.5 * _code(layer) + 1 / 128
        n = n + candidate @ kept
    memory = 2 * (SIGMOID + z / 4) + TANH + n + errors.memory + UNIT + 129 * UNIT
    return Errors(memory + 0.5 * _code(layer) + _outside(layer), memory)


def _rnn(layer: Layer, pre: Array, errors: Errors, step: int) -> Errors:
    del errors, step
    if layer.params.activation == "relu":
        return Errors(pre[0] + 0.501 * _code(layer), pre[0])
    return Errors(TANH + pre[0] + 0.5 * _code(layer) + _outside(layer), pre[0])


def _outside(layer: Layer) -> float:
    """What is lost of 1 itself, which the codes of hidden states do not reach."""
    return 1 / 256 if layer.params.emits != "memory" else 1 / 128


STEPS = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}


@functools.cache
def _curve_error(curve: str, bits: int) -> float:
    """Of TFLite's sigmoid or tanh, over all of its arguments."""
    x = np.arange(-(2**15), 2**15)
    real = x * 2.0**-bits
    if curve == "sigmoid":
        return float(np.abs(sigmoid_int16(x) * UNIT - logistic(real)).max())
    return float(np.abs(tanh_int16(x, bits) * UNIT - np.tanh(real)).max())


def _tflite_steps(layer: Layer) -> list[Errors]:
    """TFLite's LSTM, where no share of a pre-activation leaves its 16 bits."""
    k, p, units = layer.prepared, layer.params, layer.inputs[2].shape[1]
    recurrent = np.abs(layer.inputs[2].qparams.dequantize(layer.inputs[2].value))
    weights = layer.inputs[1].qparams.scales(2).reshape(-1) * layer.inputs[0].qparams.scalar
    # The bias becomes a code of the products; every share is rounded twice.
    own = (0.5 * np.broadcast_to(weights, (4 * units,))).reshape(4, units)
    for part in (k.cell.inputs, k.cell.hidden):
        shift = np.array(part.shift, np.float64)
        rounding = 0.5 + 0.5 * 2.0 ** np.minimum(shift, 0) + part.largest * 2.0 ** (shift - 32)
        own = own + 2.0**-12 * rounding[:, None]
    sigmoid, candidate = _curve_error("sigmoid", 12), _curve_error("tanh", 12)
    cell_unit, code = 2.0**-p.cell_bits, layer.output.qparams.scalar
    size = min(2.0 ** (15 - p.cell_bits), p.cell_clip)
    errors = Errors(np.full(units, 1e-3 * code), np.zeros(units))
    found = []
    for _ in range(layer.inputs[0].shape[1]):
        i, o, f, g = own + (recurrent @ errors.hidden).reshape(4, units)
        i, o, f = (sigmoid + part / 4 for part in (i, o, f))
        memory = errors.memory + size * f + i + candidate + g + 1.01 * cell_unit
        hidden = o + _curve_error("tanh", p.cell_bits) + memory + 0.51 * code + _outside(layer)
        errors = Errors(hidden, memory)
        found.append(errors)
    return found

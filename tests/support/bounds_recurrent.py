"""How far hidden states and memories in integers may lie from the real ones, step by step.

Errors are in real numbers, one per unit; what a step adds is bounded by its roundings, the chords
of the table of tanh, and the largest slopes of tanh (1) and the sigmoid (1/4).
"""

from dataclasses import dataclass

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels import Layer

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

"""TFLite's LSTM with int16 activations: in plain C, and with the products of dense layers.

A step of the latter makes the shares of all gates, unit by unit, by two products of one vector each
(`edgecomp.kernels.product16`), then the gates of every unit.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Layer
from edgecomp.kernels.int16_mve import VectorProduct
from edgecomp.kernels.product16 import CODE_BYTES, Product, factor_refusal
from edgecomp.kernels.recurrent_rows import weights_constant
from edgecomp.kernels.recurrent_shape import RecurrentShape
from edgecomp.kernels.tflite16_generic import TFLITE16
from edgecomp.kernels.tflite_lstm_layer import TfliteLstmKernel
from edgecomp.ops.lstm import GATES
from edgecomp.requant.int16 import LinearFactor
from edgecomp.targets.cores import Core


class TfliteLstm16Generic(TfliteLstmKernel):
    """Unit by unit: the four rows of both matrices, then the gates."""

    name: ClassVar[str] = "tflite_lstm16_generic"
    numerics: ClassVar[frozenset[str]] = TFLITE16
    code_type: ClassVar[str] = "int16_t"

    def row_constants(self, layer: Layer) -> list[Constant]:
        """Weights, biases and factors of both matrices."""
        by_unit = _by_unit(layer)
        found = [weights_constant(_by_gates(weights) for weights, _ in by_unit.values())]
        for name, (_, k) in by_unit.items():
            sums = "int32_t" if k.is_narrow else "int64_t"
            of_gates = "of each gate"
            found += [
                Constant(f"{name}_bias", sums, k.bias, True, "where sums start"),
                Constant(f"{name}_multiplier", "int32_t", k.multiplier[:GATES], True, of_gates),
                Constant(f"{name}_shift", "uint8_t", k.shift[:GATES], True, of_gates),
            ]
        return found


class TfliteLstm16Dsp(TfliteLstm16Generic):
    """All shares of a step, four rows at a time, then the gates of every unit."""

    name: ClassVar[str] = "tflite_lstm16_dsp"
    block: ClassVar[type[Product]] = Product

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Any shape, if the sums are proved to fit."""
        k = layer.prepared.cell
        return self.block.lacks(core) or factor_refusal(k.inputs) or factor_refusal(k.hidden)

    def shape(self, layer: Layer) -> RecurrentShape:
        """Sizes; the scratch begins with the shares of both matrices."""
        rows = len(layer.inputs[1].value)
        return RecurrentShape(layer, 2 * rows * CODE_BYTES)

    def row_constants(self, layer: Layer) -> list[Constant]:
        """A stream for each matrix, in the order of use."""
        products, by_unit = self._products(layer), _by_unit(layer)
        return [
            Constant(f"{name}_stream", "uint32_t", p.stream(*by_unit[name]), True, p.comment)
            for name, p in products.items()
        ]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Also the block of each matrix."""
        whole = layer.prepared.cell.inputs
        return {**super().context(layer), "fast": {**self._products(layer), "range": whole}}

    def _products(self, layer: Layer) -> Mapping[str, Product]:
        return {
            name: self.block.of(1, weights.shape[1], weights.shape[1], len(weights), k)
            for name, (weights, k) in _by_unit(layer).items()
        }


class TfliteLstm16Mve(TfliteLstm16Dsp):
    """All shares of a step, four rows at a time, eight codes at once; then the gates."""

    name: ClassVar[str] = "tflite_lstm16_mve"
    block: ClassVar[type[Product]] = VectorProduct


def _by_gates(weights: Array) -> Array:
    """Rows of the four gates of each unit as `(units, n, 4)`."""
    return weights.reshape(-1, GATES, weights.shape[1]).transpose(0, 2, 1)


def _by_unit(layer: Layer) -> dict[str, tuple[Array, LinearFactor]]:
    """Rows and factors of both matrices, the four gates of a unit behind each other."""
    cell = layer.prepared.cell
    units = layer.inputs[2].shape[1]
    order = np.arange(GATES * units).reshape(GATES, units).T.reshape(-1)
    found = {}
    pairs = (cell.inputs, cell.hidden)
    for name, tensor, k in zip(("input", "hidden"), layer.inputs[1:3], pairs, strict=True):
        moved = {part: getattr(k, part)[order] for part in ("bias", "multiplier", "shift")}
        found[name] = tensor.value[order].astype(np.int8), replace(k, **moved)
    return found

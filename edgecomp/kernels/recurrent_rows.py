"""In which order the rows of a recurrent layer's matrices are multiplied, four at a time.

Every step of time begins with sums for all units: pre-activations in the order in which the gates
read them.  An LSTM's lie unit by unit (input, output, forget, candidate), those of the others gate
by gate, each filled up to a multiple of four.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from edgecomp.ir import Array, Tensor
from edgecomp.kernels.base import Constant, Layer
from edgecomp.ops.gates import Matrix

AT_ONCE = 4
Vector = Literal["input", "hidden"]


@dataclass(frozen=True)
class RowCall:
    """Rows of one matrix that one call multiplies.

    Attributes:
        name: prefix of their constants in C.
        vector: what they are multiplied with.
        weights: the matrix, int8 `(all rows, inputs)`.
        matrix: its multipliers.
        order: rows in the order of use, a multiple of 4; -1 is a row of zeros.
        first: element of the sums that the first row gives.
        bias: of each row in this order, where the sums begin with it; None where they are added to.
        weights_at: weights of the calls before it.
    """

    name: str
    vector: Vector
    weights: Tensor
    matrix: Matrix
    order: Array
    first: int
    bias: Array | None
    weights_at: int = 0

    @property
    def end(self) -> int:
        """Behind the last of the sums."""
        return self.first + len(self.order)

    @property
    def multiplier(self) -> Array:
        """Of each row in order."""
        return self.ordered(self.matrix.multiplier)

    def ordered(self, values: Array) -> Array:
        """Values of all rows in the order of use, zeros for rows that are none."""
        live = (self.order >= 0).reshape(-1, *(1,) * (values.ndim - 1))
        return np.where(live, values[self.order], 0)

    @property
    def weights_by_four(self) -> Array:
        """The weights of every row, int8, as `by_four` orders them."""
        return self.by_four(self.weights.value).astype(np.int8)

    def by_four(self, values: Array) -> Array:
        """Elements of every row `(rows, n)` as `(blocks, n, 4)`, in the order of use."""
        blocks = self.ordered(values).reshape(-1, AT_ONCE, values.shape[1])
        return np.ascontiguousarray(blocks.transpose(0, 2, 1))


def row_calls(layer: Layer) -> tuple[RowCall, ...]:
    """All calls of a step; with a GRU's the last one is that of the candidate's hidden part."""
    calls, at = [], 0
    for call in _CALLS[layer.node.op](layer):
        calls.append(replace(call, weights_at=at))
        at += len(call.order) * call.weights.shape[1]
    return tuple(calls)


def weights_constant(blocks: Iterable[Array]) -> Constant:
    """The array of all calls' weights: as one row, which can be stored and decoded as a whole."""
    every = np.concatenate([block.reshape(-1) for block in blocks])[None]
    return Constant("weights", "int8_t", every, True, "by 4 rows of each matrix: IO")


def _call(
    layer: Layer,
    vector: Vector,
    order: Array,
    bias: Array | None = None,
    *,
    first: int = 0,
    name: str = "",
) -> RowCall:
    pre = layer.prepared.pre
    matrix, weights = (
        (pre.inputs, layer.inputs[1]) if vector == "input" else (pre.hidden, layer.inputs[2])
    )
    call = RowCall(name or vector, vector, weights, matrix, order, first, None)
    if bias is None:
        return call
    return RowCall(name or vector, vector, weights, matrix, order, first, call.ordered(bias))


def _gates(layer: Layer) -> list[Array]:
    """The rows of each gate, filled up."""
    units = layer.inputs[2].shape[1]
    missing = np.full(-units % AT_ONCE, -1)
    rows = np.arange(layer.inputs[2].shape[0]).reshape(-1, units)
    return [np.concatenate([gate, missing]) for gate in rows]


def _lstm(layer: Layer) -> tuple[RowCall, ...]:
    units = layer.inputs[2].shape[1]
    order = np.arange(4 * units).reshape(4, units).T.reshape(-1)
    bias = layer.prepared.pre.bias
    return _call(layer, "input", order, bias), _call(layer, "hidden", order)


def _gru(layer: Layer) -> tuple[RowCall, ...]:
    pre, gates = layer.prepared.pre, _gates(layer)
    size, after = len(gates[0]), bool(layer.params.reset_after)
    # Where the reset gate comes after it, the candidate's hidden part has sums of its own.
    own = np.concatenate([np.zeros(2 * layer.inputs[2].shape[1], np.int64), pre.hidden_bias])
    candidate = _call(
        layer,
        "hidden",
        gates[2],
        own if after else None,
        first=(3 if after else 2) * size,
        name="candidate",
    )
    return (
        _call(layer, "input", np.concatenate(gates), pre.bias),
        _call(layer, "hidden", np.concatenate(gates[:2])),
        candidate,
    )


def _rnn(layer: Layer) -> tuple[RowCall, ...]:
    (order,) = _gates(layer)
    bias = layer.prepared.pre.bias
    return _call(layer, "input", order, bias), _call(layer, "hidden", order)


_CALLS: Mapping[str, Callable[[Layer], tuple[RowCall, ...]]] = {
    "lstm": _lstm,
    "gru": _gru,
    "rnn": _rnn,
}

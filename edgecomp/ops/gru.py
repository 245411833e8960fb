"""Gated recurrent unit.

Sources of the semantics: ONNX GRU, PyTorch GRU; K. Cho et al., *Learning Phrase Representations
using RNN Encoder-Decoder for Statistical Machine Translation*, EMNLP 2014.  The integer formula is
in docs/numerics.md, "Recurrent layers".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.fixedpoint import IntArray
from edgecomp.ir import Array, Tensor
from edgecomp.ops.gates import ONE, halved, memory_range, sigmoid, tanh
from edgecomp.ops.recurrent import Recurrent, RecurrentParams, States, clipped, logistic
from edgecomp.ops.recurrent_constants import RecurrentConstants


@dataclass(frozen=True)
class GruParams(RecurrentParams):
    """What a GRU does beyond what all recurrent layers do.

    Rows of the weights are gate by gate: update, reset, candidate.

    Attributes:
        reset_after: the reset gate multiplies what the hidden state gives to the candidate (its
            bias lies behind the others), as PyTorch and cuDNN do, instead of the hidden state.
    """

    reset_after: bool = True


class Gru(Recurrent[GruParams]):
    """`h = (1 - z) * n + z * h`; the update gate z and the reset gate r are sigmoids, n a tanh."""

    name: ClassVar[str] = "gru"
    gates: ClassVar[int] = 3
    has_memory: ClassVar[bool] = True

    def real_step(
        self, params: GruParams, x: Array, states: States, given: Mapping[str, Array]
    ) -> States:
        """One step in real numbers."""
        hidden = states[0]
        units = hidden.shape[-1]
        recurrent, bias = given["recurrent"], given["bias"]
        pre = x + bias[: 3 * units]
        gates = pre[:, : 2 * units] + hidden @ recurrent[: 2 * units].T
        z, r = np.split(logistic(clipped(gates, params.clip)), 2, axis=-1)
        if params.reset_after:
            part = r * (hidden @ recurrent[2 * units :].T + bias[3 * units :])
        else:
            part = (r * hidden) @ recurrent[2 * units :].T
        n = np.tanh(clipped(pre[:, 2 * units :] + part, params.clip))
        hidden = (1 - z) * n + z * hidden
        return hidden, hidden

    def prepare(
        self, params: GruParams, inputs: Sequence[Tensor], output: Tensor
    ) -> RecurrentConstants:
        """Make multipliers and biases.

        Raises:
            InternalError: weights are so large that pre-activations could leave 32 bits.
        """
        apart = self.units(inputs) if params.reset_after else 0
        return self.common(params, inputs, output, apart=apart)

    def int_step(
        self,
        params: GruParams,
        k: RecurrentConstants,
        x: IntArray,
        states: States,
        given: Mapping[str, Array],
    ) -> States:
        """One step in integers."""
        hidden, memory = states
        units, bits = memory.shape[-1], k.pre.bits
        recurrent = given["recurrent"]
        seen = k.pre.hidden.part(hidden, recurrent)
        gates = sigmoid(k.clamped(x[:, : 2 * units] + seen[:, : 2 * units]), bits)
        z, r = np.split(gates, 2, axis=-1)
        if params.reset_after:
            part = halved(r * (seen[:, 2 * units :] + k.pre.hidden_bias))
        else:
            part = k.pre.hidden.part(k.finish(halved(r * memory)), recurrent)[:, 2 * units :]
        n = tanh(k.clamped(x[:, 2 * units :] + part), bits)
        memory = memory_range(halved((ONE - z) * n + z * memory))
        return k.finish(memory), memory

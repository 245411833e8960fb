"""Simple recurrent layer.

Sources of the semantics: ONNX RNN, PyTorch RNN; J. Elman, *Finding Structure in Time*, Cognitive
Science 14 (2), 1990.  The integer formula is in docs/numerics.md, "Recurrent layers".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from edgecomp.errors import InternalError
from edgecomp.fixedpoint import IntArray
from edgecomp.ir import Array, Tensor
from edgecomp.ops.gates import UNIT_BITS, tanh
from edgecomp.ops.recurrent import Recurrent, RecurrentParams, States, clipped
from edgecomp.ops.recurrent_constants import RecurrentConstants


@dataclass(frozen=True)
class RnnParams(RecurrentParams):
    """What a simple recurrent layer does beyond what all do.

    Attributes:
        activation: of the hidden state.
    """

    activation: Literal["tanh", "relu"] = "tanh"


class Rnn(Recurrent[RnnParams]):
    """`h = tanh(W x + R h + b)`, or ReLU in place of tanh."""

    name: ClassVar[str] = "rnn"
    gates: ClassVar[int] = 1
    has_memory: ClassVar[bool] = False

    def real_step(
        self, params: RnnParams, x: Array, states: States, given: Mapping[str, Array]
    ) -> States:
        """One step in real numbers."""
        pre = clipped(x + states[0] @ given["recurrent"].T + given["bias"], params.clip)
        hidden = np.tanh(pre) if params.activation == "tanh" else np.maximum(pre, 0)
        return hidden, hidden

    def prepare(
        self, params: RnnParams, inputs: Sequence[Tensor], output: Tensor
    ) -> RecurrentConstants:
        """Make multipliers and biases.

        Raises:
            InternalError: weights are so large that pre-activations could leave 32 bits, or the
                scale of a ReLU's codes is below two of their units.
        """
        bits = UNIT_BITS if params.activation == "tanh" else 0
        made = self.common(params, inputs, output, hidden_bits=bits)
        if not bits and made.finish.shift:
            raise InternalError(f"the scale of {output.name!r} is too small for its layer")
        return made

    def int_step(
        self,
        params: RnnParams,
        k: RecurrentConstants,
        x: IntArray,
        states: States,
        given: Mapping[str, Array],
    ) -> States:
        """One step in integers."""
        pre = k.clamped(x + k.pre.hidden.part(states[0], given["recurrent"]))
        value = tanh(pre, k.pre.bits) if params.activation == "tanh" else np.maximum(pre, 0)
        hidden = k.finish(value)
        return hidden, hidden

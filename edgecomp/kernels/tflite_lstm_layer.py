"""What every kernel of an LSTM in TFLite's arithmetic shares, whatever the size of its codes."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.recurrent_shape import RecurrentShape
from edgecomp.requant.tflite16_functions import sigmoid_table


class TfliteLstmKernel(Kernel):
    """One template; unless a kernel says otherwise, unit by unit."""

    op: ClassVar[str] = "lstm"
    template: ClassVar[str] = "tflite_lstm/layer.c.j2"

    @abstractmethod
    def row_constants(self, layer: Layer) -> list[Constant]:
        """What the products of both matrices read."""

    def shape(self, layer: Layer) -> RecurrentShape:
        """Sizes; the scratch begins with the cell states."""
        return RecurrentShape(layer, 0)

    def scratch_bytes(self, layer: Layer) -> int:
        """Cell states, and hidden states that no tensor holds."""
        return self.shape(layer).scratch_bytes

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """What the products read, and the hidden state to begin with."""
        return [*self.row_constants(layer), *self.shape(layer).constants()]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes, integers, and the table of the sigmoid."""
        return {
            "s": self.shape(layer),
            "k": layer.prepared.cell,
            "table": np.array(sigmoid_table()),
            "fast": None,
        }

"""How sums become codes on Armv6-M: the pieces of the multiplier, in either arithmetic."""

from collections.abc import Iterable
from dataclasses import dataclass

from edgecomp.kernels.base import Layer
from edgecomp.requant.pieces import Pieces, signed_pieces
from edgecomp.requant.tflite import TfliteConstants
from edgecomp.requant.tflite_pieces import Shortened, shortened


@dataclass(frozen=True)
class EndingM0:
    """What a layer's accumulators are multiplied by.

    Attributes:
        pieces: how the multiplier is cut.
        short: what takes the place of TFLite's arithmetic; None for ours.
    """

    pieces: Pieces
    short: Shortened | None = None

    @classmethod
    def of(cls, layer: Layer, tried: Iterable[Pieces]) -> "EndingM0 | None":
        """Return the first that is proved for every accumulator of a linear layer.

        Args:
            layer: its multipliers need no shift.
            tried: cuts for our arithmetic; TFLite's has its own.
        """
        k = layer.prepared
        if isinstance(k, TfliteConstants):
            short = shortened(k)
            return cls(short.pieces, short) if short else None
        pieces = signed_pieces(k.acc_min, k.acc_max, k.multiplier, k.zero_point, k.low, tried)
        return cls(pieces) if pieces else None

    def name(self, function: str) -> str:
        """Return what a function is called that ends so."""
        return self.short.name(function) if self.short else function

"""What happens to raw numbers before the network sees them."""

from dataclasses import dataclass

import numpy as np

from edgecomp.data.layout import LAYOUTS
from edgecomp.errors import UserError
from edgecomp.ir import Array

Numbers = float | tuple[float, ...]


@dataclass(frozen=True)
class Preprocessing:
    """`real = (x * scale - mean) / std`, channel by channel where there are several numbers.

    Attributes:
        scale: factor of the raw values.
        mean: subtracted; one number or one per channel.
        std: divided by; one number or one per channel; never 0.
        layout: how the axes of one sample lie (`hwc`, `chw`, `hw`, `wc`, `cw`); None where they lie
            as the model wants them.
    """

    scale: float = 1.0
    mean: Numbers = 0.0
    std: Numbers = 1.0
    layout: str | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that no sample could survive.

        Raises:
            UserError: a number is not finite, `std` has a zero, or `layout` is unknown.
        """
        for name, values in (("scale", self.scale), ("mean", self.mean), ("std", self.std)):
            if not np.isfinite(values).all():
                raise UserError(f"preprocessing: {name} must be finite, not {values}")
        if not np.all(self.std) or not self.scale:
            raise UserError("preprocessing: std and scale must not be 0")
        if self.layout is not None and self.layout not in LAYOUTS:
            raise UserError(
                f"preprocessing: unknown layout {self.layout!r}; choose from {', '.join(LAYOUTS)}"
            )

    def check_channels(self, channels: int, name: str) -> None:
        """Refuse lists of numbers that do not fit the channels of input `name`."""
        for key, values in (("mean", self.mean), ("std", self.std)):
            if isinstance(values, tuple) and len(values) != channels:
                raise UserError(
                    f"preprocessing: {key} has {len(values)} numbers, but input {name!r} has "
                    f"{channels} channels"
                )

    def apply(self, x: Array) -> Array:
        """Real values (float32) of raw values `(..., channels)` in the device's layout."""
        mean, std = np.asarray(self.mean, np.float64), np.asarray(self.std, np.float64)
        if self == Preprocessing(layout=self.layout):
            return x.astype(np.float32)
        return np.asarray(((x.astype(np.float64) * self.scale - mean) / std).astype(np.float32))

"""Pictures that are mirrored and moved a little while a network trains on them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

PICTURE_RANK = 5
"""Axes of a batch of pictures: samples, the device's batch of 1, height, width, channels."""


@dataclass(frozen=True)
class Augmentation:
    """How samples are varied; inputs that are no pictures stay as they are.

    Attributes:
        flip: mirror half of the pictures, left to right.
        shift: move pictures by at most so many pixels, zeros coming in.
    """

    flip: bool = False
    shift: int = 0

    def apply(self, x: "Tensor", generator: Any) -> "Tensor":
        """Vary a batch `(samples, *shape)`, as `generator` draws."""
        import torch
        from torch.nn import functional

        if x.dim() != PICTURE_RANK or not (self.flip or self.shift):
            return x
        samples, _, height, width, _ = x.shape
        if self.flip:
            chosen = torch.rand(samples, generator=generator) < 0.5
            x = torch.where(chosen.reshape(-1, 1, 1, 1, 1), x.flip(3), x)
        if self.shift:
            wide = functional.pad(x, (0, 0, *(self.shift,) * 4))
            reach = 2 * self.shift + 1
            down, right = torch.randint(reach, (2, samples, 1), generator=generator)
            rows = (down + torch.arange(height))[:, :, None]
            columns = (right + torch.arange(width))[:, None, :]
            x = wide[torch.arange(samples)[:, None, None], 0, rows, columns][:, None]
        return x


NONE = Augmentation()
"""Samples as they are."""

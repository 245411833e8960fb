"""What a network of the zoo is made for: its input, its classes, its size."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Design:
    """The parameters of a network.

    Attributes:
        shape: of the input without the batch, channels first.
        classes: outputs.
        width: factor of the number of channels.
        depth: factor of the number of repeated blocks.
        se: whether blocks that may have it have squeeze and excitation.
    """

    shape: tuple[int, ...]
    classes: int
    width: float = 1.0
    depth: float = 1.0
    se: bool = False

    def channels(self, count: float) -> int:
        """`count` channels at this width, a multiple of 4 from 16 channels on.

        >>> Design((3, 32, 32), 10, width=0.3).channels(64)
        20
        """
        scaled = count * self.width
        return max(1, round(scaled)) if scaled < 16 else 4 * round(scaled / 4)

    def repeats(self, count: int) -> int:
        """`count` blocks at this depth, at least one.

        >>> Design((3, 32, 32), 10, depth=0.5).repeats(4)
        2
        """
        return max(1, round(count * self.depth))

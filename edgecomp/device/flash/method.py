"""A way to bring an image onto a board."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edgecomp.device.flash.job import FlashJob, FlashResult


@dataclass(frozen=True)
class Method:
    """One way.

    Attributes:
        name: as users and the board table write it.
        title: in a few words.
        needs: `port`, where a serial port must be named, or `nothing`.
        run: does it.
    """

    name: str
    title: str
    needs: Literal["port", "nothing"]
    run: Callable[[FlashJob], FlashResult]

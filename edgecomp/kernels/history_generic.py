"""Windows that move on, and rings, in plain C."""

import math
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Kernel, Layer
from edgecomp.kernels.events import in_order
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule


def mover(*sizes: int) -> str:
    """The helper that moves codes: by words where every size and distance is a multiple of 4."""
    return "ec_move_any" if any(size % 4 for size in sizes) else "ec_move_words"


def is_kept(layer: Layer) -> bool:
    """Whether the output is a state, which lies exactly over the first input."""
    return any(state.update == layer.output.name for state in layer.graph.states)


class ShiftGeneric(Kernel):
    """Move what stays to the window's begin, copy the new frames behind it."""

    name: ClassVar[str] = "shift_generic"
    op: ClassVar[str] = "shift"
    template: ClassVar[str] = "history/shift.c.j2"

    def schedule(self, layer: Layer) -> Schedule:
        """The window in order: each element is one of the old window or one that is new."""
        sizes = self._sizes(layer)
        element = np.arange(layer.output.size, dtype=np.int64)
        row, place = element // sizes["window"], element % sizes["window"]
        stays = place < sizes["stays"]
        new = row * sizes["new"] + place - sizes["stays"]
        old = element + sizes["new"]
        return in_order(
            Reads(np.where(stays, old, NOTHING), np.where(stays, old, -1)),
            Reads(np.where(stays, NOTHING, new), np.where(stays, -1, new)),
        )

    def _sizes(self, layer: Layer) -> dict[str, int]:
        """Rows, and what a row has of the window, of what stays, and of new frames."""
        axis = layer.params.axis
        window, new = (math.prod(tensor.shape[axis:]) for tensor in layer.inputs)
        rows = math.prod(layer.output.shape[:axis])
        return {"rows": rows, "window": window, "stays": window - new, "new": new}

    def context(self, layer: Layer) -> dict[str, Any]:
        """The sizes of what is moved."""
        sizes = self._sizes(layer)
        return {**sizes, "move": mover(sizes["window"], sizes["new"])}


class RingGeneric(Kernel):
    """Copy the new frames to the next slot."""

    name: ClassVar[str] = "ring_generic"
    op: ClassVar[str] = "ring"
    template: ClassVar[str] = "history/ring.c.j2"
    in_place: ClassVar[tuple[int, ...]] = (0,)

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes, where the slot's number lies, and whether the ring is copied first."""
        ring, size = layer.params, layer.inputs[1].size
        return {
            **place_of_number(layer),
            "slots": ring.slots,
            "slot_bytes": size,
            "ring_bytes": layer.output.size,
            "is_kept": is_kept(layer),
            "move": mover(size),
        }


class TapsGeneric(Kernel):
    """Copy frame by frame, going around the ring."""

    name: ClassVar[str] = "taps_generic"
    op: ClassVar[str] = "taps"
    template: ClassVar[str] = "history/taps.c.j2"

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes and distances."""
        taps = layer.params
        return {
            **place_of_number(layer),
            "slots": taps.slots,
            "step": taps.step,
            "frames": taps.frames,
            "frame_bytes": taps.frame_elements,
            "age": taps.age,
            "spacing": taps.spacing,
            "count": taps.count,
            "move": mover(taps.frame_elements),
        }


def place_of_number(layer: Layer) -> dict[str, Any]:
    """Where the number of the slot lies that was written last, and whether it has two bytes."""
    ring = layer.params
    return {"number_at": ring.elements, "is_wide": ring.shape[1] > ring.elements + 1}

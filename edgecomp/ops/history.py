"""What a streaming network remembers: windows that move on, and rings.

These layers are made by `edgecomp.passes.stream`, no model file has them.  The first input of
`shift` and `ring` is a state of the graph, and their output its update.

A ring of F frames is one flat tensor: the frames, then the number of the slot that was written
last, in one byte or two, the low one first.  A slot holds the frames of one run.  Any codes are a
ring: a number that is no slot is read as 0, and slot 0 is written after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.ir import Array, OpParams, Shape, Tensor
from edgecomp.ops.base import Constraint
from edgecomp.ops.movement import Movement


@dataclass(frozen=True)
class ShiftParams(OpParams):
    """The axis along which the window moves."""

    axis: int


def window_holds_the_frames(params: ShiftParams, inputs: Sequence[Tensor]) -> bool:
    """The new frames must fit the window, of the same size along every other axis."""
    window, frames = (list(tensor.shape) for tensor in inputs)
    fits = frames.pop(params.axis) <= window.pop(params.axis)
    return fits and window == frames


class Shift(Movement[ShiftParams]):
    """The window moved on: its oldest frames leave, the second input's join at the end."""

    name: ClassVar[str] = "shift"

    def constraints(self) -> Sequence[Constraint[ShiftParams]]:
        """Limits of a window."""
        return (window_holds_the_frames,)

    def infer(self, params: ShiftParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: the window's."""
        return inputs[0].shape

    def float_ref(
        self, params: ShiftParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Take the last frames of both."""
        axis = params.axis + 1
        both = np.concatenate(arrays, axis=axis)
        length = arrays[0].shape[axis]
        return np.take(both, np.arange(-length, 0), axis=axis)


@dataclass(frozen=True)
class RingParams(OpParams):
    """Size of a ring.

    Attributes:
        frames: that it holds, a multiple of `step`.
        frame_elements: elements of a frame.
        step: frames of a slot.
    """

    frames: int
    frame_elements: int
    step: int = 1

    @property
    def slots(self) -> int:
        """Number of slots."""
        return self.frames // self.step

    @property
    def elements(self) -> int:
        """Elements of the frames; the slot's number lies behind them."""
        return self.frames * self.frame_elements

    @property
    def shape(self) -> Shape:
        """Shape of the ring's tensor."""
        return (1, self.elements + (1 if self.slots <= 256 else 2))

    def number(self, ring: Tensor, array: Array) -> Array:
        """The number behind the frames, by sample."""
        number = array[:, 0, self.elements :]
        if number.dtype.kind == "f":
            assert ring.qparams is not None
            number = ring.qparams.quantize(number)
        return np.asarray((number.astype(np.int64) & 255) @ (256 ** np.arange(number.shape[1])))

    def numbered(self, ring: Tensor, slot: Array, like: Array) -> Array:
        """The last elements of a ring: a slot's number, `(samples, bytes)`, as `like` has codes."""
        count = self.shape[1] - self.elements
        codes = (slot[:, None] >> (8 * np.arange(count)) & 255).astype(np.uint8).view(np.int8)
        if like.dtype.kind != "f":
            return codes
        assert ring.qparams is not None
        return ring.qparams.dequantize(codes)


def ring_holds_the_frames(params: RingParams, inputs: Sequence[Tensor]) -> bool:
    """The ring must have whole slots, and the second input the frames of one."""
    size = params.step * params.frame_elements
    whole = params.frames % params.step == 0 and params.slots <= 65536
    return whole and inputs[0].shape == params.shape and inputs[1].size == size


class Ring(Movement[RingParams]):
    """The ring with the second input's frames in its next slot."""

    name: ClassVar[str] = "ring"

    def constraints(self) -> Sequence[Constraint[RingParams]]:
        """Limits of a ring."""
        return (ring_holds_the_frames,)

    def infer(self, params: RingParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: the ring's."""
        return inputs[0].shape

    def float_ref(
        self, params: RingParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Write one slot."""
        ring = arrays[0].copy()
        samples = np.arange(len(ring))
        last = params.number(inputs[0], ring)
        slot = np.where(last < params.slots - 1, last + 1, 0)
        slots = ring[:, 0, : params.elements].reshape(len(ring), params.slots, -1)
        slots[samples, slot] = arrays[1].reshape(len(ring), -1)
        ring[:, 0, : params.elements] = slots.reshape(len(ring), -1)
        ring[:, 0, params.elements :] = params.numbered(inputs[0], slot, ring)
        return ring


@dataclass(frozen=True)
class TapsParams(RingParams):
    """Which frames of a ring are read: at equal distances, the oldest first.

    Attributes:
        age: of the first one: 0 for the frame that was written last.
        spacing: frames from one to the next.
        output: shape of what is read.
    """

    age: int = 0
    spacing: int = 1
    output: Shape = ()

    @property
    def count(self) -> int:
        """Number of frames that are read."""
        return int(np.prod(self.output)) // self.frame_elements


def frames_are_in_the_ring(params: TapsParams, inputs: Sequence[Tensor]) -> bool:
    """The frames that are read must be in the ring."""
    newest = params.age - params.spacing * (params.count - 1)
    return inputs[0].shape == params.shape and 0 <= newest <= params.age < params.frames


class Taps(Movement[TapsParams]):
    """Frames of a ring in the order of time."""

    name: ClassVar[str] = "taps"

    def constraints(self) -> Sequence[Constraint[TapsParams]]:
        """Limits of what is read."""
        return (frames_are_in_the_ring,)

    def infer(self, params: TapsParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape as asked."""
        return params.output

    def float_ref(
        self, params: TapsParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Read frames."""
        ring = arrays[0]
        number = params.number(inputs[0], ring)
        slot = np.where(number < params.slots, number, 0)
        newest = slot * params.step + params.step - 1
        ages = params.age - params.spacing * np.arange(params.count)
        index = (newest[:, None] - ages) % params.frames
        frames = ring[:, 0, : params.elements].reshape(len(ring), params.frames, -1)
        taken = frames[np.arange(len(ring))[:, None], index]
        return np.ascontiguousarray(taken).reshape(len(ring), *params.output)

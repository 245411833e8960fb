"""Convolution on Armv6-M: eight pixels at a time in five words."""

from collections.abc import Sequence
from typing import Any, ClassVar

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.events import window_reads
from edgecomp.kernels.finish import requantize_refusal
from edgecomp.kernels.gemm_dsp import block_schedule
from edgecomp.kernels.octets_m0 import CENTRE, PIXELS, WORDS, Octets, octets
from edgecomp.kernels.plain_windows import no_plain_window
from edgecomp.kernels.schedule import Reads, Schedule
from edgecomp.ops.base import as_nhwc
from edgecomp.ops.linear import LinearConstants
from edgecomp.targets.cores import Core


def _prepare(layer: Layer) -> Octets | None:
    weights: Array = layer.inputs[1].value
    return octets(weights.reshape(len(weights), -1), layer.prepared)


def function_name(name: str, *numbers: int) -> str:
    """Return a C name that says on what a shared function depends.

    >>> function_name("octets", -128, 127)
    'octets_m128_127'
    """
    return "_".join([name, *(str(number).replace("-", "m") for number in numbers)])


def _inside(size: int, out_size: int, kernel: int, stride: int, pad: int) -> range:
    """Outputs along an axis whose windows lie inside the input."""
    first = -(-pad // stride)
    last = min((size + pad - kernel) // stride, out_size - 1)
    return range(first, max(last + 1, first))


def _inner(layer: Layer) -> list[str]:
    """C conditions for 8 windows of one row inside the input; empty if there are none."""
    window = layer.params
    _, height, width, _ = as_nhwc(layer.inputs[0].shape)
    _, out_height, out_width, _ = as_nhwc(layer.output.shape)
    rows = _inside(height, out_height, window.kernel_h, window.stride_h, window.pad_top)
    columns = _inside(width, out_width, window.kernel_w, window.stride_w, window.pad_left)
    last = columns.stop - PIXELS
    if not rows or last < columns.start:
        return []
    conditions = [
        (f"row >= {rows.start}", rows.start > 0),
        (f"row < {rows.stop}", rows.stop < out_height),
        (f"column >= {columns.start}", columns.start > 0),
        (f"column <= {last}", True),
    ]
    return [text for text, needed in conditions if needed]


class Conv2dM0(Kernel):
    """8 pixels x 1 channel at once, two products and more per multiplication."""

    name: ClassVar[str] = "conv2d_m0"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/m0_octets.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Plain convolutions of at least 8 pixels and 4 channels."""
        if not core.is_v6m:
            return "the core is not of Armv6-M"
        if reason := no_plain_window(layer):
            return reason
        _, out_height, out_width, out_channels = as_nhwc(layer.output.shape)
        if out_height * out_width < PIXELS or out_channels < 4:
            return f"fewer than {PIXELS} pixels or 4 channels"
        if reason := requantize_refusal(layer):
            return reason
        if _prepare(layer) is None:
            return "no multiplier of few pieces is exact for every accumulator"
        return None

    def _octets(self, layer: Layer) -> Octets:
        found = _prepare(layer)
        assert found is not None
        return found

    def _border_bytes(self, layer: Layer) -> int:
        """Bytes of 8 rows of a window that reach outside."""
        window, channels = layer.params, layer.inputs[0].shape[-1]
        return PIXELS * window.kernel_w * channels if window.has_padding else 0

    def _kept(self, layer: Layer) -> int:
        """Pixels that the last two blocks of a 1x1 convolution share: they are kept apart."""
        pixels = layer.output.size // layer.output.shape[-1]
        return -pixels % PIXELS if layer.params.is_pointwise else 0

    def _aside_bytes(self, layer: Layer) -> int:
        """Bytes of rows at the border, or of pixels that are kept."""
        return self._border_bytes(layer) or self._kept(layer) * int(layer.inputs[0].shape[-1])

    def scratch_bytes(self, layer: Layer) -> int:
        """Starts of each chunk, words of 8 windows, and what lies beside them."""
        chunks = self._octets(layer).chunks
        return 4 * WORDS * (chunks.count + chunks.taps) + self._aside_bytes(layer)

    def schedule(self, layer: Layer) -> Schedule | None:
        """Blocks of 8 pixels in order; each reads its windows before it writes.

        What the last block shares with the one before is read first of all.
        """
        channels = layer.inputs[0].shape[-1]
        windows = window_reads(layer, [0], [channels - 1])
        kept, pixels = self._kept(layer), len(windows.low)
        if kept:
            low, high = windows.low.copy(), windows.high.copy()
            low[-PIXELS : kept - PIXELS] = low[kept - PIXELS]
            whole = block_schedule(Reads(low, high), PIXELS, layer.output.shape[-1])
            whole.reads[0].high[0] = max(
                whole.reads[0].high[0], (pixels - PIXELS + kept) * channels - 1
            )
            return whole
        return block_schedule(windows, PIXELS, layer.output.shape[-1])

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        found = self._octets(layer)
        ends = "a quarter of the multiplier" + (
            "" if found.chunks.count > 1 and found.short is None else ", addend"
        )
        comment = f"by channel: start, bytes of weight + 128, {ends}"
        return [Constant("stream", "uint32_t", found.stream, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes, the function and where windows lie inside the input."""
        found, k = self._octets(layer), layer.prepared
        shapes = window_context(layer)
        window = layer.params
        return {
            **shapes,
            "o": found,
            "name": self._function(found, k),
            "pixels": shapes["out_height"] * shapes["out_width"],
            "row_taps": window.kernel_w * shapes["channels"],
            "taps": window.kernel_h * window.kernel_w * shapes["channels"],
            "inner": _inner(layer),
            "centre": CENTRE if found.chunked else 0,
            "words_offset": WORDS * found.chunks.count,
            "kept": self._kept(layer),
            "aside_offset": 4 * WORDS * (found.chunks.count + found.chunks.taps),
        }

    def _function(self, found: Octets, k: LinearConstants) -> str:
        if not found.chunked:
            return function_name("octets_wide" if found.wide else "octets", k.low, k.high)
        pieces = found.pieces
        cut = (pieces.count, pieces.bits)
        if found.short is not None:
            return found.short.name(function_name("octets_chunked", *cut, k.low, k.high))
        return function_name("octets_chunked", *cut, k.zero_point, k.low, k.high)

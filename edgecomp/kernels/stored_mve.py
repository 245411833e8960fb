"""Coded weights for convolutions on cores with Helium (MVE): some channels at a time.

The part of the stream that belongs to a block of channels is decoded into scratch, and the product
of plain layers computes these channels of all pixels.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Layer
from edgecomp.kernels.conv2d_mve import Conv2dMve
from edgecomp.kernels.finish import vector_words
from edgecomp.kernels.gemm_mve import CHANNELS, LANES, Gemm, blocks_of
from edgecomp.kernels.schedule import Schedule
from edgecomp.kernels.stored import Stored, packed_multipliers
from edgecomp.kernels.windows_mve import Windows
from edgecomp.storage import STORAGES
from edgecomp.targets.cores import Core

DECODED_BYTES = 2048
"""Scratch for decoded weights: as many blocks of four channels as fit."""
LEAST_BLOCKS = 4
"""Blocks that are decoded at once at least: fewer do not pay for copying windows again."""


class ConvBlocksMve(Stored, Conv2dMve):
    """2 pixels x 4 channels at once, some channels after the others."""

    template: ClassVar[str] = "conv2d/stored_mve.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Plain convolutions of any size, with weights that can be stored so."""
        if layer.node.numerics != "edgecomp":
            return f"its numerics are {layer.node.numerics}"
        reason = Conv2dMve.applies(self, layer, core)
        return reason or STORAGES[self.storage].refusal(self.ordered(layer))

    def _at_once(self, layer: Layer) -> int:
        """Channels of a block: as even parts as possible of all."""
        w = Windows.of(layer)
        steps = -(-w.inputs // LANES)
        fitting = DECODED_BYTES // (CHANNELS * (LANES * steps + 8))
        most = CHANNELS * max(fitting, LEAST_BLOCKS)
        return -(-w.out_channels // -(-w.out_channels // most))

    def _gemm(self, layer: Layer, w: Windows) -> Gemm:
        channels = self._at_once(layer)
        row = w.out_channels if channels < w.out_channels else 0
        k = layer.prepared
        return Gemm(w.inputs, w.pixel_stride, channels, k, not w.direct, w.aligned, row)

    def _channels(self, layer: Layer) -> Array:
        """The channels of each block of four `(fours, 4)`; -1 is a channel of zeros."""
        at_once, channels = self._at_once(layer), layer.output.shape[-1]
        firsts = [min(first, channels - at_once) for first in range(0, channels, at_once)]
        blocks = [first + np.arange(at_once) for first in firsts]
        return np.concatenate([blocks_of(block + 1, CHANNELS) - 1 for block in blocks])

    def ordered(self, layer: Layer) -> Array:
        """By four channels, by 16 inputs."""
        weights = Windows.of(layer).matrix(layer.inputs[1].value)
        filled = np.pad(weights, ((0, 0), (0, -weights.shape[1] % LANES))).astype(np.int8)
        fours = self._channels(layer)
        chosen = np.where((fours >= 0)[:, :, None], filled[fours], 0)
        by_step = chosen.reshape(*fours.shape, -1, LANES).swapaxes(1, 2)
        return np.ascontiguousarray(by_step, dtype=np.int8)

    def _own_scratch(self, layer: Layer) -> int:
        """Copied windows, up to the next word."""
        return -(-Windows.of(layer).scratch_bytes // 4) * 4

    def decode_bytes(self, layer: Layer) -> int:
        """The stream of the channels at once."""
        gemm = self._gemm(layer, Windows.of(layer))
        return 4 * gemm.blocks * gemm.block_words

    def scratch_bytes(self, layer: Layer) -> int:
        """Copied windows, and the decoded stream."""
        return self._own_scratch(layer) + self.decode_bytes(layer)

    def schedule(self, layer: Layer) -> Schedule | None:
        """The input is read again for every block of channels: nothing may lie over it."""
        return None

    @staticmethod
    def _multipliers(layer: Layer) -> Array:
        return vector_words(layer.prepared)[0]

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Coded weights, biases, multipliers."""
        fours = self._channels(layer)
        bias = np.where(fours >= 0, layer.prepared.bias[fours], 0).astype(np.int32)
        multipliers = self._multipliers(layer)
        starts = Constant("bias", "int32_t", bias, True, "by 4 channels: accumulator start")
        return [*self.coded_constants(layer), starts, packed_multipliers(multipliers, fours)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The block, and how many channels are decoded at once."""
        return {
            **Conv2dMve.context(self, layer),
            "own_scratch": self._own_scratch(layer),
            "out_channels": layer.output.shape[-1],
            "one_multiplier": len(np.unique(self._multipliers(layer))) == 1,
            "e": self.encoded(layer),
        }


class ConvPacked4Mve(ConvBlocksMve):
    """Weights of four bits."""

    name: ClassVar[str] = "conv2d_packed4_mve"
    storage: ClassVar[str] = "packed4"


class ConvCodebookMve(ConvBlocksMve):
    """Shared weights."""

    name: ClassVar[str] = "conv2d_codebook_mve"
    storage: ClassVar[str] = "codebook"


class ConvHuffmanMve(ConvBlocksMve):
    """Entropy-coded weights."""

    name: ClassVar[str] = "conv2d_huffman_mve"
    storage: ClassVar[str] = "huffman"


class ConvSparseMve(ConvBlocksMve):
    """Sparse weights."""

    name: ClassVar[str] = "conv2d_sparse_mve"
    storage: ClassVar[str] = "sparse"

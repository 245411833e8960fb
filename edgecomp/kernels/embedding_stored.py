"""Coded tables of which single rows are decoded, where they belong in the output: any core."""

from collections.abc import Sequence
from typing import Any, ClassVar

from edgecomp.kernels.base import Constant, Layer
from edgecomp.kernels.embedding_generic import EmbeddingGeneric, EmbeddingWide
from edgecomp.kernels.schedule import Schedule
from edgecomp.kernels.stored import Stored
from edgecomp.storage import STORAGES
from edgecomp.storage.row_starts import RowStarts, row_starts
from edgecomp.targets.cores import Core


class EmbeddingStored(Stored):
    """Decode a row of the table for each index."""

    op: ClassVar[str] = "embedding"
    template: ClassVar[str] = "embedding/stored.c.j2"
    is_generic: ClassVar[bool] = True
    plain: ClassVar[EmbeddingGeneric] = EmbeddingGeneric()

    def applies(self, layer: Layer, core: Core) -> str | None:
        """What the plain kernel computes of tables of bytes, where they can be stored so."""
        reason = self.plain.applies(layer, core)
        return reason or STORAGES[self.storage].refusal(self.ordered(layer))

    def starts(self, layer: Layer) -> RowStarts:
        """Where rows begin."""
        return row_starts(self.encoded(layer), self.ordered(layer))

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """The coded table, and places of its rows."""
        return [
            *self.coded_constants(layer),
            *(
                Constant(array.name, array.c_type, array.values, True, array.comment)
                for array in self.starts(layer).arrays
            ),
        ]

    def schedule(self, layer: Layer) -> Schedule:
        """That of the plain kernel: what is read over is written where the row will be."""
        return self.plain.schedule(layer)

    def context(self, layer: Layer) -> dict[str, Any]:
        """The values of the plain kernel's template, and how rows are found."""
        return {
            **self.plain.context(layer),
            "e": self.encoded(layer),
            "starts": self.starts(layer),
        }


class WideStored(EmbeddingStored):
    """Decode a row of the table for each int16 index."""

    code_type: ClassVar[str] = EmbeddingWide.code_type
    plain: ClassVar[EmbeddingGeneric] = EmbeddingWide()


class EmbeddingPacked4(EmbeddingStored):
    """Rows of four bits."""

    name: ClassVar[str] = "embedding_packed4"
    storage: ClassVar[str] = "packed4"


class EmbeddingCodebook(EmbeddingStored):
    """Rows of shared values."""

    name: ClassVar[str] = "embedding_codebook"
    storage: ClassVar[str] = "codebook"


class EmbeddingHuffman(EmbeddingStored):
    """Entropy-coded rows."""

    name: ClassVar[str] = "embedding_huffman"
    storage: ClassVar[str] = "huffman"


class EmbeddingSparse(EmbeddingStored):
    """Sparse rows."""

    name: ClassVar[str] = "embedding_sparse"
    storage: ClassVar[str] = "sparse"


class EmbeddingWidePacked4(WideStored):
    """Rows of four bits."""

    name: ClassVar[str] = "embedding_wide_packed4"
    storage: ClassVar[str] = "packed4"


class EmbeddingWideCodebook(WideStored):
    """Rows of shared values."""

    name: ClassVar[str] = "embedding_wide_codebook"
    storage: ClassVar[str] = "codebook"


class EmbeddingWideHuffman(WideStored):
    """Entropy-coded rows."""

    name: ClassVar[str] = "embedding_wide_huffman"
    storage: ClassVar[str] = "huffman"


class EmbeddingWideSparse(WideStored):
    """Sparse rows."""

    name: ClassVar[str] = "embedding_wide_sparse"
    storage: ClassVar[str] = "sparse"

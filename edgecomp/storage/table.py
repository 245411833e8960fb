"""The table of weight storages."""

from edgecomp.storage import codebook, dense8, huffman, packed4, sparse
from edgecomp.storage.base import Storage

STORAGES: dict[str, Storage] = {
    storage.name: storage
    for storage in (
        dense8.Dense8(),
        packed4.Packed4(),
        codebook.Codebook(),
        huffman.Huffman(),
        sparse.Sparse(),
    )
}
"""Every storage by name."""

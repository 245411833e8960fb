"""How weights lie in flash."""

from edgecomp.storage.allow import allow_storage
from edgecomp.storage.base import CodedArray, Encoded, Storage
from edgecomp.storage.table import STORAGES

__all__ = ["STORAGES", "CodedArray", "Encoded", "Storage", "allow_storage"]

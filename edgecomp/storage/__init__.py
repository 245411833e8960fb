"""How weights lie in flash."""

from edgecomp.storage.allow import DECODES, allow_storage
from edgecomp.storage.base import CodedArray, Encoded, Storage
from edgecomp.storage.found import Found, allow_found, look_at
from edgecomp.storage.table import STORAGES

__all__ = [
    "DECODES",
    "STORAGES",
    "CodedArray",
    "Encoded",
    "Found",
    "Storage",
    "allow_found",
    "allow_storage",
    "look_at",
]

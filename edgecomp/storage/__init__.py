"""How weights lie in flash."""

from edgecomp.storage import dense8
from edgecomp.storage.base import Storage

STORAGES: dict[str, Storage] = {storage.name: storage for storage in (dense8.Dense8(),)}
"""Every storage by name."""

__all__ = ["STORAGES", "Storage"]

"""Loaders, built once per board."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from edgecomp.build.loader import loader_elf
from tests.device.applications import get_board


@pytest.fixture(scope="session")
def loader_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that builds the loader of a board."""

    @cache
    def build(name: str) -> Path:
        return loader_elf(get_board(name), tmp_path_factory.mktemp(name))

    return build

"""The hand-made model, built once per board and fault."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from fake_support import INPUTS, LAYOUT, build, write_model
from object_cache import ObjectCache

from edgecomp.build import Images, compile_host_check, link
from edgecomp.device import CheckResult, HostEngine, run_samples
from edgecomp.targets.boards import get_board


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> ObjectCache:
    """Objects that `built` made: it compiles nothing twice for boards of the same core."""
    return ObjectCache(tmp_path_factory.mktemp("objects"), link.run_tool)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, objects: ObjectCache) -> Callable[..., Images]:
    """Return a function (board name, fault, stack bytes) that builds each combination once."""

    @cache
    def images(name: str, fault: int = 0, stack_bytes: int | None = None) -> Images:
        work = tmp_path_factory.mktemp("build") / "work"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(link, "run_tool", objects)
            return build(work, get_board(name), fault, stack_bytes)

    return images


@pytest.fixture(scope="session")
def host_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the check program for this host, with sanitizers."""
    work = write_model(tmp_path_factory.mktemp("host"))
    return compile_host_check(work, ["src/fake.c"], sanitizers=("address", "undefined"))


@pytest.fixture(scope="session")
def on_host(host_program: Path) -> CheckResult:
    """Return what the host computes for `INPUTS`."""
    return run_samples(HostEngine(host_program), LAYOUT, INPUTS, stage_crcs=True, dump=True)

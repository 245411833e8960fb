"""What all tests share: the data collection, the boards, the golden files."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from edgecomp.targets.boards import Board, load_boards

# As the command line sets it; numpy reads it when it is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# How fast examples are drawn says something about the machine only.
settings.register_profile("any machine", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

GOLDEN = Path(__file__).parent / "golden" / "expected"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch that accepts what is generated now."""
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files anew; read the diff"
    )


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The collection of models and data sets, which is not part of the repository."""
    root = os.environ.get("EDGECOMP_DATA")
    if root is None:
        pytest.skip("the environment variable EDGECOMP_DATA does not name the data collection")
    folder = Path(root)
    if not (folder / "models").is_dir() or not (folder / "datasets").is_dir():
        pytest.skip(f"EDGECOMP_DATA={root} has no folders models and datasets")
    return folder


@pytest.fixture(scope="session")
def emulated_boards() -> tuple[Board, ...]:
    """Every board that QEMU emulates."""
    return tuple(board for board in load_boards().values() if board.kind == "emulated")


class Golden:
    """Compares texts with the files under `golden/expected`."""

    def __init__(self, *, update: bool) -> None:
        self.update = update

    def check(self, name: str, text: str) -> None:
        """Compare `text` with the golden file `name`, or write it where that was asked for."""
        path = GOLDEN / name
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            return
        remedy = "run `pytest tests/golden --update-golden`, then read the diff before committing"
        assert path.exists(), f"there is no golden file {name}: {remedy}"
        assert text == path.read_text(), f"{name} is not what is generated now: {remedy}"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Golden files."""
    return Golden(update=request.config.getoption("--update-golden"))

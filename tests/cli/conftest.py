"""One model and one built folder for all tests of the command line."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.support import FAST, call, tiny_model, tiny_samples

BOARD = "mps2-an386"


@dataclass(frozen=True)
class Inputs:
    """A model and its samples."""

    model: Path
    data: Path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Return a model and samples that nobody changes."""
    folder = tmp_path_factory.mktemp("tiny")
    return Inputs(tiny_model(folder / "tiny.onnx"), tiny_samples(folder / "tiny.npz"))


@pytest.fixture(scope="session")
def pristine(tiny: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the model once."""
    out = tmp_path_factory.mktemp("built") / "tiny"
    answer = call("build", tiny.model, "--board", BOARD, "--data", tiny.data, *FAST, "-o", out)
    assert answer.code == 0, answer.err
    return out


@pytest.fixture
def built(pristine: Path, tiny: Inputs, tmp_path: Path) -> Path:
    """Return a copy of the built folder; the data lie where its manifest says."""
    copy = tmp_path / "built" / "tiny"
    shutil.copytree(pristine, copy)
    (tmp_path / "tiny").mkdir()
    data = tmp_path / tiny.data.parent.name
    data.mkdir(exist_ok=True)
    shutil.copy(tiny.data, data)
    return copy

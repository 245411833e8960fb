"""Two builds give the same bytes, wherever they are made."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.support import FAST, command, tiny_model, tiny_samples

BOARD = "mps2-an386"
DATE = re.compile(r"\b20\d\d-\d\d-\d\d\b|\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} ")


def build_elsewhere(folder: Path, model: Path, data: Path | None, **environment: str) -> Path:
    """Build in a process of its own, from another directory, with names relative to it."""
    folder.mkdir(parents=True)
    options = [] if data is None else ["--data", os.path.relpath(data, folder)]
    done = subprocess.run(
        command("build", os.path.relpath(model, folder), "--board", BOARD, *options, *FAST),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "out"


def shipped(folder: Path) -> dict[str, bytes]:
    """Content of `src/` and of the firmware's and the check image's files."""
    paths = [*(folder / "src").iterdir(), *folder.glob("firmware.*"), *folder.glob("check.*")]
    paths += [folder / "model_int8.onnx", folder / "plan.txt"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two builds of the same model, in directories of different depth and name."""
    inputs = tmp_path_factory.mktemp("inputs")
    model, data = tiny_model(inputs / "tiny.onnx"), tiny_samples(inputs / "tiny.npz")
    top = tmp_path_factory.mktemp("places")
    one = build_elsewhere(top / "a", model, data, PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C")
    two = build_elsewhere(
        top / "some where" / "else", model, data, PYTHONHASHSEED="2", TZ="Asia/Tokyo"
    )
    return one, two


def test_same_bytes_in_different_directories(places: tuple[Path, Path]) -> None:
    one, two = (shipped(place) for place in places)
    assert {name for name in one if one[name] != two.get(name)} == set()
    assert one.keys() == two.keys()
    assert {"firmware.elf", "firmware.bin", "firmware.hex", "firmware.map"} <= one.keys()
    assert len(one["firmware.bin"]) > 1000


def test_same_bytes_from_saved_qparams(places: tuple[Path, Path], tmp_path: Path) -> None:
    model = places[0] / "model_int8.onnx"
    one, two = (shipped(build_elsewhere(tmp_path / name, model, None)) for name in ("p", "q/r"))
    assert one == two


def test_no_path_date_or_name_of_this_machine(places: tuple[Path, Path]) -> None:
    words = [str(places[0].parent.parent), str(Path.home()), str(Path(__file__).parents[2])]
    words = [word for word in words if len(word) > 1]
    for place in places:
        manifest = json.loads((place / "manifest.json").read_text())
        assert all("/" not in word[:1] for line in manifest["commands"] for word in line.split())
        for path in (file for file in place.rglob("*") if file.is_file()):
            text = path.read_bytes().decode("latin-1")
            assert not [word for word in words if word in text], path
            if path.suffix not in {".elf", ".npz"}:
                assert not DATE.search(text), path


def test_manifest_commands_build_the_same_objects_again(places: tuple[Path, Path]) -> None:
    """Both manifests say the same; the commands are what a person would have to type."""
    one, two = (json.loads((place / "manifest.json").read_text()) for place in places)
    differing = {key for key in one if one[key] != two[key]}
    assert differing <= {"data", "sha256"}
    assert {k: v for k, v in one["sha256"].items() if two["sha256"][k] != v} == {}
    assert any(line.startswith("arm-none-eabi-gcc") for line in one["commands"])

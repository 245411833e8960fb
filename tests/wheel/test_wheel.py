"""The wheel, installed where the checkout is not: it brings all that a build needs."""

import json
import os
import site
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.support import FAST, tiny_model, tiny_samples

CHECKOUT = Path(__file__).resolve().parents[2]
SHIPPED = ("templates", "firmware", "boards.yaml")


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program that knows nothing of the checkout."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Installation:
    """An environment with the wheel in it."""

    wheel: Path
    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def program(self) -> Path:
        return self.folder / "bin" / "edgecomp"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Build the wheel and install it beside the dependencies, but without the checkout."""
    work = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", work, CHECKOUT, cwd=work)
    (wheel,) = work.glob("edgecomp-*.whl")
    folder = work / "environment"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
        "--no-index", "--disable-pip-version-check", wheel, cwd=work)  # fmt: skip
    (packages,) = folder.glob("lib/python*/site-packages")
    # Files that end in .pth are read in this folder only: the checkout, which one of them names in
    # the folder of the dependencies, stays out.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    return Installation(wheel, folder)


def test_wheel_holds_every_shipped_file(installed: Installation) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        names = set(archive.namelist())
    tracked = run("git", "ls-files", *SHIPPED, cwd=CHECKOUT).split()
    assert len(tracked) > 20
    assert {f"edgecomp/_resources/{name}" for name in tracked} <= names
    modules = run("git", "ls-files", "edgecomp", cwd=CHECKOUT).split()
    assert set(modules) <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith("tests/") for name in names)


def test_files_come_from_the_wheel(installed: Installation, tmp_path: Path) -> None:
    code = (
        "import edgecomp.paths as p; import edgecomp\n"
        "for path in (edgecomp.__file__, p.templates_dir(), p.firmware_dir(), p.boards_file()):\n"
        "    print(path)\n"
    )
    for line in run(installed.python, "-c", code, cwd=tmp_path).splitlines():
        assert Path(line).is_relative_to(installed.folder)


def test_installed_program_builds_and_checks_a_model(
    installed: Installation, tmp_path: Path
) -> None:
    tiny_model(tmp_path / "tiny.onnx")
    tiny_samples(tmp_path / "tiny.npz")
    run(installed.program, "build", "tiny.onnx", "--board", "mps2-an386", "--data", "tiny.npz",
        *FAST, cwd=tmp_path)  # fmt: skip
    run(installed.program, "check", "out", "--engine", "host", cwd=tmp_path)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["bit_exact"] == {"tensors": 3, "samples": 4, "mismatches": 0}
    assert str(CHECKOUT) not in (tmp_path / "out" / "manifest.json").read_text()

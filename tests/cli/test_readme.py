"""The README is true: its commands run, its files appear, its C compiles, its tables are right."""

import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from edgecomp import errors
from edgecomp.build.flags import WARNING_FLAGS
from edgecomp.cli.app import app
from edgecomp.config import parse_recipe
from tests.cli.conftest import Inputs
from tests.cli.support import call, tiny_model, tiny_samples

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def commands() -> list[list[str]]:
    lines = [line for text in blocks("sh") for line in text.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("edgecomp ")]


def test_commands_run_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_model(tmp_path / "model.onnx")
    tiny_samples(tmp_path / "samples.npz")
    np.savez(tmp_path / "pictures.npz", x=np.load("samples.npz")["x"][:3])
    names = []
    for arguments in commands():
        answer = call(*arguments)
        assert answer.code == 0, (arguments, answer.err)
        names.append(arguments[0])
    assert names[:3] == ["build", "check", "run"]
    assert set(np.load("answers.npz").files) == {"y", "y_q"}
    listed = README.split("### What the output folder holds")[1].split("\n\n")[1]
    for first, *_ in (line.split("|")[1:] for line in listed.splitlines()[2:]):
        for name in re.sub(r"[`]", "", first).split():
            stem = "firmware" if "firmware" in first else "check"
            path = Path("out/model") / (f"{stem}{name}" if name.startswith(".") else name)
            assert path.exists(), path


def test_every_command_and_option_that_is_named_exists() -> None:
    known = get_command(app).commands  # type: ignore[attr-defined]
    options = {name for made in known.values() for p in made.params for name in p.opts}
    prose = "".join(re.split(r"^```\w*\n.*?^```$", README, flags=re.MULTILINE | re.DOTALL))
    code = " ".join(re.findall(r"`([^`]+)`", prose))
    assert set(re.findall(r"(?<!\S)(--[a-z][a-z-]+)", code)) <= options
    assert set(re.findall(r"edgecomp ([a-z]+)", code)) <= set(known)


def test_exit_codes_are_those_of_the_errors() -> None:
    table = README.split("| exit code |")[1].split("\n\n")[0]
    listed = {int(n) for n in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    kinds = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.EdgecompError)
    ]
    assert listed == {kind.exit_code for kind in kinds} | {130}


def test_recipes() -> None:
    preprocessing, steps = (parse_recipe(text) for text in blocks("yaml"))
    assert preprocessing.data.layout == "hwc"
    assert preprocessing.quantize.calibration == "auto"
    assert [step.verb for step in steps.steps] == ["prune", "distill", "quantize", "huffman"]
    assert steps.target.accuracy == 0.85


def test_figures_of_compression_are_the_measured_ones() -> None:
    measured = (ROOT / "benchmarks" / "compression.md").read_text(encoding="utf-8")
    assert "| 19,332 | **55.2x** |" in measured
    assert "0.91 points in int8" in measured
    assert "down by 1.83 and\n  cycles by 1.84" in measured
    assert "55 times smaller than float32" in README
    assert "nearly half of its flash and cycles for 0.9 points" in README


def test_c_example_compiles(built: Path, tiny: Inputs, tmp_path: Path) -> None:
    text = blocks("c")[0]
    name = tiny.model.stem
    own = text.replace("kws_", f"{name}_").replace("KWS_", f"{name.upper()}_")
    arena, _, calls = own.partition("\n\n")
    (tmp_path / "use.c").write_text(
        f'#include "{name}.h"\n\n{arena}\n\nint use(const float *features);\n'
        f"int use(const float *features)\n{{\n{calls}\n    return word;\n}}\n"
    )
    done = subprocess.run(
        ["gcc", "-std=c99", *WARNING_FLAGS, f"-I{built / 'src'}", "-c", "use.c"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

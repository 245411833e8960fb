"""The firmware's parser under any input, with sanitizers: the corpus, then what libFuzzer finds."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from serial_support import compile_native

CORPUS = Path(__file__).parent / "corpus"
MOST_CORPUS_BYTES = 40_000


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory):
    return compile_native(tmp_path_factory.mktemp("fuzz"), fuzz=True, compiler="clang")


def run(fuzzer: Path, folder: Path, *options: str) -> str:
    done = subprocess.run(
        [fuzzer, *options, "-timeout=10", "-malloc_limit_mb=64", f"-artifact_prefix={folder}/"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stderr


def test_the_corpus_passes(fuzzer, tmp_path):
    files = sorted(CORPUS.iterdir())
    assert len(files) > 10
    assert sum(file.stat().st_size for file in files) < MOST_CORPUS_BYTES
    assert "Executed" in run(fuzzer, tmp_path, *(str(file) for file in files))


@pytest.mark.parametrize("seconds", [3, pytest.param(600, marks=pytest.mark.slow)])
def test_new_inputs_pass(fuzzer, seconds, tmp_path):
    (tmp_path / "found").mkdir()
    shutil.copytree(CORPUS, tmp_path / "corpus")
    report = run(
        fuzzer,
        tmp_path,
        f"-max_total_time={seconds}",
        "-max_len=1500",
        "-print_final_stats=1",
        "found",
        "corpus",
    )
    (executed,) = re.findall(r"stat::number_of_executed_units: *(\d+)", report)
    print(f"{executed} inputs in {seconds} s")

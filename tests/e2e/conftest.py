"""Real networks, built once per session, and the record of what acceptance measured."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from edgecomp.artifact import BuiltModel, open_artifact
from edgecomp.pipeline import build
from tests.e2e.real_models import (
    BOARDS,
    LABELLED,
    MODELS,
    ON_SMALL_BOARD,
    few_samples,
    request,
)
from tests.e2e.record import FILE, Table, document

FIRST_BOARD = "mps2-an386"
BIT_SAMPLES = 20


@dataclass(frozen=True)
class Built:
    """A real network built for the M4, and 20 samples that compare bits on the other cores."""

    model: BuiltModel
    report: dict[str, Any]
    few: Path


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of everything that is built here."""
    return tmp_path_factory.mktemp("real")


@pytest.fixture(scope="session")
def first(data_dir: Path, work: Path) -> Callable[[str], Built]:
    """Return a function that builds a network from its float file, once."""

    @cache
    def made(name: str) -> Built:
        wish = request(name, FIRST_BOARD, data_dir, work, limit=40)
        report = build(wish)
        few = few_samples(name, data_dir, work, BIT_SAMPLES)
        return Built(open_artifact(wish.out), report, few)

    return made


@dataclass(frozen=True)
class Record:
    """The tables of `benchmarks/ACCEPTANCE.md`."""

    accuracy: Table
    bits: Table
    time: Table


@pytest.fixture(scope="session")
def record() -> Iterator[Record]:
    """Collect what slow tests measure; written only when every row is there."""
    tables = Record(
        Table(
            "Accuracy",
            "Share of right answers on the samples that did not calibrate; on the device "
            "(Cortex-M4F in QEMU) on the first of them, beside the host's on the same ones.",
            (
                "model", "samples", "float", "int8", "device samples", "int8 on them", "device",
                "elements that differ",
            ),
            len(LABELLED),
        ),
        Table(
            "Bits, stack and arena",
            "Every tensor that a stage stores, against the integer reference; each of them has 10 "
            "different codes or more. Stack: of the check image, without the exception frame.",
            (
                "model", "board", "core", "samples", "tensors", "elements that differ",
                "stack bound", "stack used", "arena", "arena used", "flash", "seconds",
            ),
            len(MODELS) * len(BOARDS) + len(ON_SMALL_BOARD),
        ),
        Table(
            "Time of the tool",
            "Two processors. The limit is one of wall-clock time on an idle machine; where others "
            "keep it busy, processor time is the measure, which is never less.",
            ("what", "wall-clock s", "processor s", "limit s"),
            3,
        ),
    )  # fmt: skip
    yield tables
    all_tables = (tables.accuracy, tables.bits, tables.time)
    if all(table.is_complete for table in all_tables):
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(document(all_tables), encoding="utf-8")

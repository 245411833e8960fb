"""The journal of a check: whatever happens to the file, no answer in it is ever a wrong one."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecomp.device.journal import Journal
from edgecomp.device.protocol import LayerReport
from edgecomp.device.serial_session import Answer
from edgecomp.errors import UserError

BUILD = 0xABCD


def answer(number: int) -> Answer:
    layers = (LayerReport(number, 0, 10, number), LayerReport(number, 1, 20, 7)) * (number % 2)
    return Answer(bytes([number, 255]), 1000 + number, 64, 32, layers)


def inputs(number: int) -> bytes:
    return bytes([number]) * 10


def written(path: Path, count: int = 6) -> bytes:
    journal = Journal(path, BUILD)
    for number in range(count):
        journal.add(number, inputs(number), answer(number))
    journal.close()
    return path.read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("journals")


def known(path: Path) -> dict[int, Answer]:
    journal = Journal(path, BUILD)
    found = {n: journal.find(n, inputs(n), layers=False) for n in range(6)}
    journal.close()
    return {number: each for number, each in found.items() if each is not None}


def test_answers_come_back_and_more_can_be_added(tmp_path):
    path = tmp_path / "journal"
    written(path)
    journal = Journal(path, BUILD)
    assert len(journal) == 6
    assert journal.find(3, inputs(3), layers=True) == answer(3)
    assert journal.find(2, inputs(2), layers=False) == answer(2)
    assert journal.find(2, inputs(2), layers=True) is None  # it was run without layers
    assert journal.find(3, inputs(4), layers=False) is None  # another input
    journal.add(9, b"x", answer(9))
    journal.close()
    again = Journal(path, BUILD)
    assert again.find(9, b"x", layers=True) == answer(9)
    again.remove()
    assert not path.exists()


@settings(max_examples=60)
@given(st.integers(0, 10_000))
def test_a_journal_that_was_cut_off_keeps_its_whole_lines(folder, cut):
    path = folder / "cut"
    path.unlink(missing_ok=True)
    text = written(path)
    cut %= len(text)
    path.write_bytes(text[:cut])
    first = text.index(b"\n") + 1
    found = known(path)
    assert found == {number: answer(number) for number in range(text[first:cut].count(b"\n"))}
    journal = Journal(path, BUILD)
    journal.add(5, inputs(5), answer(5))
    journal.close()
    assert known(path) == found | {5: answer(5)}


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_line_is_left_out(folder, at, flip):
    path = folder / "damaged"
    path.unlink(missing_ok=True)
    text = bytearray(written(path))
    first = text.index(b"\n") + 1
    at = first + at % (len(text) - first)
    text[at] ^= flip
    path.write_bytes(text)
    found = known(path)
    assert 4 <= len(found) <= 5
    assert all(found[number] == answer(number) for number in found)


def test_another_build_and_another_user_are_refused(tmp_path):
    path = tmp_path / "journal"
    written(path)
    with pytest.raises(UserError, match="has answers of build 0x0000abcd, the folder holds"):
        Journal(path, 7)
    first = Journal(path, BUILD)
    with pytest.raises(UserError, match="another check of this folder is running"):
        Journal(path, BUILD)
    first.close()


def test_a_full_disk_leaves_no_half_a_line(tmp_path, monkeypatch):
    path = tmp_path / "journal"
    text = written(path, 3)
    journal = Journal(path, BUILD)
    write = os.write

    def full(fd: int, data: bytes) -> int:
        if len(data) < 30:
            raise OSError(28, "No space left on device")
        return write(fd, data[:20])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(UserError, match="No space left on device"):
        journal.add(4, inputs(4), answer(4))
    monkeypatch.undo()
    assert path.read_bytes() == text
    journal.add(4, inputs(4), answer(4))
    journal.close()
    assert set(known(path)) == {0, 1, 2, 4}


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot open the journal"):
        Journal(tmp_path / "none" / "journal", BUILD)

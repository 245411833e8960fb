"""Markers, the plugin's counts and QEMU's log, on code and texts made by hand."""

import os
import stat
from pathlib import Path

import pytest

from edgecomp.build import Instruction, Program
from edgecomp.errors import InternalError
from edgecomp.profile import plugin
from edgecomp.profile.counts import Block, Runs, read_log, read_plugin_counts
from edgecomp.profile.markers import Markers, call_markers, run_markers, stage_markers
from edgecomp.profile.plugin import PluginUnavailableError, plugin_path
from edgecomp.profile.trace import find_tracer

RUN, RUN_STAGE, MAIN, L00, L01, HELPER = 0x100, 0x200, 0x300, 0x400, 0x500, 0x600
NAMES = {
    RUN: "kws_run",
    RUN_STAGE: "kws_run_stage",
    MAIN: "main",
    L00: "L00_conv2d",
    L01: "L01_dense",
    HELPER: "memcpy",
}


def program(calls: dict[int, int]) -> Program:
    """Functions of one `nop`, except for the calls that are given: address -> target."""
    code = {addr: Instruction(addr, 2, "nop", "", -1) for addr in NAMES}
    for addr, target in calls.items():
        code[addr] = Instruction(addr, 4, "bl", f"{target:x}", target)
    return Program(code, dict(NAMES), ())


HARNESS = {MAIN + 2: RUN, MAIN + 8: RUN_STAGE}
STAGES = {RUN + 2: L00, RUN + 8: L01}


def test_stages_are_parted_behind_their_calls():
    markers = call_markers(program(HARNESS | STAGES), "kws", 2)
    assert markers == Markers(enter=RUN, leave=MAIN + 6, marks=(RUN + 6,))


def test_stages_that_the_compiler_took_in_are_run_by_themselves():
    one_call = program(HARNESS | {RUN + 2: L00})
    assert call_markers(one_call, "kws", 2) is None
    assert stage_markers(one_call, "kws") == Markers(RUN_STAGE, MAIN + 12)


def test_a_library_call_is_not_taken_for_a_stage():
    assert call_markers(program(HARNESS | {RUN + 2: L00, RUN + 8: HELPER}), "kws", 2) is None


def test_image_must_call_run_once():
    with pytest.raises(InternalError, match=r"kws_run is called from 2 places"):
        run_markers(program(HARNESS | {MAIN + 20: RUN}), "kws")
    with pytest.raises(InternalError, match=r"other_run is called from 0 places"):
        run_markers(program(HARNESS), "other")


COUNTS = """begin
40 48 4 10 9
40 48 4 2 1
60 64 2 1 0
end
60 64 2 5 5
end
"""


def test_counts_of_the_same_block_add_up_within_a_section():
    first, second = read_plugin_counts(COUNTS)
    assert first == {Block(0x40, 0x48): Runs(12, 10), Block(0x60, 0x64): Runs(1, 0)}
    assert second == {Block(0x60, 0x64): Runs(5, 5)}


@pytest.mark.parametrize(
    "text", ["", "end\n", "begin\n40 48 4 10 9\n", "begin\n40 48 4 10\nend\n", "begin\nfoo\nend\n"]
)
def test_counts_cut_short_are_refused(text):
    with pytest.raises(InternalError, match="profiler's plugin"):
        read_plugin_counts(text)


def executed(*addrs: int) -> str:
    return "".join(f"Trace 0: 0x7f0000 [00800408/{addr:08x}/00000010/ff0] f\n" for addr in addrs)


def translated(*instructions: str) -> str:
    return "----------------\nIN: f\n" + "".join(f"{line}\n" for line in instructions) + "\n"


def test_log_tells_what_the_plugin_tells():
    log = (
        translated("0x00000100:  b570       push     {r4, r5, r6, lr}")
        + executed(0x100)
        + translated("0x00000400:  3a01       subs     r2, #1", "0x00000402:  d1fd  bne  #0x400")
        + executed(0x400, 0x400, 0x400)
        + translated("0x00000404:  4770       bx       lr")
        + executed(0x404)
        + translated("0x00000106:  f7ff fffe  bl       #0x500")
        + executed(0x106)
        + translated("0x00000500:  OBJD-T: 4770")
        + executed(0x500)
        + translated("0x0000010a:  bd70       pop      {r4, r5, r6, pc}")
        + executed(0x10A)
        + translated("0x00000306:  bf00       nop")
        + executed(0x306, 0x400, 0x306)
    )
    sections = read_log(log.splitlines(keepends=True), Markers(0x100, 0x306, (0x106,)))
    assert sections == [
        {
            Block(0x100, 0x102): Runs(1, 1),
            Block(0x400, 0x404): Runs(3, 2),
            Block(0x404, 0x406): Runs(1, 1),
        },
        {
            Block(0x106, 0x10A): Runs(1, 1),
            Block(0x10A, 0x10C): Runs(1, 1),
            Block(0x500, 0x502): Runs(1, 1),
        },
    ]


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH that holds only the programs that a test puts there, and a cache of its own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(plugin, "_interface_version", lambda: 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program_file(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_without_a_compiler_the_log_is_used_and_the_reason_said(tools):
    with pytest.raises(PluginUnavailableError, match="no C compiler"):
        plugin_path()
    tracer = find_tracer()
    assert tracer.method == "log"
    assert "no C compiler" in tracer.note


def test_a_compiler_that_fails_is_no_reason_to_stop(tools):
    program_file(tools, "cc", "echo 'counts.c:1: too hot' >&2; exit 3")
    assert "failed with status 3" in find_tracer().note
    with pytest.raises(PluginUnavailableError, match="too hot"):
        plugin_path()


def test_the_plugin_is_built_once(tools, tmp_path):
    log = tmp_path / "calls"
    program_file(tools, "cc", f'echo "$@" >>{log}; for last; do :; done; : >"$last"')
    first = plugin_path()
    assert plugin_path() == first
    assert len(log.read_text().splitlines()) == 1
    assert first.parent == tmp_path / "cache" / "edgecomp"
    assert os.listdir(first.parent) == [first.name]


def test_another_version_of_the_interface_is_another_plugin(tools, monkeypatch):
    program_file(tools, "cc", 'for last; do :; done; : >"$last"')
    first = plugin_path()
    monkeypatch.setattr(plugin, "_interface_version", lambda: 2)
    assert plugin_path() != first

"""How often each block of code ran: what the plugin or QEMU's log leaves behind, taken apart."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edgecomp.errors import InternalError
from edgecomp.profile.markers import Markers

_PLUGIN_FIELDS = 5
_EXECUTED = re.compile(r"^Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/")
_TRANSLATED = re.compile(r"^0x([0-9a-f]+): +(?:OBJD-\w+: )?((?:[0-9a-f]{4}\b ?){1,2})")


@dataclass(frozen=True, order=True)
class Block:
    """Code from `start` up to `end`, which has no jump but at its end."""

    start: int
    end: int


@dataclass(frozen=True)
class Runs:
    """How often a block ran, and how often the next block was not the one behind it."""

    executions: int
    jumps: int


Section = dict[Block, Runs]
"""What ran between two markers."""


def read_plugin_counts(text: str) -> list[Section]:
    """Return the sections that the plugin wrote, in order.

    Raises:
        InternalError: the text does not end with a section.
    """
    lines = text.splitlines()
    if lines[:1] != ["begin"] or lines[-1:] not in (["end"], ["begin"]):
        raise InternalError("the counts of the profiler's plugin are cut short")
    sections: list[Section] = []
    current: Counter[tuple[Block, int]] = Counter()
    for line in lines[1:]:
        if line == "end":
            sections.append(_section(current))
            current = Counter()
            continue
        fields = line.split()
        if len(fields) != _PLUGIN_FIELDS:
            raise InternalError(f"the profiler's plugin wrote {line!r}")
        block = Block(int(fields[0], 16), int(fields[1], 16))
        current[block, 0] += int(fields[3])
        current[block, 1] += int(fields[4])
    return sections


def read_log(lines: Iterable[str], markers: Markers) -> list[Section]:
    """Return the sections of a log that QEMU wrote with `-d in_asm,exec,nochain`.

    Such a log lists each block when it is translated and names it whenever it runs, so that it
    tells the same as the plugin, in some fifty times the time.
    """
    sections: list[Section] = []
    ends: dict[int, int] = {}
    pairs: Counter[tuple[int, int]] | None = None
    previous = -1
    all_markers = {markers.enter, markers.leave, *markers.marks}
    for start in _executed(lines, ends):
        if pairs is not None:
            pairs[previous, start] += 1
        if start in all_markers:
            if pairs is not None:
                sections.append(_from_pairs(pairs, ends))
            enters = start == markers.enter or (pairs is not None and start != markers.leave)
            pairs = Counter() if enters else None
        previous = start
    return sections


def _executed(lines: Iterable[str], ends: dict[int, int]) -> Iterator[int]:
    """Yield the start of each block that runs; note in `ends` where the blocks end."""
    start = -1
    for line in lines:
        if match := _EXECUTED.match(line):
            yield int(match[1], 16)
        elif line.startswith("IN:"):
            start = -1
        elif match := _TRANSLATED.match(line):
            addr = int(match[1], 16)
            start = addr if start < 0 else start
            ends[start] = addr + len(match[2].replace(" ", "")) // 2


def _from_pairs(pairs: Counter[tuple[int, int]], ends: dict[int, int]) -> Section:
    current: Counter[tuple[Block, int]] = Counter()
    for (start, following), count in pairs.items():
        block = Block(start, ends[start])
        current[block, 0] += count
        current[block, 1] += count * (following != block.end)
    return _section(current)


def _section(current: Counter[tuple[Block, int]]) -> Section:
    blocks = sorted({block for block, _ in current})
    return {block: Runs(current[block, 0], current[block, 1]) for block in blocks}

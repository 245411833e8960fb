"""What acceptance measured, as the tables of `benchmarks/ACCEPTANCE.md`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgecomp.build import find_tool

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "ACCEPTANCE.md"
COMMAND = "make accept"
_HEAD = """\
# Acceptance on real networks

<!-- written by `{command}` (EDGECOMP_DATA names the data collection): do not edit -->

{tools}.
"""


@dataclass
class Table:
    """A table that tests fill row by row; rows appear in the order of their keys."""

    title: str
    text: str
    columns: tuple[str, ...]
    expected: int
    rows: dict[tuple[int, ...], tuple[object, ...]] = field(default_factory=dict)

    def add(self, key: tuple[int, ...], *values: object) -> None:
        """Add a row; `key` gives its place."""
        assert len(values) == len(self.columns)
        self.rows[key] = values

    @property
    def is_complete(self) -> bool:
        """Whether every row that belongs here is there."""
        return len(self.rows) == self.expected

    def markdown(self) -> str:
        """The table with its title."""
        lines = [f"## {self.title}", "", self.text, "", _row(self.columns)]
        lines.append("|" + "---|" * len(self.columns))
        lines += [_row(self.rows[key]) for key in sorted(self.rows)]
        return "\n".join(lines) + "\n"


def _row(values: Sequence[object]) -> str:
    return "| " + " | ".join(str(value) for value in values) + " |"


def document(tables: Sequence[Table]) -> str:
    """The whole file; it names versions, but neither time nor machine."""
    tools = "; ".join(find_tool(name).version for name in ("arm-none-eabi-gcc", "qemu-system-arm"))
    head = _HEAD.format(command=COMMAND, tools=tools)
    return "\n".join([head, *(table.markdown() for table in tables)])

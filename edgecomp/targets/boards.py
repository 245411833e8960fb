"""The boards that firmware is built for, read from `boards.yaml` or from a file of the user's.

The table is data: a board of a known UART family needs one entry and no code. Numbers may carry
the suffix K or M (1024, 1024 * 1024). docs/adding-a-board.md explains every key.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar, Literal, NoReturn

import yaml

from edgecomp.errors import UserError
from edgecomp.paths import boards_file
from edgecomp.targets.cores import Core, get_core

_VECTOR_TABLE_ALIGNMENT = 512  # VTOR of every core here: table size rounded up to a power of two


class _Entry:
    """Base of what `boards.yaml` holds: a key that is not a field is an error."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@dataclass(frozen=True)
class Region(_Entry):
    """A piece of the address space; `origin` is an address, `size` counts bytes."""

    name: str
    origin: int
    size: int
    note: str = ""

    @property
    def end(self) -> int:
        """The first address behind the region."""
        return self.origin + self.size

    def overlaps(self, other: "Region") -> bool:
        """Whether the two regions share an address."""
        return self.origin < other.end and other.origin < self.end


@dataclass(frozen=True)
class RegisterBits(_Entry):
    """Bits to set in a register before the UART is used, such as a clock enable."""

    register: int
    mask: int
    what: str


@dataclass(frozen=True)
class Pin(_Entry):
    """One UART line: the GPIO block's base address, the pin's number there, its function."""

    name: str
    gpio: int
    pin: int
    af: int = 0


@dataclass(frozen=True)
class Console(_Entry):
    """The UART over which the firmware image talks.

    `port` names a folder of `firmware/port/`; `clock_hz` is what clocks the UART after reset,
    since no port switches a clock over.
    """

    port: str
    uart: str
    base: int
    clock_hz: int
    baud: int = 115200
    tx: Pin | None = None
    rx: Pin | None = None
    enable: tuple[RegisterBits, ...] = ()
    route: str = ""


@dataclass(frozen=True)
class Emulator(_Entry):
    """How QEMU runs the board."""

    machine: str
    args: tuple[str, ...] = ()


@dataclass(frozen=True)
class Board(_Entry):
    """One board: where code and data go, how to talk to it, how to emulate it.

    `flash` is the whole device; the image starts `link_offset` bytes into it, right behind a
    bootloader. `ram` lists every region; the stack and the static data lie in `data_region` (the
    first unless named), the arena in `arena_region` (the largest unless named). Where writes below
    the RAM, and so a stack overflow, would go unnoticed, the MPU is told to forbid the
    `stack_guard_bytes` (a power of two) below it.
    """

    id: str
    name: str
    kind: Literal["emulated", "hardware"]
    core: Core
    flash: Region
    ram: tuple[Region, ...]
    clock_hz: int
    console: Console
    mcu: str = ""
    link_offset: int = 0
    arena_region: str = ""
    data_region: str = ""
    emulator: Emulator | None = None
    trap_unaligned: bool = False
    stack_guard_bytes: int = 0
    notes: str = ""

    @property
    def verified(self) -> str:
        """What is known about images for this board."""
        return "runs in the emulator" if self.kind == "emulated" else "links"

    @property
    def image(self) -> Region:
        """The part of the flash that an image may use."""
        start = self.flash.origin + self.link_offset
        return Region(self.flash.name, start, self.flash.size - self.link_offset)

    @property
    def data(self) -> Region:
        """The RAM that holds stack and static data."""
        return self._ram(self.data_region) if self.data_region else self.ram[0]

    @property
    def arena(self) -> Region:
        """The RAM that holds the arena."""
        if self.arena_region:
            return self._ram(self.arena_region)
        return max(self.ram, key=lambda region: region.size)

    def _ram(self, name: str) -> Region:
        return next(region for region in self.ram if region.name == name)

    def problems(self) -> list[str]:
        """Return what is wrong with the entry, each as "key: reason"."""
        found = []
        names = [region.name for region in self.ram]
        if not self.ram:
            return ["ram: at least one region is needed"]
        for key, name in (("arena_region", self.arena_region), ("data_region", self.data_region)):
            if name and name not in names:
                found.append(
                    f"{key}: no RAM region is called {name!r}, there is {', '.join(names)}"
                )
        for one, other in combinations((self.flash, *self.ram), 2):
            if one.overlaps(other):
                found.append(f"ram: regions {one.name!r} and {other.name!r} overlap")
        if not 0 <= self.link_offset < self.flash.size:
            found.append("link_offset: it must lie inside the flash")
        elif self.link_offset % _VECTOR_TABLE_ALIGNMENT:
            found.append(f"link_offset: the vector table needs {_VECTOR_TABLE_ALIGNMENT}")
        elif self.link_offset and not self.core.vtor:
            found.append(f"link_offset: {self.core.title} cannot move its vector table")
        guard = self.stack_guard_bytes
        if guard and (guard < 32 or guard & (guard - 1) or self.data.origin % guard):
            found.append("stack_guard_bytes: a power of two from 32 that the RAM is aligned to")
        if (self.kind == "emulated") != (self.emulator is not None):
            found.append("emulator: an emulated board has one, a hardware board has none")
        return found


class _Loader(yaml.SafeLoader):
    """YAML with sizes such as 64K and 2M."""


_SIZE = re.compile(r"^[0-9]+[KM]$")
_UNIT = {"K": 1024, "M": 1024 * 1024}
_Loader.add_implicit_resolver("!size", _SIZE, list("0123456789"))
_Loader.add_constructor(
    "!size", lambda _, node: int(str(node.value)[:-1]) * _UNIT[str(node.value)[-1]]
)


def load_boards(path: Path | None = None) -> dict[str, Board]:
    """Read a board file, the one that ships with edgecomp unless `path` names another.

    Returns:
        The boards by id, in the order of the file.

    Raises:
        UserError: the file cannot be read or an entry is wrong; the message has line and key.
    """
    path = path or boards_file()
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=_Loader)
        raw = yaml.load(text, Loader=_Loader)
    except OSError as error:
        raise UserError(f"cannot read the board file {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {error}") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("boards"), list):
        raise UserError(f"{path}: expected a list under the key 'boards'")
    boards: dict[str, Board] = {}
    for index, entry in enumerate(raw["boards"]):
        board = _board(path, root, index, entry)
        if board.id in boards:
            _fail(path, root, ("boards", index, "id"), f"{board.id!r} is there twice")
        boards[board.id] = board
    return boards


def _board(path: Path, root: yaml.Node | None, index: int, entry: Any) -> Board:
    """Validate one `entry`, number `index` of the file."""
    from pydantic import TypeAdapter, ValidationError

    here: tuple[str | int, ...] = ("boards", index)
    if not isinstance(entry, dict):
        _fail(path, root, here, "expected a mapping")
    fields = dict(entry)
    try:
        fields["core"] = get_core(str(entry.get("core", "")))
    except UserError as error:
        _fail(path, root, (*here, "core"), str(error))
    try:
        board: Board = TypeAdapter(Board).validate_python(fields)
    except ValidationError as error:
        first = error.errors()[0]
        _fail(path, root, (*here, *first["loc"]), first["msg"])
    for problem in board.problems():
        key, _, reason = problem.partition(": ")
        _fail(path, root, (*here, key), reason)
    return board


def _fail(
    path: Path, root: yaml.Node | None, where: tuple[str | int, ...], reason: str
) -> NoReturn:
    """Raise a UserError naming the line of the deepest node on the way to `where`."""
    node = root
    for step in where:
        child: yaml.Node | None
        if isinstance(node, yaml.MappingNode):
            child = next((v for k, v in node.value if k.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            child = node.value[step]
        else:
            child = None
        if child is None:
            break
        node = child
    key = ".".join(str(step) for step in where[2:]) or "entry"
    line = node.start_mark.line + 1 if node else 1
    raise UserError(f"{path}, line {line}, {key}: {reason}")


def get_board(name: str, path: Path | None = None) -> Board:
    """Return the board called `name`.

    Raises:
        UserError: there is none; the message lists the nearest names.

    >>> get_board("mps2-an386").core.name
    'cortex-m4f'
    """
    boards = load_boards(path)
    if name in boards:
        return boards[name]
    near = get_close_matches(name, boards, n=4, cutoff=0.4)
    hint = f"; nearest: {', '.join(near)}" if near else ""
    raise UserError(f"unknown board {name!r}{hint}; `edgecomp boards` lists all of them")

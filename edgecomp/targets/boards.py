"""The boards that firmware is built for, read from `boards.yaml` or from a file of the user's.

The table is data: a board of a known UART family needs one entry and no code. Numbers may carry
the suffix K or M (1024, 1024 * 1024). docs/adding-a-board.md explains every key.
"""

import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from edgecomp.errors import UserError
from edgecomp.paths import boards_file
from edgecomp.targets.board import Board, Console, Emulator, Pin, Region, RegisterBits
from edgecomp.targets.cores import get_core

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "Board",
    "Console",
    "Emulator",
    "Pin",
    "Region",
    "RegisterBits",
    "get_board",
    "load_boards",
]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML with sizes such as 64K and 2M; read by libyaml, ten times as fast, where it is there."""


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
        root, raw = _parse(text)
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


def _parse(text: str) -> tuple[yaml.Node | None, Any]:
    """Return the nodes of a YAML text, which know their lines, and its values."""
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        return root, None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


@cache
def _schema() -> "TypeAdapter[Board]":
    """Return what validates an entry; it takes a while to make."""
    from pydantic import TypeAdapter

    return TypeAdapter(Board)


def _board(path: Path, root: yaml.Node | None, index: int, entry: Any) -> Board:
    """Validate one `entry`, number `index` of the file."""
    from pydantic import ValidationError

    here: tuple[str | int, ...] = ("boards", index)
    if not isinstance(entry, dict):
        _fail(path, root, here, "expected a mapping")
    fields = dict(entry)
    try:
        fields["core"] = get_core(str(entry.get("core", "")))
    except UserError as error:
        _fail(path, root, (*here, "core"), str(error))
    try:
        board = _schema().validate_python(fields)
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

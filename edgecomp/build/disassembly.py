"""The instructions of a linked image, as objdump reads them."""

import re
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import ARMAttributesSection, SymbolTableSection

from edgecomp.build.toolchain import run_tool

_LINE = re.compile(r"^ *([0-9a-f]+):\t([0-9a-f ]+?) *\t([^\t]+)(?:\t(.*))?$")
_TARGET = re.compile(r"(?:^|[ (])([0-9a-f]+) <")
_COMMENT = re.compile(r"\s*[@;].*$")
_IT = re.compile(r"^it[te]{0,3}$")
_LIST = re.compile(r"\{(.*)\}")
_IMMEDIATE = re.compile(r"#(-?\w+)$")
# CSEL, CSINC, CSINV and CSNEG of Armv8.1-M (manual C2.4.53 to C2.4.58), some of whose aliases
# binutils 2.40 calls undefined.
_SELECT = re.compile(r"^ *([0-9a-f]+):\t(ea5[0-9a-f] [89ab]([0-9a-f])[0-9a-f]{2}) *\t.*<UNDEFINED>")
_REGISTERS = (*(f"r{number}" for number in range(10)), "sl", "fp", "ip", "sp", "lr", "pc")


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    `name` has neither width suffix nor, inside an IT block, condition; `target` is the address
    that a branch or a literal load refers to, or -1.
    """

    addr: int
    size: int
    name: str
    operands: str
    target: int
    conditional: bool = False

    @property
    def next_addr(self) -> int:
        """Where the next instruction lies."""
        return self.addr + self.size

    @cached_property
    def register_list(self) -> tuple[str, ...]:
        """The registers between braces, ranges written out; empty without braces."""
        match = _LIST.search(self.operands)
        return (
            tuple(name for part in match[1].split(", ") for name in _range(part)) if match else ()
        )

    @property
    def immediate(self) -> int | None:
        """The last operand if it is a number."""
        match = _IMMEDIATE.search(self.operands)
        return int(match[1], 0) if match else None


_V8_1_M_MAIN = 21  # Tag_CPU_arch of Armv8.1-M Mainline


@dataclass(frozen=True)
class Program:
    """The code of an image: instructions and function names by address, and its bytes."""

    instructions: dict[int, Instruction]
    functions: dict[int, str]
    segments: tuple[tuple[int, bytes], ...]

    def addr_of(self, function: str) -> int | None:
        """Return where `function` begins."""
        return next((addr for addr, name in self.functions.items() if name == function), None)

    def name_at(self, addr: int) -> str:
        """Return the function that `addr` lies in."""
        starts = [start for start in self.functions if start <= addr]
        return self.functions[max(starts)] if starts else f"{addr:#x}"

    def number_at(self, addr: int, form: str = "<I") -> int | None:
        """Return the number that the image has at `addr`, or None where it has nothing."""
        size = struct.calcsize(form)
        for start, data in self.segments:
            if start <= addr and addr + size <= start + len(data):
                return int(struct.unpack_from(form, data, addr - start)[0])
        return None


def _range(part: str) -> list[str]:
    """Write a range of registers out.

    >>> _range("d8-d10")
    ['d8', 'd9', 'd10']
    """
    low, _, high = part.partition("-")
    if not high:
        return [low]
    return [f"{low[0]}{number}" for number in range(int(low[1:]), int(high[1:]) + 1)]


def _architecture(elf: Path) -> tuple[str, ...]:
    """Return the flag without which objdump takes MVE for coprocessor instructions."""
    with elf.open("rb") as stream:
        section = ELFFile(stream).get_section_by_name(".ARM.attributes")
        if not isinstance(section, ARMAttributesSection):
            return ()
        arch = next(
            (
                attribute.value
                for subsection in section.iter_subsections()
                for scope in subsection.iter_subsubsections()
                for attribute in scope.iter_attributes("TAG_CPU_ARCH")
            ),
            0,
        )
    return ("-marmv8.1-m.main",) if arch == _V8_1_M_MAIN else ()


def disassemble(elf: Path) -> Program:
    """Read the image `elf`.

    Raises:
        ToolError: objdump is missing or fails.
    """
    command = ["arm-none-eabi-objdump", "-d", "-w", *_architecture(elf), elf.name]
    listing = run_tool(command, elf.parent)
    instructions: dict[int, Instruction] = {}
    conditional = 0
    for line in listing.splitlines():
        if select := _SELECT.match(line):
            addr, register = int(select[1], 16), _REGISTERS[int(select[3], 16)]
            instructions[addr] = Instruction(addr, 4, "csel", register, -1)
            continue
        match = _LINE.match(line)
        if not match or match[3].startswith("."):
            continue  # a heading, or data among the code
        addr, raw, name, rest = int(match[1], 16), match[2], match[3], match[4] or ""
        target = _TARGET.search(rest)
        base = name.removesuffix(".n").removesuffix(".w")
        if conditional:
            base, _, kind = base.partition(".")
            base = base[:-2] + (f".{kind}" if kind else "")
        instructions[addr] = Instruction(
            addr=addr,
            size=len(raw.replace(" ", "")) // 2,
            name=base,
            operands=_COMMENT.sub("", rest),
            target=int(target[1], 16) if target else -1,
            conditional=conditional > 0,
        )
        conditional = len(base) - 1 if _IT.match(name) else max(0, conditional - 1)
    with elf.open("rb") as stream:
        file = ELFFile(stream)
        segments = tuple((s["p_vaddr"], s.data()) for s in file.iter_segments("PT_LOAD"))
        table = file.get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        named = sorted(
            (s["st_value"] & ~1, s["st_info"]["bind"] != "STB_GLOBAL", s.name)
            for s in table.iter_symbols()
            if s["st_info"]["type"] == "STT_FUNC"
        )
    functions: dict[int, str] = {}
    for addr, _, name in named:
        functions.setdefault(addr, name)
    return Program(instructions, functions, segments)

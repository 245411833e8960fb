"""What a linked image needs of flash and RAM, to the byte, read from its ELF file."""

from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from edgecomp.build.map_file import application_bytes
from edgecomp.build.placement import place_arenas
from edgecomp.targets.boards import Board, Region


@dataclass(frozen=True)
class Symbol:
    """A function or a constant of an image and the bytes it takes."""

    name: str
    addr: int
    size_bytes: int


@dataclass(frozen=True)
class ImageSizes:
    """Bytes of one image.

    `flash_bytes` is what the image file holds, initial values of static data included;
    `weights_bytes` are weights, biases, multipliers and codebooks; `code_bytes` is all the rest
    of the flash: code, tables, vectors. `static_bytes` is RAM without arena and stack;
    `arena_bytes` holds the second arena as well, of which `second_bytes` tells.
    `stack_bytes` is what the linker script reserves; `application_bytes` is the part of the code
    that is not the model's: start-up, console, protocol (0 without the linker's map file).
    """

    flash_bytes: int
    weights_bytes: int
    static_bytes: int
    arena_bytes: int
    stack_bytes: int
    symbols: tuple[Symbol, ...]
    application_bytes: int
    second_bytes: int = 0

    @property
    def code_bytes(self) -> int:
        """Everything in the flash that is not weights."""
        return self.flash_bytes - self.weights_bytes

    @property
    def ram_bytes(self) -> int:
        """Arena, static data and stack together."""
        return self.arena_bytes + self.static_bytes + self.stack_bytes


def measure(elf: Path) -> ImageSizes:
    """Return the sizes of the image `elf`, which our linker script laid out."""
    with elf.open("rb") as stream:
        file = ELFFile(stream)
        sections = {section.name: section for section in file.iter_sections()}
        loads = [s for s in file.iter_segments("PT_LOAD") if s["p_filesz"]]
        table = file.get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        addr = {s.name: int(s["st_value"]) for s in table.iter_symbols()}
        sized = [
            Symbol(s.name, int(s["st_value"]), int(s["st_size"]))
            for s in table.iter_symbols()
            if s["st_info"]["type"] in {"STT_OBJECT", "STT_FUNC"} and s["st_size"]
        ]

    def size(name: str) -> int:
        return int(sections[name]["sh_size"]) if name in sections else 0

    # An arena lies among the static data where both share one RAM.
    static = addr["link_bss_end"] - addr["link_stack_top"]
    for name in (".arena", ".second"):
        start = int(sections[name]["sh_addr"]) if name in sections else 0
        if addr["link_stack_top"] <= start <= addr["link_bss_end"]:
            static -= size(name)
    map_file = elf.with_suffix(".map")
    start = min(s["p_paddr"] for s in loads)
    end = max(s["p_paddr"] + s["p_filesz"] for s in loads)
    return ImageSizes(
        flash_bytes=end - start,
        weights_bytes=size(".weights"),
        static_bytes=static,
        arena_bytes=size(".arena") + size(".second"),
        stack_bytes=addr["link_stack_top"] - addr["link_stack_limit"],
        symbols=tuple(sorted(sized, key=lambda s: (-s.size_bytes, s.name))),
        application_bytes=application_bytes(map_file) if map_file.exists() else 0,
        second_bytes=size(".second"),
    )


def fit_problems(sizes: ImageSizes, board: Board, stack_bytes: int) -> tuple[str, ...]:
    """Return, for each region of `board` that is too small, what is needed and what is there.

    Args:
        sizes: of an image linked for `board`.
        board: the board.
        stack_bytes: the stack to reserve, which `sizes` of a trial link do not know.
    """
    static = sizes.static_bytes + stack_bytes
    arena_bytes = sizes.arena_bytes - sizes.second_bytes
    needs: list[tuple[str, Region, int]] = [("flash", board.image, sizes.flash_bytes)]
    if place_arenas(board, arena_bytes, sizes.second_bytes, static) is None:
        arena = max(board.arenas, key=lambda region: region.size)
        if arena == board.data:
            needs.append(("RAM", arena, static + sizes.arena_bytes))
        else:
            needs.append(("RAM for stack and data", board.data, static))
            needs.append(("RAM for the arena", arena, sizes.arena_bytes))
    return tuple(
        f"{what} ({region.name}): needs {need:,} bytes, has {region.size:,}, "
        f"{need - region.size:,} too many"
        for what, region, need in needs
        if need > region.size
    )


def symbol_at(symbols: tuple[Symbol, ...], addr: int) -> str:
    """Return "function+0x1c" for a code address, or an empty string outside every symbol.

    >>> symbol_at((Symbol("main", 0x101, 16),), 0x104)
    'main+0x4'
    """
    for symbol in symbols:
        start = symbol.addr & ~1  # bit 0 of a function's address marks Thumb code
        if start <= addr < start + symbol.size_bytes:
            return f"{symbol.name}+{addr - start:#x}"
    return ""

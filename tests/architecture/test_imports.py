"""Which part of the house may know which, and what is imported only when needed."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "edgecomp"

LAYERS = (
    ("errors", "paths", "fixedpoint"),
    ("ir", "config", "targets"),
    ("ops", "storage"),
    ("requant",),
    ("kernels", "interp", "passes", "frontend"),
    ("quant",),
    ("compress",),
    ("plan",),
    ("codegen",),
)
"""Imports point upwards in this list; within one line they are free."""

BESIDE = {
    "build": {"errors", "paths", "targets"},
    "device": {"errors", "paths", "targets", "build"},
    "profile": {"errors", "paths", "targets", "build", "device"},
    "data": {"errors", "paths", "ir", "config", "quant"},
    "report": {
        "errors", "paths", "ir", "config", "targets", "ops", "kernels", "interp", "quant", "data"
    },
    "export": {"errors", "paths", "ir", "config", "targets", "ops", "codegen"},
    "explore": {"errors", "paths", "config", "targets"},
    "zoo": {"errors", "ir", "data"},
}  # fmt: skip
"""What stands beside the line, with all that each may know.

Every other module at the top level (`pipeline` and those that it is made of) puts the parts
together: it may know them all, and nothing but its like and `cli` may know it.
"""

EXCEPTIONS = {
    ("plan", "build"): "the stack bound is read from the disassembly of the linked image",
    ("frontend", "zoo"): "a network of the zoo is read like any other torch module",
}

LAZY = {
    "torch": ("frontend/torch_reader", "compress", "zoo"),
    "torchvision": (),
    "serial": ("device/serial_port", "device/flash"),
    "sklearn": ("data", "cli"),
    "onnxruntime": ("report", "cli"),
    "matplotlib": ("report",),
}
"""Heavy or optional libraries: only in these places, and only inside functions."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(name: str) -> str:
    """`edgecomp.ops.add` belongs to `ops`; `edgecomp` itself to nothing."""
    pieces = name.split(".")
    return pieces[1] if len(pieces) > 1 else ""


@cache
def imports_of(path: Path) -> tuple[tuple[str, bool], ...]:
    """Every module that is imported, and whether at the top level."""
    tree = ast.parse(path.read_text())
    top = {id(node) for statement in tree.body for node in _run_on_import(statement)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names]
            found += [(n, id(node) in top) for n in (names if module == "edgecomp" else [module])]
    return tuple(found)


def _run_on_import(node: ast.AST):
    """Every node below that runs when the module is imported."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _run_on_import(child)


def allowed(part: str) -> set[str]:
    """The parts that `part` may import."""
    for index, layer in enumerate(LAYERS):
        if part in layer:
            return {name for names in LAYERS[: index + 1] for name in names}
    return BESIDE[part] | {part}


def placed() -> set[str]:
    """Every part that has a place in the line or beside it."""
    return {name for layer in LAYERS for name in layer} | set(BESIDE)


def test_every_folder_has_its_place():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert folders <= placed() | {"cli"}


@pytest.mark.parametrize("part", sorted(placed()))
def test_imports_point_one_way(part):
    wrong = []
    for path in MODULES:
        pieces = path.relative_to(PACKAGE).parts
        if pieces[0].removesuffix(".py") != part:
            continue
        for name, _ in imports_of(path):
            other = part_of(name)
            if not name.startswith("edgecomp.") or other.startswith("_"):
                continue
            if other not in allowed(part) and (part, other) not in EXCEPTIONS:
                wrong.append(f"{'/'.join(pieces)} imports {name}")
    assert not wrong


def test_only_the_command_line_knows_the_command_line():
    for path in MODULES:
        if path.relative_to(PACKAGE).parts[0] in {"cli", "__main__.py"}:
            continue
        for name, _ in imports_of(path):
            assert part_of(name) != "cli", path


def test_the_exceptions_are_still_needed():
    for part, other in EXCEPTIONS:
        names = {
            part_of(name)
            for path in MODULES
            if path.relative_to(PACKAGE).parts[0] == part
            for name, _ in imports_of(path)
        }
        assert other in names, f"{part} no longer imports {other}"


@pytest.mark.parametrize("library", sorted(LAZY))
def test_heavy_libraries_are_imported_where_they_are_used(library):
    for path in MODULES:
        place = path.relative_to(PACKAGE).with_suffix("").as_posix()
        for name, is_top in imports_of(path):
            if name.split(".")[0] == library:
                assert not is_top, f"{place} imports {library} at once"
                assert place.startswith(LAZY[library]), f"{place} imports {library}"


def test_importing_the_command_line_imports_nothing_heavy():
    code = "import sys, edgecomp.cli.app; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    heavy = {"torch", "serial", "sklearn", "onnxruntime", "onnx", "scipy"}
    assert not heavy & set(done.stdout.split())

"""What every file keeps to: size, silence, completeness, nothing of the machine it came from."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from edgecomp.errors import EdgecompError
from edgecomp.kernels import KERNELS
from edgecomp.ops import ONNX_IMPORTERS, OPS, PARAMS
from edgecomp.paths import templates_dir
from tests.ops.tables import ALL_CASES

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "edgecomp"
MODULES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 350
PRINTING = ("cli", "report")
MOVES_NOTHING = {"reshape"}
"""Operators for which no code is generated."""

TRACES = re.compile(
    r"/(?:work|tmp|home)/|/root\b|https?://(localhost|127\.)|index-url|\b(?:TODO|FIXME|XXX)\b"
    r"|\bissue #?\d"
)
"""Paths of a machine, registries, loose ends."""


def ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tracked_files() -> list[Path]:
    """Every text file of the repository."""
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [ROOT / name for name in done.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_module_is_of_a_readable_size(path):
    assert len(path.read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_only_command_line_and_reports_print(path):
    if path.relative_to(PACKAGE).parts[0] in PRINTING:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"line {node.lineno}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            written = (node.value.id, node.attr)
            assert written not in {("sys", "stdout"), ("sys", "stderr")}, f"line {node.lineno}"


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_errors_are_our_own(path):
    """Nothing is raised that the command line would show as a traceback."""
    names = {cls.__name__ for cls in _all_errors()}
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
            continue
        called = node.exc.func
        name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
        if name in {"Exception", "RuntimeError", "AssertionError", "SystemExit", "OSError"}:
            pytest.fail(f"line {node.lineno} raises {name}; use one of {sorted(names)}")


def _all_errors() -> set[type[EdgecompError]]:
    found, todo = set(), [EdgecompError]
    while todo:
        cls = todo.pop()
        found.add(cls)
        todo += cls.__subclasses__()
    return found


def test_every_operator_is_complete():
    for name in OPS:
        kernels = [kernel for kernel in KERNELS.values() if kernel.op == name]
        assert kernels or name in MOVES_NOTHING, f"{name} has no kernel"
        for kernel in kernels:
            path = templates_dir() / "kernels" / kernel.template
            assert path.is_file(), f"{kernel.name}: no template {kernel.template}"
        assert any(case.op == name for case in ALL_CASES), f"{name} has no cases"
        assert (ROOT / "tests" / "ops" / f"{name}.py").is_file(), f"{name} has no file of cases"


def test_every_table_names_its_entries():
    assert all(name == op.name for name, op in OPS.items())
    assert all(name == kernel.name for name, kernel in KERNELS.items())
    assert all(name == params.__name__ for name, params in PARAMS.items())
    assert {kernel.op for kernel in KERNELS.values()} <= set(OPS)


def test_every_kernel_template_is_used():
    used = {kernel.template for kernel in KERNELS.values()}
    folder = templates_dir() / "kernels"
    texts = "\n".join(path.read_text() for path in folder.rglob("*.j2"))
    for path in folder.rglob("*.j2"):
        name = path.relative_to(folder).as_posix()
        included = f'"kernels/{name}"' in texts
        assert name in used or included, f"templates/kernels/{name} is not used"


def test_every_operator_is_written_out_in_the_manual():
    text = (ROOT / "docs" / "numerics.md").read_text().lower()
    for name in OPS:
        words = name.replace("_", " ")
        assert any(form in text for form in (f"`{name}`", words, words.replace(" ", ""))), name


def test_every_onnx_operator_is_in_the_list_of_operators():
    text = (ROOT / "docs" / "ops.md").read_text()
    for name in ONNX_IMPORTERS:
        assert re.search(rf"\b{name}\b", text), name


def test_every_constraint_explains_itself():
    for op in OPS.values():
        for constraint in op.constraints():
            words = (constraint.__doc__ or "").split()
            assert len(words) >= 4, f"{op.name}: {constraint.__name__}"
            assert words[-1].endswith("."), f"{op.name}: {constraint.__name__}"


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_public_names_have_docstrings(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "the module has no docstring"


def test_no_file_carries_traces_of_a_machine():
    found = []
    for path in tracked_files():
        if path == Path(__file__):
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if TRACES.search(line):
                found.append(f"{ids(path)}:{number}: {line.strip()[:80]}")
    assert not found


def test_firmware_and_templates_are_ascii():
    for folder in ("firmware", "templates"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file():
                assert path.read_text().isascii(), ids(path)

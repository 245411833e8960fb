"""What generated C promises: clean under every compiler, self-contained, the same every time."""

import difflib
import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from edgecomp.build.flags import WARNING_FLAGS
from edgecomp.interp import run_int
from edgecomp.ir.serialize import load_graph, save_graph
from edgecomp.ops import PARAMS
from edgecomp.targets.cores import get_core
from tests.ops.tables import ALL_CASES
from tests.support.bundle import Model, bundle
from tests.support.cases import case_codes, case_graph, random_codes
from tests.support.small_model import generate, small_graph

COMPILERS = ("gcc", "clang")
FLAGS = ("-std=c99", "-O2", *WARNING_FLAGS)
M4 = get_core("cortex-m4f")


def run(*command, cwd, **options):
    done = subprocess.run(command, cwd=cwd, capture_output=True, check=False, **options)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-4000:]
    return done.stdout


def write(folder, sources):
    for name, text in sources.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("odd_names", [False, True], ids=["plain-names", "odd-names"])
def test_the_example_compiles_and_runs(compiler, odd_names, tmp_path):
    graph = small_graph(odd_names=odd_names)
    file = "it's */ a \\ model?\n#error.onnx" if odd_names else "small.onnx"
    write(tmp_path, generate(graph, file=file))
    run(compiler, *FLAGS, "small.c", "main.c", "-o", "example", cwd=tmp_path)
    codes = random_codes(graph, np.random.default_rng(0), 6)
    expected = run_int(graph, codes)[graph.outputs[0]]
    for sample, y in zip(codes["x"], expected, strict=True):
        text = run("./example", cwd=tmp_path, input=sample.tobytes()).decode()
        values = [float(v) for v in re.findall(r"\] = (\S+)", text)]
        np.testing.assert_allclose(values, (y.ravel().astype(float) + 128) / 256, atol=1e-6)
        assert f"largest at {int(y.argmax())}" in text


def test_the_cmake_project_names_what_is_there():
    sources = generate(small_graph())
    listed = re.findall(r"\w+\.c\b", sources["CMakeLists.txt"])
    assert set(listed) <= set(sources)


FEW_WEIGHTS = 2000
"""cppcheck takes minutes for long arrays, and finds no more in them."""


def cppcheck(folder, *files):
    # One configuration, the portable one: each further one takes as long again.
    run("cppcheck", "--enable=warning,portability,performance", "--error-exitcode=1", "--quiet",
        "--std=c99", "-U__clang__", "-U__ELF__", "-U__ARM_FEATURE_DSP", *files,
        cwd=folder)  # fmt: skip


@pytest.mark.parametrize("keep_input", [False, True])
def test_cppcheck_finds_nothing(keep_input, tmp_path):
    write(tmp_path, generate(small_graph(), keep_input=keep_input))
    cppcheck(tmp_path, "small.c", "main.c")


def weights_of(graph):
    return sum(tensor.size for tensor in graph.tensors.values() if tensor.is_const)


@pytest.mark.parametrize("step", [40, pytest.param(2, marks=pytest.mark.slow)])
def test_cppcheck_finds_nothing_in_the_operators(step, tmp_path):
    models = []
    for case in ALL_CASES[::step]:
        graph = case_graph(case)
        if weights_of(graph) < FEW_WEIGHTS:
            models.append(Model(case.id, graph, case_codes(case, graph)))
    made = bundle(models, M4)
    write(tmp_path, made.sources)
    cppcheck(tmp_path, "bundle.c")


def test_the_same_graph_gives_the_same_text(tmp_path):
    graph = small_graph()
    save_graph(graph, tmp_path / "graph.npz")
    assert generate(graph) == generate(small_graph())
    assert generate(graph) == generate(load_graph(tmp_path / "graph.npz", PARAMS))


def test_no_line_is_empty_at_its_end_or_too_wide():
    for name, text in generate(small_graph()).items():
        assert text.endswith("\n"), name
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), name
        assert "\t" not in text, name
        assert "\n\n\n" not in text, name


def test_the_object_has_no_state_and_needs_nothing(tmp_path):
    write(tmp_path, generate(small_graph()))
    run("gcc", *FLAGS, "-fno-builtin", "-fno-stack-protector", "-c", "small.c", cwd=tmp_path)
    symbols = run("nm", "small.o", cwd=tmp_path).decode().splitlines()
    kinds = {line.split()[-1]: line.split()[-2] for line in symbols}
    writable = [name for name, kind in kinds.items() if kind in "bBdDcC"]
    assert not writable
    needed = [name for name, kind in kinds.items() if kind == "U"]
    assert not needed
    external = [name for name, kind in kinds.items() if kind.isupper()]
    assert external
    assert all(name.startswith("small_") for name in external)


@pytest.mark.parametrize("word", ["double", "malloc", "printf", "goto", "stdlib", "string.h"])
def test_the_model_does_without(word):
    sources = generate(small_graph())
    for name in ("small.c", "small.h", "edgecomp.h"):
        text = re.sub(r"/\*.*?\*/", "", sources[name], flags=re.DOTALL)
        assert not re.search(rf"\b{re.escape(word)}\b", text), name


def test_a_header_of_another_version_is_refused(tmp_path):
    sources = generate(small_graph())
    sources["edgecomp.h"] = re.sub(
        r"#define EDGECOMP_RUNTIME \d+", "#define EDGECOMP_RUNTIME 999", sources["edgecomp.h"]
    )
    write(tmp_path, sources)
    done = subprocess.run(
        ["gcc", "-c", "small.c"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "edgecomp.h is of another version" in done.stderr


def test_changing_one_layer_changes_one_section():
    graph = small_graph()
    weights = graph.tensors["conv.w"]
    data = weights.value.copy()
    data[0, 0, 0, 0] ^= 1
    changed = graph.replace(tensors={**graph.tensors, "conv.w": replace(weights, data=data)})
    before, after = (generate(g)["small.c"].splitlines() for g in (graph, changed))
    sections = {"head"}
    for line in difflib.ndiff(before, after):
        if line.startswith("- "):
            at = before.index(line[2:])
            marks = [n for n, text in enumerate(before) if text.startswith("/* ---- ") and n <= at]
            sections.add(before[marks[-1]] if marks else "head")
    assert len(sections - {"head"}) == 1
    assert "L00: conv2d" in " ".join(sections)


@pytest.mark.parametrize("name", ["double_", "model_8bit", "x"])
def test_models_of_other_names_compile(name, tmp_path):
    write(tmp_path, generate(small_graph(name)))
    for compiler in COMPILERS:
        run(compiler, *FLAGS, "-c", f"{name}.c", cwd=tmp_path)


def test_two_models_live_in_one_program(tmp_path):
    write(tmp_path, generate(small_graph("first")))
    write(tmp_path, generate(small_graph("second")))
    (tmp_path / "both.c").write_text(
        '#include "first.h"\n#include "second.h"\n'
        "static int64_t arena[(FIRST_ARENA_BYTES + SECOND_ARENA_BYTES) / 8];\n"
        "int main(void) { return first_run(arena) + second_run(arena); }\n"
    )
    run("gcc", *FLAGS, "first.c", "second.c", "both.c", "-o", "both", cwd=tmp_path)
    run("./both", cwd=tmp_path)

"""Profiles of a model whose instructions are known, on every emulated core; the command itself."""

import json
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edgecomp.build import Images, compile_images
from edgecomp.device import ModelLayout, QemuEngine
from edgecomp.plan.stack import stack_bound
from edgecomp.profile import Layer, Profile, profile_image
from edgecomp.profile.trace import Tracer, find_tracer
from edgecomp.profiling import stand_in
from edgecomp.targets.boards import get_board, load_boards
from tests.cli.support import FAST, call, tiny_model, tiny_samples

pytestmark = pytest.mark.device

EMULATED = (
    "microbit",
    "mps2-an385",
    "mps2-an386",
    "mps2-an500",
    "mps2-an505",
    "mps3-an547",
    "mps2-an385-v6m",
)
TURNS = 100_000
LAYOUT = ModelLayout(0x600DCAFE, 8, (4,), (4,), (4, 4))
LAYERS = tuple(Layer(f"layer{n}", ("spin",), "known", None, 10) for n in range(2))
SAMPLE = np.array([[1, 2, 3, 4]], np.int8)

HEADER = """
#include <stdint.h>
#define KNOWN_BUILD_ID 0x600dcafeu
int8_t *known_input(void *arena, int i);
int known_run(void *arena);
int known_run_stage(void *arena, int stage);
const int8_t *known_output(const void *arena, int i);
typedef struct { float scale; int32_t zero_point, elements, rank, shape[1]; } known_tensor;
static const known_tensor known_info[1] = {{1.0f, 0, 4, 1, {4}}};
"""
APP_MODEL = """
#include "known.h"
#define MODEL_ARENA_BYTES 8
#define MODEL_ARENA_ALIGN 8
#define MODEL_INPUTS 1
#define MODEL_OUTPUTS 1
#define MODEL_STAGES 2
#define MODEL_BUILD_ID KNOWN_BUILD_ID
#define model_input known_input
#define model_run known_run
#define model_output known_output
#define model_run_stage known_run_stage
#define model_input_info known_info
#define model_output_info known_info
static const uint32_t model_input_bytes[] = {4};
static const uint32_t model_output_bytes[] = {4};
"""
APP_STAGES = """
#include <stdint.h>
static const struct { uint32_t offset, bytes; } model_stage_output[] = {{0, 4}, {0, 4}};
static inline const uint8_t *model_stage_codes(const uint8_t *arena, int stage)
{
    return arena + model_stage_output[stage].offset;
}
"""
# A loop of 2 * TURNS instructions with one before and one behind; a division, which Armv6-M has
# to call a library for.
SOURCE = """
#include "known.h"
int8_t *known_input(void *arena, int i) { (void)i; return arena; }
const int8_t *known_output(const void *arena, int i) { (void)i; return arena; }
#if INLINED
static inline __attribute__((always_inline)) void L00_spin(int8_t *memory)
{
    uint32_t n = TURNS;
    __asm__ volatile(".syntax unified\\n1: subs %0, #1\\n bne 1b" : "+l"(n) : : "cc");
    (void)memory;
}
#else
static __attribute__((naked, noinline)) void L00_spin(int8_t *memory)
{
    (void)memory;
    __asm__ volatile(".syntax unified\\n ldr r2, =TURNS_\\n1: subs r2, #1\\n bne 1b\\n bx lr\\n"
                     ".equ TURNS_, " TEXT(TURNS) "\\n .ltorg");
}
#endif
static __attribute__((noinline)) void L01_divide(int8_t *memory)
{
    volatile int8_t *const codes = memory;
    codes[0] = (int8_t)((uint32_t)codes[3] * 100u / ((uint32_t)codes[1] + 1u));
}
int known_run(void *arena)
{
    L00_spin(arena);
    L01_divide(arena);
    return 0;
}
int known_run_stage(void *arena, int stage)
{
    if (stage == 0) {
        L00_spin(arena);
    } else {
        L01_divide(arena);
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Images]:
    """Return a function that builds the known model for a board."""

    @cache
    def build(name: str, *, inlined: bool = False, turns: int = TURNS) -> Images:
        work = tmp_path_factory.mktemp("known")
        board = get_board(name)
        head = f"#define TEXT_(x) #x\n#define TEXT(x) TEXT_(x)\n#define TURNS {turns}\n"
        head += f"#define INLINED {int(inlined)}\n"
        (work / "src").mkdir()
        for file, text in {
            "known.h": HEADER, "app_model.h": APP_MODEL, "app_stages.h": APP_STAGES,
            "known.c": head + SOURCE,
        }.items():  # fmt: skip
            (work / "src" / file).write_text(text)
        return compile_images(
            work, board, ["src/known.c"], stack_of=lambda elf: stack_bound(elf, board.core)
        )

    return build


@pytest.fixture(scope="module")
def tracer() -> Tracer:
    """The plugin, which the machine that runs these tests must be able to build."""
    found = find_tracer()
    assert found.method == "plugin", found.note
    return found


@pytest.fixture
def profile(images: Callable[..., Images], tracer: Tracer) -> Callable[..., Profile]:
    """Return a function that profiles the known model on a board."""

    def run(name: str, by: Tracer | None = None, **options: object) -> Profile:
        check = images(name, **options).check
        assert check is not None
        engine = QemuEngine(get_board(name), check)
        return profile_image(
            engine, LAYOUT, SAMPLE, model="known", layers=LAYERS, tracer=by or tracer
        )

    return run


def costs(profile: Profile, name: str) -> tuple[int, int]:
    (cost,) = [function.cost for function in profile.functions if function.name == name]
    return cost.instructions, cost.modelled_cycles


# Cycles of the loop: load, then per turn a subtraction and a branch, taken but once, then return.
KNOWN_CYCLES = {
    "microbit": 2 + TURNS * 2 + (TURNS - 1) * 2 + 3,
    "mps2-an385-v6m": 2 + TURNS * 2 + (TURNS - 1) * 2 + 3,
    "mps2-an385": 2 + TURNS * 2 + (TURNS - 1) * 2 + 3,
    "mps2-an386": 2 + TURNS * 2 + (TURNS - 1) * 2 + 3,
}


@pytest.mark.parametrize("name", EMULATED)
def test_known_loop_is_counted_to_the_instruction(name, profile):
    result = profile(name)
    instructions, cycles = costs(result, "L00_spin")
    assert instructions == 1 + 2 * TURNS + 1
    assert KNOWN_CYCLES.get(name, cycles) == cycles
    assert result.parted == "calls"
    assert sum(result.classes.values()) == result.total.instructions
    for key in ("instructions", "modelled_cycles"):
        parts = [getattr(entry.cost, key) for entry in result.layers]
        assert sum(parts) == getattr(result.total, key)
    first, second = (entry.cost.instructions for entry in result.layers)
    assert instructions < first < instructions + 10
    assert 5 <= second < 400


def test_a_library_call_belongs_to_the_layer_that_made_it(profile):
    result = profile("mps2-an385-v6m")
    library = [f for f in result.functions if not f.name.startswith(("L0", "known_"))]
    assert library, "Armv6-M divides by a function"
    own, _ = costs(result, "L01_divide")
    assert result.layers[1].cost.instructions > own + sum(f.cost.instructions for f in library)


def test_inlined_stages_are_run_one_by_one(profile):
    result = profile("mps2-an386", inlined=True)
    assert result.parted == "stages"
    first, second = (entry.cost.instructions for entry in result.layers)
    assert 2 * TURNS < first < 2 * TURNS + 20
    assert 5 <= second < 40
    assert 2 * TURNS < result.total.instructions < first + second


def test_two_runs_are_equal(profile):
    first, second = profile("mps2-an386"), profile("mps2-an386")
    assert first == second


@pytest.mark.parametrize("inlined", [False, True])
def test_the_log_counts_what_the_plugin_counts(inlined, profile):
    plugin = profile("mps2-an386", inlined=inlined, turns=500)
    log = profile("mps2-an386", Tracer(None, "a note"), inlined=inlined, turns=500)
    assert log.tracer.method == "log"
    assert log.layers == plugin.layers
    assert log.functions == plugin.functions
    assert log.total == plugin.total


def test_a_plugin_that_qemu_refuses_is_replaced_by_the_log(profile, tmp_path):
    broken = tmp_path / "broken.so"
    broken.write_text("no shared object")
    result = profile("mps2-an386", Tracer(broken), turns=500)
    assert result.tracer.method == "log"
    assert "without the plugin" in result.tracer.note
    assert result.total == profile("mps2-an386", turns=500).total


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network, built by the command line."""
    top = tmp_path_factory.mktemp("tiny")
    model, data = tiny_model(top / "tiny.onnx"), tiny_samples(top / "tiny.npz")
    answer = call("build", model, "--board", "mps2-an386", "--data", data, "-o", top / "out", *FAST)
    assert answer.code == 0, answer
    return top / "out"


def test_command_prints_json(folder):
    answer = call("profile", folder, "--json")
    assert answer.code == 0, answer
    result = json.loads(answer.out)
    report = json.loads((folder / "report.json").read_text())
    for layer, built in zip(result["layers"], report["layers"], strict=True):
        assert {key: layer[key] for key in ("name", "ops", "kernel", "storage", "macs")} == {
            key: built[key] for key in ("name", "ops", "kernel", "storage", "macs")
        }
        assert layer["instructions"] > layer["macs"] // 4
        assert layer["modelled_cycles"] > layer["instructions"] // 2
    assert result["macs"] == report["macs"]
    for key in ("instructions", "modelled_cycles"):
        layers = sum(layer[key] for layer in result["layers"])
        dispatch = 0 if result["counted"]["layers"] == "calls" else 60 * len(result["layers"])
        assert result[key] <= layers <= result[key] + dispatch
        assert sum(function[key] for function in result["functions"]) == result[key]
    assert sum(result["classes"].values()) == result["instructions"]
    assert result["modelled_ms"] == pytest.approx(result["modelled_cycles"] / 25_000, abs=1e-6)
    assert result["timing"]["rough"] is False
    assert result["sample"] == "the first of the data set"
    again = json.loads(call("profile", folder, "--json").out)
    assert again == result


def test_a_board_that_is_not_emulated_is_counted_on_one_with_its_core(folder, tmp_path):
    copy = tmp_path / "out"
    shutil.copytree(folder, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["board"] = "nucleo_f411re"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    (copy / "check.elf").unlink()
    result = json.loads(call("profile", copy, "--json").out)
    expected = json.loads(call("profile", folder, "--json").out)
    assert result["emulated_board"] == "mps2-an386"
    assert result["modelled_ms"] == pytest.approx(result["modelled_cycles"] / 16_000, abs=1e-6)
    for key in ("instructions", "modelled_cycles", "classes", "functions"):
        assert result[key] == expected[key]


def test_every_board_has_one_that_stands_in_for_it():
    for board in load_boards().values():
        other = stand_in(board)
        assert other.emulator is not None
        assert other.core == board.core


def test_command_prints_a_table_and_writes_a_page(folder, tmp_path):
    page = tmp_path / "profile.html"
    answer = call("profile", folder, "--html", page)
    assert answer.code == 0, answer
    for word in ("conv_layer", "modelled cycles", "modelled, not measured", "25 MHz", str(page)):
        assert word in answer.out
    assert "<svg" in page.read_text()


def test_command_works_without_a_compiler_and_says_so(folder, tmp_path, monkeypatch):
    links = tmp_path / "bin"
    links.mkdir()
    for name in ("qemu-system-arm", "arm-none-eabi-objdump"):
        (links / name).symlink_to(_which(name))
    expected = json.loads(call("profile", folder, "--json").out)
    monkeypatch.setenv("PATH", str(links))
    result = json.loads(call("profile", folder, "--json").out)
    assert result["counted"]["method"] == "log"
    assert "no C compiler" in result["counted"]["note"]
    for key in ("instructions", "modelled_cycles", "layers", "classes", "functions"):
        assert result[key] == expected[key]


def _which(name: str) -> Path:
    return next(
        Path(part) / name
        for part in os.environ["PATH"].split(os.pathsep)
        if (Path(part) / name).exists()
    )


def test_moved_data_set_is_replaced_by_random_codes(folder, tmp_path):
    copy = tmp_path / "elsewhere" / "out"
    copy.parent.mkdir()
    copy.symlink_to(folder)
    data = folder.parent / "tiny.npz"
    data.rename(folder.parent / "hidden.npz")
    try:
        result = json.loads(call("profile", copy, "--json").out)
    finally:
        (folder.parent / "hidden.npz").rename(data)
    assert result["sample"] == "random codes"


def test_what_is_no_built_folder_is_refused(tmp_path):
    answer = call("profile", tmp_path)
    assert answer.code == 2
    assert "is not a folder that `edgecomp build` made" in answer.err

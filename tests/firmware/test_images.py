"""What the builder promises: reproducible images, clean C, clear failures."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_support import (
    ENDLESS,
    FAKE_MODEL,
    INPUTS,
    LAYOUT,
    FixedStack,
    build,
    write_model,
)

from edgecomp.build import compile_host_check, compile_images, find_tool, verify_isa
from edgecomp.build.board_files import write_board_files
from edgecomp.build.flags import WARNING_FLAGS
from edgecomp.device import HostEngine, QemuEngine, run_samples
from edgecomp.errors import DeviceError, DoesNotFitError, InternalError, ToolError, UserError
from edgecomp.paths import firmware_dir
from edgecomp.plan.stack import stack_bound
from edgecomp.targets.boards import get_board, load_boards
from edgecomp.targets.cores import CORES, get_core


def digests(work: Path) -> dict[str, str]:
    names = [
        f"{name}.{suffix}" for name in ("firmware", "check") for suffix in ("elf", "bin", "hex")
    ]
    names += ["firmware.map", "board/link.ld", "board/startup.c", "board/board_config.h"]
    return {name: hashlib.sha256((work / name).read_bytes()).hexdigest() for name in names}


@pytest.mark.parametrize("name", ["microbit", "mps3-an547"])
def test_two_builds_in_different_places_give_the_same_bytes(name, tmp_path):
    one, other = tmp_path / "one", tmp_path / "a longer name" / "of another depth"
    images = build(one, get_board(name))
    again = build(other, get_board(name))
    assert digests(one) == digests(other)
    assert images.commands == again.commands
    assert not any(str(tmp_path) in part for command in images.commands for part in command)
    for file in ("firmware.elf", "check.elf", "firmware.map"):
        assert str(tmp_path).encode() not in (one / file).read_bytes()


def test_recorded_commands_make_the_image_again_in_a_shell(tmp_path):
    work = tmp_path / "work"
    images = build(work, get_board("mps2-an386"))
    before = digests(work)
    for name in ("firmware.elf", "check.elf"):
        (work / name).unlink()
    script = "\n".join(" ".join(f'"{part}"' for part in command) for command in images.commands)
    subprocess.run(["sh", "-e"], input=script, text=True, cwd=work, check=True)
    assert digests(work) == before


def test_every_image_is_for_its_core_and_no_smaller_one(built):
    order = ["microbit", "mps2-an385", "mps2-an386", "mps2-an505", "mps3-an547"]
    for name in order:
        verify_isa(built(name).check, get_board(name).core)
        smaller = get_core("cortex-m0" if name != "microbit" else "cortex-m3")
        with pytest.raises(InternalError, match="another architecture"):
            verify_isa(built(name).check, smaller)


@pytest.mark.parametrize(
    ("core", "instruction", "reason"),
    [
        ("cortex-m3", "0xfb22f103", "a DSP instruction"),  # smuad r1, r2, r3
        ("cortex-m3", "0xfa80f180", "a DSP instruction"),  # qadd r1, r0, r0
        ("cortex-m3", "0xec410b10", "a floating-point instruction"),  # vmov d0, r0, r1
        ("cortex-m0", "0xfb000100", "a 32-bit instruction"),  # mla r1, r0, r0, r0
        ("cortex-m0", "0xb108", "an instruction that Armv6-M lacks"),  # cbz r0, .
        ("cortex-m7-sp", "0xee300b00", "a double-precision"),  # vadd.f64 d0, d0, d0
        ("cortex-m33", "0xf04fe001", ""),  # dls lr, pc: undefined there, left to the assembler
    ],
)
def test_foreign_instructions_are_found(core, instruction, reason, tmp_path):
    width = "n" if len(instruction) == 6 else "w"
    source = tmp_path / "code.c"
    source.write_text(
        f'void f(void) {{ __asm__ volatile(".inst.{width} {instruction}"); }}\n'
        "void _start(void) { f(); }\n"
    )
    gcc = str(find_tool("arm-none-eabi-gcc").path)
    flags = get_core(core).gcc_flags
    elf = tmp_path / "code.elf"
    subprocess.run([gcc, *flags, "-Os", "-nostdlib", source, "-o", elf], check=True)
    if reason:
        with pytest.raises(InternalError, match=reason):
            verify_isa(elf, get_core(core))
    else:
        verify_isa(elf, get_core(core))


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_board_sources_are_clean_under_clang(step, tmp_path):
    clang = str(find_tool("clang").path)
    for board in list(load_boards().values())[::step]:
        work = tmp_path / board.id
        files = write_board_files(work, board)
        for source in (*files.common, *files.firmware, *files.check):
            done = subprocess.run(
                [
                    *(clang, "--target=arm-none-eabi", *board.core.gcc_flags[:2], "-std=c99"),
                    *(*WARNING_FLAGS, "-fsyntax-only", "-ffreestanding"),
                    *("-Iboard", f"-I{FAKE_MODEL}", source),
                ],
                cwd=work,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{board.id}: {done.stderr}"


def test_sources_are_clean_under_cppcheck(tmp_path):
    cppcheck = shutil.which("cppcheck")
    assert cppcheck, "cppcheck is missing: `make setup` installs it"
    board = get_board("nucleo_l4r5zi")
    write_board_files(tmp_path, board)
    done = subprocess.run(
        [
            *(cppcheck, "--std=c99", "--enable=warning,performance,portability"),
            *("--inline-suppr", "--error-exitcode=1", "--quiet", "--suppress=missingInclude"),
            *("-D__arm__", "-Iboard", f"-I{FAKE_MODEL}", "board", str(firmware_dir() / "app")),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout


def test_host_program_compiles_with_clang_too(tmp_path):
    program = compile_host_check(write_model(tmp_path), ["src/fake.c"], compiler="clang")
    assert program.exists()


def test_compiler_errors_are_shown_with_their_command(tmp_path):
    work = write_model(tmp_path)
    (work / "src" / "fake.c").write_text("int f(void) { return undeclared; }\n")
    with pytest.raises(ToolError) as caught:
        build_again(work, "mps2-an386")
    message = str(caught.value)
    assert "arm-none-eabi-gcc failed with status 1" in message
    assert "-c src/fake.c" in message
    assert "undeclared" in message


def build_again(work: Path, name: str):
    board = get_board(name)
    stack = lambda elf: stack_bound(elf, board.core)  # noqa: E731
    return compile_images(work, board, ["src/fake.c"], stack_of=stack)


def test_a_model_that_is_too_big_is_refused_with_numbers(tmp_path):
    work = write_model(tmp_path)
    header = work / "src" / "fake.h"
    header.write_text(header.read_text().replace("ARENA_BYTES 272", "ARENA_BYTES 40000"))
    with pytest.raises(DoesNotFitError) as caught:
        build_again(work, "microbit")
    message = str(caught.value)
    assert "RAM (ram): needs 40," in message
    assert "has 16,384" in message
    assert "largest contributors (bytes): arena 40,000" in message
    assert "nucleo_f401re" in message
    assert "nucleo_f091rc" not in message.rpartition("boards that have the room")[2]
    assert not (work / "firmware.elf").exists()


def test_where_only_the_firmware_fits_there_is_no_check_image(tmp_path):
    work = write_model(tmp_path)
    board = get_board("microbit")

    def stack_of(elf: Path):
        return FixedStack(16384) if "check" in elf.name else stack_bound(elf, board.core)

    images = compile_images(work, board, ["src/fake.c"], stack_of=stack_of)
    assert images.firmware.exists()
    assert images.check is None
    assert "too many" in images.check_problems[0]


def test_missing_tools_are_named_with_their_package(tmp_path, monkeypatch):
    find_tool.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="apt install gcc-arm-none-eabi"):
        find_tool("arm-none-eabi-gcc")
    with pytest.raises(ToolError, match="apt install qemu-system-arm"):
        find_tool("qemu-system-arm")


def test_hardware_boards_cannot_be_run(built):
    engine = QemuEngine(get_board("nucleo_f446re"), built("nucleo_f446re").check)
    with pytest.raises(UserError, match="NUCLEO-F446RE is not emulated"):
        run_samples(engine, LAYOUT, INPUTS)


def test_spare_stack_of_the_fault_handler_is_large_enough(built):
    for name in ("microbit", "mps2-an386", "mps3-an547"):
        bound = stack_bound(built(name).check, get_board(name).core, roots=("fault_report",))
        assert bound.without_exception_bytes <= 64


INTERRUPTED = """
import signal
import sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job would ignore it
sys.path.insert(0, {folder!r})
from fake_support import INPUTS, LAYOUT
from edgecomp.device import QemuEngine, run_samples
from edgecomp.targets.boards import get_board
print("started", flush=True)
run_samples(QemuEngine(get_board("mps2-an386"), Path({elf!r})), LAYOUT, INPUTS)
"""


@pytest.mark.device
def test_ctrl_c_leaves_no_emulator_behind(built, tmp_path):
    elf = built("mps2-an386", ENDLESS).check
    script = INTERRUPTED.format(folder=str(Path(__file__).parent), elf=str(elf))
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=env,
    ) as child:
        child.stdout.readline()
        deadline = time.monotonic() + 20
        while emulators(elf) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert emulators(elf) == 2
        child.send_signal(signal.SIGINT)
        assert child.wait(20) != 0
    assert emulators(elf) == 0
    assert list(tmp_path.iterdir()) == []


def emulators(elf: Path) -> int:
    """Count the processes that run `elf`."""
    found = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue  # it ended meanwhile
        found += b"qemu" in command and str(elf).encode() in command
    return found


def test_sanitizer_reports_are_shown(tmp_path):
    work = write_model(tmp_path)
    source = work / "src" / "fake.c"
    source.write_text(source.read_text().replace(">> 4]", "]"))
    program = compile_host_check(work, ["src/fake.c"], sanitizers=("address", "undefined"))
    with pytest.raises(DeviceError, match="out of bounds"):
        run_samples(HostEngine(program), LAYOUT, INPUTS)


def test_names_of_cores_are_those_of_the_boards():
    assert {board.core for board in load_boards().values()} <= set(CORES)

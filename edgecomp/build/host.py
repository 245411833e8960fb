"""The check program for this host, from the same sources as the board's."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from edgecomp.build.flags import OPTIMIZE_FLAGS, WARNING_FLAGS, Optimize
from edgecomp.build.toolchain import run_tool
from edgecomp.paths import firmware_dir


def compile_host_check(
    work: Path,
    sources: Sequence[str],
    *,
    compiler: Literal["gcc", "clang"] = "gcc",
    sanitizers: Sequence[str] = (),
    optimize: Optimize = "balanced",
    output: str = "check_host",
) -> Path:
    """Compile the check program for this host from the same model sources.

    Args:
        work: the working directory.
        sources: the model's C files relative to `work`.
        compiler: gcc or clang.
        sanitizers: of "address" and "undefined"; any finding then ends the program.
        optimize: as in `compile_images`.
        output: the program's name.

    Returns:
        The path of the program.
    """
    folder = work / "host"
    folder.mkdir(exist_ok=True)
    headers = ("platform.h", "attributes.h", "crc32.h", "paint.h")
    names = ("check.c", "io_host.c", "probe_host.c", *headers)
    for name in names:
        shutil.copyfile(firmware_dir() / "app" / name, folder / name)
    own = [f"host/{name}" for name in names if name.endswith(".c")]
    guards = [f"-fsanitize={','.join(sanitizers)}", "-fno-sanitize-recover=all"]
    run_tool(
        [
            compiler,
            "-std=c99",
            "-ffp-contract=off",
            OPTIMIZE_FLAGS[optimize],
            *WARNING_FLAGS,
            *(guards if sanitizers else []),
            "-Isrc",
            "-Ihost",
            *sorted(sources),
            *own,
            "-o",
            output,
        ],
        work,
    )
    return work / output

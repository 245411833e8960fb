"""From generated C to linked images, and what can be read from them.

A working directory holds everything that one build reads and writes:

```
work/
  src/       the generated model: kws.c kws.h app_model.h app_stages.h   (written by the caller)
  board/     startup.c link.ld board_config.h, port and application sources   (written here)
  obj/       objects; the model's are compiled once and linked into both images
  firmware.elf .bin .hex .map      the minimal image: read input, run, write output
  check.elf .bin .map              the harness: per-stage CRC, dumps, counters
```

What others call is importable from the package itself:

```
find_toolchain() -> Toolchain                                ToolError names the Debian package
compile_images(work, board, sources, stack_of=..., optimize="balanced") -> Images
compile_host_check(work, sources, compiler="gcc", sanitizers=()) -> Path
measure(elf) -> ImageSizes
fit_problems(sizes, board, stack_bytes) -> tuple[str, ...]
verify_isa(elf, core) -> None                                InternalError names the instruction
```

`Images` has `firmware` and `check` (ELF paths), `stack` (the bound of each), `sizes` (of the
firmware) and `commands` (every command, with relative paths, for the manifest).
`stack_of` is `plan.stack.stack_bound` with the core filled in: the builder needs it because the
stack's size is part of the link, and is handed it because `build` knows nothing of `plan`.
"""

from edgecomp.build.compile import Images, compile_images
from edgecomp.build.disassembly import Instruction, Program, disassemble
from edgecomp.build.flags import Optimize
from edgecomp.build.host import compile_host_check
from edgecomp.build.isa import verify_isa
from edgecomp.build.sizes import ImageSizes, Symbol, fit_problems, measure, symbol_at
from edgecomp.build.toolchain import (
    PACKAGES,
    Tool,
    Toolchain,
    find_tool,
    find_toolchain,
    run_tool,
)

__all__ = [
    "PACKAGES",
    "ImageSizes",
    "Images",
    "Instruction",
    "Optimize",
    "Program",
    "Symbol",
    "Tool",
    "Toolchain",
    "compile_host_check",
    "compile_images",
    "disassemble",
    "find_tool",
    "find_toolchain",
    "fit_problems",
    "measure",
    "run_tool",
    "symbol_at",
    "verify_isa",
]

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

The functions that others call:

```
toolchain.find_toolchain() -> Toolchain                     ToolError names the Debian package
compile.compile_images(work, board, sources, stack_of=..., optimize="balanced") -> Images
compile.compile_host_check(work, sources, compiler="gcc", sanitizers=()) -> Path
sizes.measure(elf) -> ImageSizes
sizes.fit_problems(sizes, board, stack_bytes) -> tuple[str, ...]
isa.verify_isa(elf, core) -> None                            InternalError names the instruction
```

`Images` has `firmware` and `check` (ELF paths), `stack` (the bound of each), `sizes` (of the
firmware) and `commands` (every command, with relative paths, for the manifest).
`stack_of` is `plan.stack.stack_bound` with the core filled in: the builder needs it because the
stack's size is part of the link, and is handed it because `build` knows nothing of `plan`.
"""

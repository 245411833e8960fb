"""The worst-case stack of a linked image, exactly, from its disassembly.

Every path through every function is followed with the depth of the stack, from the root over all
calls and jumps to other functions, those of libgcc included. What cannot be known is refused:
recursion, calls and jumps through a register whose value is not known, stack pointers that are
not computed from the stack pointer. `-fstack-usage` would not do: it reports 0 for functions
written in assembly and knows nothing of libraries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecomp.build import Program, disassemble
from edgecomp.errors import InternalError
from edgecomp.plan.stack_walk import Call, walk
from edgecomp.targets.cores import Core

_ALIGNMENT = 8  # AAPCS, section 6.2.1
_EXCEPTION_ALIGNMENT = 4  # one more word where the stack is not at 8 bytes: CCR.STKALIGN
_INTERRUPT = "SysTick_Handler"  # the one that an image may enable


@dataclass(frozen=True)
class StackBound:
    """The most that the stack of an image can grow to.

    `path` is the deepest chain of calls: each function with the bytes it adds to the stack
    before the next one is entered. `total_bytes` adds the exceptions and is a multiple of 8: the
    fault that may come at any moment and, in an image with a handler for it, SysTick below that.
    """

    without_exception_bytes: int
    exception_bytes: int
    path: tuple[tuple[str, int], ...]

    @property
    def total_bytes(self) -> int:
        """What the linker script must reserve."""
        total = self.without_exception_bytes + self.exception_bytes
        return -(-total // _ALIGNMENT) * _ALIGNMENT


@dataclass(frozen=True)
class _Summary:
    """What a caller must know of a function."""

    bytes: int
    returns: bool
    path: tuple[tuple[str, int], ...]


def stack_bound(elf: Path, core: Core, roots: Sequence[str] = ("Reset_Handler",)) -> StackBound:
    """Return the worst-case stack of the image `elf`.

    Args:
        elf: a linked image.
        core: the core it is for, which decides how much one exception pushes.
        roots: functions that start with an empty stack.

    Raises:
        InternalError: the code does something whose stack use cannot be bounded.
    """
    program = disassemble(elf)
    known: dict[int, _Summary] = {}
    deepest: _Summary | None = None
    for root in roots:
        addr = program.addr_of(root)
        if addr is None:
            raise InternalError(f"{elf.name} has no function {root!r} to start from")
        summary = _summarize(program, core, addr, known, [])
        if deepest is None or summary.bytes > deepest.bytes:
            deepest = summary
    if deepest is None:
        raise InternalError("a stack bound needs at least one root")
    frame_bytes = core.exception_frame_bytes + _EXCEPTION_ALIGNMENT
    interrupt = program.addr_of(_INTERRUPT)
    interrupt_bytes = 0
    if interrupt is not None:
        interrupt_bytes = frame_bytes + _summarize(program, core, interrupt, known, []).bytes
    return StackBound(
        without_exception_bytes=deepest.bytes,
        exception_bytes=frame_bytes + interrupt_bytes,
        path=deepest.path,
    )


def _summarize(
    program: Program, core: Core, entry: int, known: dict[int, _Summary], active: list[int]
) -> _Summary:
    """Return the summary of the function at `entry`; `active` are the calls that lead here."""
    if entry in known:
        return known[entry]
    if entry in active:
        ring = [*active[active.index(entry) :], entry]
        names = " -> ".join(program.name_at(addr) for addr in ring)
        raise InternalError(f"recursion, whose stack has no bound: {names}")

    # Callees come first: whether a call returns decides what code is reached behind it.
    def returns(call: Call) -> bool:
        summary = _summarize(program, core, call.target, known, [*active, entry])
        calls.append((call.depth, summary))
        return summary.returns

    calls: list[tuple[int, _Summary]] = []
    own_bytes, comes_back = walk(program, entry, returns, far_jumps=core.is_v6m)
    name = program.name_at(entry)
    best = _Summary(own_bytes, comes_back, ((name, own_bytes),))
    for depth, callee in calls:
        if depth + callee.bytes > best.bytes:
            best = _Summary(depth + callee.bytes, comes_back, ((name, depth), *callee.path))
    known[entry] = best
    return best

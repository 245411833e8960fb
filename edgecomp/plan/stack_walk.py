"""Following one function's instructions with the depth of its stack."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from edgecomp.build import Instruction, Program
from edgecomp.errors import InternalError
from edgecomp.plan.stack_state import RETURN_ADDRESS, State, UnknownStackError, Value

_CONDITIONS = ("eq", "ne", "cs", "cc", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le")
_LOOPS = ("cbz", "cbnz", "le", "letp", "wls", "wlstp")
_CONDITIONAL_BRANCHES = frozenset([*(f"b{condition}" for condition in _CONDITIONS), *_LOOPS])
_CASE_TABLES = {  # libgcc's switch helpers: name -> (entry format, factor)
    "__gnu_thumb1_case_uqi": ("<B", 2),
    "__gnu_thumb1_case_sqi": ("<b", 2),
    "__gnu_thumb1_case_uhi": ("<H", 2),
    "__gnu_thumb1_case_shi": ("<h", 2),
    "__gnu_thumb1_case_si": ("<i", 1),
}
_CASE_STACK_BYTES = 8  # what the helpers push at most: lib1funcs.S
_ENTRY_BYTES = {"<B": 1, "<b": 1, "<H": 2, "<h": 2, "<I": 4, "<i": 4}
_COMPARE_REACH = 12  # instructions between the compare of a switch and its jump


@dataclass(frozen=True)
class Call:
    """A call, or a jump to another function, with `depth` bytes on the stack."""

    target: int
    depth: int


def walk(
    program: Program, entry: int, returns: Callable[[Call], bool], *, far_jumps: bool
) -> tuple[int, bool]:
    """Follow every path from `entry`.

    Args:
        program: the image.
        entry: where the function begins.
        returns: called for every call, tells whether it comes back.
        far_jumps: whether a `bl` to no function is a jump, as on Armv6-M; elsewhere it calls.

    Returns:
        The deepest stack of the function itself, in bytes, and whether it ever returns.

    Raises:
        InternalError: an instruction whose effect on the stack cannot be known.
    """
    walker = _Walker(program, entry, returns, far_jumps)
    walker.run()
    return walker.deepest, walker.comes_back


class _Walker:
    """The walk through one function: a work list of addresses with what is known there."""

    def __init__(
        self, program: Program, entry: int, returns: Callable[[Call], bool], far_jumps: bool
    ) -> None:
        self.program = program
        self.entry = entry
        self.returns = returns
        self.far_jumps = far_jumps
        self.deepest = 0
        self.comes_back = False
        self.states: dict[int, State] = {entry: State.at_entry()}
        self.pending = [entry]

    def run(self) -> None:
        """Visit until nothing new is learnt."""
        while self.pending:
            addr = self.pending.pop()
            at = self.program.instructions.get(addr)
            if at is None:
                name = self.program.name_at(self.entry)
                raise InternalError(f"{name} runs into {addr:#x}, where there is no code")
            try:
                self._visit(at, self.states[addr].copy())
            except UnknownStackError as error:
                self._refuse(at, str(error))

    def _refuse(self, at: Instruction, reason: str) -> NoReturn:
        raise InternalError(
            f"stack analysis: {reason}\n  {self.program.name_at(at.addr)}, {at.addr:#x}: "
            f"{at.name} {at.operands}"
        )

    def _visit(self, at: Instruction, state: State) -> None:
        """Apply one instruction and queue what can follow it."""
        after = state.copy()
        after.apply(at, self.program)
        self.deepest = max(self.deepest, after.depth)
        if self._leaves(at, state, after):
            if not at.conditional:
                return
        elif at.conditional and after.depth != state.depth:
            self._refuse(at, "a conditional instruction moves the stack pointer")
        if at.conditional:  # perhaps it did nothing: the registers it writes are unknown now
            registers = dict(state.registers.items() & after.registers.items())
            after = State(state.depth, registers, state.slots)
        self._go(at, at.next_addr, after)

    def _go(self, at: Instruction, addr: int, state: State) -> None:
        """Continue at `addr`, which may be the beginning of another function."""
        function = self.program.functions.get(addr)
        # What gcc moves out of line as "f.cold" is a part of f.
        if function and not function.endswith(".cold") and (addr != self.entry or state.depth):
            back = self.returns(Call(addr, state.depth))
            if state.depth and back:
                self._refuse(at, "a jump to another function with the own stack not freed")
            self.comes_back |= back
            return
        seen = self.states.get(addr)
        if seen is None:
            self.states[addr] = state.copy()
            self.pending.append(addr)
            return
        if seen.depth != state.depth:
            self._refuse(at, f"the stack is {seen.depth} or {state.depth} bytes deep at {addr:#x}")
        if seen.meet(state):
            self.pending.append(addr)

    def _leaves(self, at: Instruction, before: State, after: State) -> bool:
        """Handle calls, jumps and returns; True if the next instruction is not reached."""
        first, _, rest = at.operands.partition(", ")
        target = after.registers.pop("pc", None)  # where it jumps to, which nothing else reads
        if at.name == "bl":
            if self.program.functions.get(at.target) in _CASE_TABLES:
                self._case_table(at, before)
                return True
            if self.far_jumps and at.target not in self.program.functions:
                # On Armv6-M gcc jumps with bl inside a function that b does not reach across.
                self._go(at, at.target, after)
                return True
            return not self.returns(Call(at.target, before.depth))
        if at.name in _CONDITIONAL_BRANCHES:
            self._go(at, at.target, after)
            return False
        if at.name == "b":
            self._go(at, at.target, after)
            return True
        if at.name in {"tbb", "tbh"}:
            table = at.next_addr
            form = "<B" if at.name == "tbb" else "<H"
            self._jump_table(at, after, table, form, lambda entry: table + 2 * entry)
            return True
        if at.name == "udf":
            return True
        if at.name in {"bx", "blx"}:
            return self._jump_to(at, after, before.registers.get(first))
        if at.name == "mov" and first == "pc":
            return self._jump_to(at, after, before.registers.get(rest))
        if target is not None:
            return self._jump_to(at, after, target)
        if first == "pc" or ("pc" in at.register_list and at.name.startswith(("pop", "ldm"))):
            # Parts of libgcc's floating point free their caller's frame and return in its stead.
            return self._jump_to(at, after, RETURN_ADDRESS if after.depth < 0 else None)
        return False

    def _jump_to(self, at: Instruction, state: State, value: Value | None) -> bool:
        """Jump to, call or return to what a register holds."""
        kind, number = value or ("", 0)
        if kind == "return":
            if state.depth > 0:
                self._refuse(at, f"a return with {state.depth} bytes left on the stack")
            self.comes_back = True
        elif kind == "const" and at.name == "blx":
            return not self.returns(Call(number & ~1, state.depth))
        elif kind == "const":
            self._go(at, number & ~1, state)
        elif kind == "table":
            self._jump_table(at, state, number, "<I", lambda entry: entry & ~1)
        else:
            self._refuse(at, "an indirect call or jump whose target is not known")
        return True

    def _case_table(self, at: Instruction, state: State) -> None:
        """Follow a switch that goes through one of libgcc's Thumb-1 helpers."""
        self.deepest = max(self.deepest, state.depth + _CASE_STACK_BYTES)
        form, factor = _CASE_TABLES[self.program.functions[at.target]]
        table = (at.next_addr + 3) & ~3 if factor == 1 else at.next_addr
        self._jump_table(at, state, table, form, lambda entry: table + factor * entry)

    def _jump_table(
        self,
        at: Instruction,
        state: State,
        table: int,
        form: str,
        target: Callable[[int], int],
    ) -> None:
        """Continue at every target of a table, whose length the compare before it tells."""
        highest = self._highest_index(at)
        for number in range(highest + 1):
            entry = self.program.number_at(table + number * _ENTRY_BYTES[form], form)
            if entry is None or target(entry) not in self.program.instructions:
                self._refuse(at, f"entry {number} of a jump table is no code address")
            self._go(at, target(entry), state)

    def _highest_index(self, at: Instruction) -> int:
        """Return the constant that the index was compared with: the table's highest index."""
        here, unsigned_branch = at, ""
        for _ in range(_COMPARE_REACH):
            previous = (self.program.instructions.get(here.addr - size) for size in (2, 4))
            found = next((p for p in previous if p and p.next_addr == here.addr), None)
            if found is None:
                break
            if found.name in {"bhi", "bcs", "bls", "bcc"}:
                unsigned_branch = found.name
            limit = self._compared_with(found) if unsigned_branch else None
            if limit is not None:
                return limit - (unsigned_branch in {"bcs", "bcc"})
            here = found
        self._refuse(at, "a jump table without a compare that bounds its index")

    def _compared_with(self, at: Instruction) -> int | None:
        """Return the constant that a compare has, as a number or in a register."""
        if at.name != "cmp" or at.immediate is not None:
            return at.immediate if at.name == "cmp" else None
        # More than 256 cases: Armv6-M compares with a register.
        kind, number = self.states[at.addr].registers.get(at.operands.split(", ")[1], ("", 0))
        return number if kind == "const" else None

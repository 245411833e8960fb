"""What is known of stack pointer and registers at one point of a function."""

import re
from dataclasses import dataclass, field

from edgecomp.build import Instruction, Program

# A constant, the stack pointer as it was at a depth, the return address, or an entry of a table
# of code addresses: (kind, number).
Value = tuple[str, int]
RETURN_ADDRESS: Value = ("return", 0)

_CALLER_SAVED = ("r0", "r1", "r2", "r3", "ip", "lr")
_NO_RESULT = ("str", "stm", "stc", "cmp", "cmn", "tst", "teq", "push", "vst", "cb", "bx", "msr")
_TWO_RESULTS = ("v", "ldrd", "smull", "umull", "smlal", "umlal", "umaal", "smlsld", "asrl", "lsll")
_REGISTERS = (*(f"r{number}" for number in range(10)), "sl", "fp", "ip", "sp", "lr", "pc")
_MOVED_BEFORE = re.compile(r"\[sp, #(-?\d+)\]!")
_MOVED_AFTER = re.compile(r"\[sp\], #(-?\d+)")
_ON_STACK = re.compile(r"\[sp(?:, #(\d+))?\]$")
_BASE_WRITTEN = re.compile(r"(?:\[(\w+)[^\]]*\]!|\[(\w+)\], |^(\w+)!)")
_NUMBER = re.compile(r"#-?(?:0x[0-9a-f]+|\d+)")
_INDEXED = re.compile(r"^\[(\w+), (\w+)(?:, lsl #\d)?\]$")


class UnknownStackError(Exception):
    """An instruction whose effect on the stack pointer cannot be known."""


@dataclass
class State:
    """What is known before an instruction.

    `depth` is how many bytes the stack has grown since the function's entry, `slots` what lies
    on it, by depth, where that matters.
    """

    depth: int = 0
    registers: dict[str, Value] = field(default_factory=dict)
    slots: dict[int, Value] = field(default_factory=dict)

    @classmethod
    def at_entry(cls) -> "State":
        """Return what holds when a function is entered."""
        return cls(registers={"lr": RETURN_ADDRESS})

    def copy(self) -> "State":
        """Return a copy that can be changed by itself."""
        return State(self.depth, dict(self.registers), dict(self.slots))

    def meet(self, other: "State") -> bool:
        """Keep only what holds on both ways here; return whether something was lost."""
        before = len(self.registers) + len(self.slots)
        self.registers = dict(self.registers.items() & other.registers.items())
        self.slots = dict(self.slots.items() & other.slots.items())
        return len(self.registers) + len(self.slots) != before

    def apply(self, at: Instruction, program: Program) -> None:
        """Apply one instruction.

        Raises:
            UnknownStackError: the stack pointer becomes something that is not known.
        """
        first, _, rest = at.operands.partition(", ")
        names = at.register_list
        to_stack = at.name in {"push", "vpush"} or (first == "sp!" and at.name.startswith("stmdb"))
        if to_stack or (first == "sp!" and at.name == "vstmdb"):
            self._push(names)
        elif at.name in {"pop", "vpop"} or (first == "sp!" and names):
            self._pop(names)
        elif moved := _MOVED_BEFORE.search(at.operands):
            self.depth -= int(moved[1])
            if at.name == "str" and first in self.registers:
                self.slots[self.depth] = self.registers[first]
        elif moved := _MOVED_AFTER.search(at.operands):
            loaded = self.slots.get(self.depth)
            self._shrink(int(moved[1]))
            self._set(first, loaded)
        elif moved := _ON_STACK.search(at.operands):
            slot = self.depth - int(moved[1] or 0)
            if at.name.startswith("ldr"):
                loaded = self.slots.get(slot) if at.name == "ldr" else None
                self._compute(at, first, rest, program)
                self._set(first, loaded)
            else:
                self._store(at, first, slot)
        elif first == "sp" and names:  # ldm and stm without write-back: the pointer stays
            if at.name.startswith(("ldm", "vldm")):
                for register in names:
                    self._set(register, None)
            else:
                self._store_list(names)
        elif first == "sp" and not at.name.startswith(_NO_RESULT):
            self._compute_stack(at, rest)
        elif at.name in {"bl", "blx"}:
            for register in _CALLER_SAVED:
                self._set(register, None)
        else:
            self._compute(at, first, rest, program)

    def _set(self, register: str, value: Value | None) -> None:
        self.registers.pop(register, None)
        if value is not None:
            self.registers[register] = value

    def _store(self, at: Instruction, register: str, slot: int) -> None:
        """Note a store to the stack: it replaces what lay in the words from `slot` on."""
        words = 2 if at.name == "strd" else _list_bytes((register,)) // 4
        for word in range(words):
            self.slots.pop(slot - 4 * word, None)
        if at.name == "str" and register in self.registers:
            self.slots[slot] = self.registers[register]

    def _store_list(self, names: tuple[str, ...]) -> None:
        """Note registers that are stored to the lowest words of the stack."""
        for word in range(_list_bytes(names) // 4):
            self.slots.pop(self.depth - 4 * word, None)
        for slot, name in _slots(self.depth, names):
            if name in self.registers:
                self.slots[slot] = self.registers[name]

    def _push(self, names: tuple[str, ...]) -> None:
        self.depth += _list_bytes(names)
        self._store_list(names)

    def _pop(self, names: tuple[str, ...]) -> None:
        for slot, name in _slots(self.depth, names):
            self._set(name, self.slots.get(slot))
        self._shrink(_list_bytes(names))

    def _shrink(self, size: int) -> None:
        self.depth -= size
        self.slots = {slot: value for slot, value in self.slots.items() if slot <= self.depth}

    def _compute_stack(self, at: Instruction, rest: str) -> None:
        """Apply an instruction whose result is the stack pointer."""
        parts = rest.split(", ")
        base = ("sp", self.depth)
        if len(parts) == 2 or at.name == "mov":
            base = self._value(parts[0]) or ("", 0)
        amount = 0 if at.name == "mov" else self._amount(parts[-1])
        if base[0] != "sp" or amount is None or not at.name.startswith(("mov", "add", "sub")):
            raise UnknownStackError("the stack pointer becomes something that is not known")
        self._shrink(self.depth - base[1] + (-amount if at.name.startswith("sub") else amount))

    def _value(self, register: str) -> Value | None:
        return ("sp", self.depth) if register == "sp" else self.registers.get(register)

    def _amount(self, operand: str) -> int | None:
        """Return the number that an operand stands for, as signed 32 bits."""
        if _NUMBER.fullmatch(operand):
            return int(operand[1:], 0)
        kind, number = self.registers.get(operand, ("", 0))
        return (number ^ 1 << 31) - (1 << 31) if kind == "const" else None

    def _compute(self, at: Instruction, first: str, rest: str, program: Program) -> None:
        """Note what the instruction leaves in the registers that the analysis follows."""
        value = self._result(at, first, rest, program)
        if written := _BASE_WRITTEN.search(at.operands):
            self._set(next(name for name in written.groups() if name), None)
        if at.name.startswith(_NO_RESULT) and not at.name.startswith("strex"):
            return
        self._set(first, value)
        if at.name.startswith(_TWO_RESULTS):
            self._set(rest.partition(", ")[0], None)
        for name in at.register_list:
            self._set(name, None)

    def _result(self, at: Instruction, first: str, rest: str, program: Program) -> Value | None:
        """Return what becomes of the first operand, if it can be followed."""
        parts = rest.split(", ")
        name = at.name.removesuffix("s").removesuffix("w")
        if name in {"add", "adr"} and at.target >= 0:
            return ("const", at.target)  # an address near the program counter
        if name == "ldr":
            if rest.startswith("[pc, #"):
                word = program.number_at(at.target)
                return None if word is None else ("const", word)
            table = _INDEXED.match(rest)
            if table and table[1] == "pc":
                return ("table", (at.addr + 4) & ~3)
            for register in table.groups() if table else ():
                kind, number = self.registers.get(register, ("", 0))
                if kind == "const":
                    return ("table", number)
            return None
        if name in {"mov", "mvn"} and _NUMBER.fullmatch(rest):
            number = int(rest[1:], 0)
            return ("const", (number if name == "mov" else ~number) & 0xFFFFFFFF)
        if name == "mov":
            return self._value(rest)
        kind, number = self._value(first if len(parts) == 1 else parts[0]) or ("", 0)
        amount = self._amount(parts[-1])
        if name == "movt" and kind == "const" and amount is not None:
            return ("const", number & 0xFFFF | amount << 16)
        if amount is None or not kind:
            return None
        if name in {"add", "sub"} and kind == "const":
            return ("const", (number + (amount if name == "add" else -amount)) & 0xFFFFFFFF)
        if name in {"add", "sub"} and kind == "sp":
            return ("sp", number - (amount if name == "add" else -amount))
        if name == "bic" and kind == "sp":
            return ("sp", number + amount)  # aligned downwards: at most so much deeper
        if name == "lsl" and kind == "const":
            # Of a register that says how far, the core takes the lowest byte.
            return ("const", number << (amount & 0xFF) & 0xFFFFFFFF)
        return None


def _list_bytes(names: tuple[str, ...]) -> int:
    return sum({"d": 8, "q": 16}.get(name[0], 4) for name in names)


def _slots(depth: int, names: tuple[str, ...]) -> list[tuple[int, str]]:
    """Return where the core registers of a list lie on a stack of `depth` bytes, lowest first."""
    core = [name for name in _REGISTERS if name in names]
    return [(depth - 4 * number, name) for number, name in enumerate(core)]

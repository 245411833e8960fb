"""What an instruction does, as far as classes and timing models ask: kind, registers, words."""

import re
from dataclasses import dataclass

from edgecomp.build import Instruction
from edgecomp.profile.kinds import Kind, class_of, is_vector, kind_of

_K = Kind
_REGISTER = re.compile(r"\b(?:r\d+|s[lpb]|fp|ip|lr|pc|[qds]\d+)\b")
_ADDRESS = re.compile(r"\[([^\]]*)\]")
_WRITEBACK = re.compile(r"\[(\w+)[^\]]*\]!|\[(\w+)\], |^(\w+)!")
_NO_RESULT = frozenset(
    [
        *(_K.STORE, _K.STORE_WORDS, _K.VECTOR_STORE, _K.VECTOR_SCATTER, _K.VECTOR_CONTROL),
        *(_K.BRANCH, _K.CALL, _K.JUMP, _K.TABLE_BRANCH, _K.LOOP_END, _K.NOP, _K.SYSTEM),
    ]
)
_COMPARES = re.compile(r"cmp|cmn|tst|teq|v(cmp\w*|pt\w*)")
_READS_FIRST = re.compile(
    r"(add|adc|sub|sbc|rsb|and|orr|orn|eor|bic|lsl|lsr|asr|ror|mul)s?|movt|bf[ic]"
    r"|[su]mlal|smlal\w*|umaal|v(ml[as]\w*|add(l?)va|rml\w*a\w*|q?r?dml\w*|fm[as]\w*|sli|sri|bi[ft])"
)
_TWO_RESULTS = re.compile(
    r"[su]mull|[su]mlal|smlal\w+|umaal|ldrd|vml[as]lda\w*|vrmlal\w*|lsll|asrl"
)
_ACCUMULATES_LAST = frozenset([_K.MULTIPLY_ADD, _K.DSP_MULTIPLY_ADD])


@dataclass(frozen=True)
class Operation:
    """One instruction as the timing models see it.

    Attributes:
        kind: what it is.
        name: its name, without condition and width.
        size: bytes of its encoding.
        reads: registers that it needs, address and accumulator among them.
        writes: registers that it changes.
        address: registers among `reads` that form an address.
        base: registers among `address` that are moved on.
        accumulator: registers among `reads` that are only added to a product.
        words: words that it transfers; elements for gathers and scatters.
        vector: whether it works on vector registers or their predicates.
        target: the address that a direct branch goes to, or -1.
    """

    kind: Kind
    name: str
    size: int
    reads: frozenset[str]
    writes: frozenset[str]
    address: frozenset[str]
    base: frozenset[str]
    accumulator: frozenset[str]
    words: int
    vector: bool
    target: int

    @property
    def category(self) -> str:
        """One of `CLASSES`."""
        return class_of(self.kind, vector=self.vector)


def decode(at: Instruction) -> Operation:
    """Return what `at` does.

    >>> at = Instruction(0x40, 4, "smlad", "r0, r1, r2, r0", -1)
    >>> decode(at).kind, sorted(decode(at).accumulator)
    (<Kind.DSP_MULTIPLY_ADD: 'dsp_multiply_add'>, ['r0'])
    """
    name, _, suffix = at.name.partition(".")
    vector = is_vector(name, at.operands)
    kind = kind_of(name, at.operands, vector=vector)
    base = _base(name, at.operands)
    found = _ADDRESS.search(at.operands)
    reads, writes = _registers(name, kind, at)
    return Operation(
        kind=kind,
        name=name,
        size=at.size,
        reads=base.union(reads),
        writes=base.union(writes),
        address=base.union(_REGISTER.findall(found[1]) if found else ()),
        base=base,
        accumulator=_accumulator(name, kind, at.operands),
        words=_words(name, suffix, kind, at),
        vector=vector,
        target=at.target if kind in {_K.BRANCH, _K.CALL, _K.LOOP_END} else -1,
    )


def _base(name: str, operands: str) -> frozenset[str]:
    if name in {"push", "pop", "vpush", "vpop"}:
        return frozenset(["sp"])
    written = _WRITEBACK.search(operands)
    return frozenset(part for part in written.groups() if part) if written else frozenset()


def _registers(name: str, kind: Kind, at: Instruction) -> tuple[set[str], set[str]]:
    """Registers that are read and written; flags and predicates are not followed."""
    text = at.operands
    if kind in {_K.BRANCH, _K.CALL}:
        text = text.partition(",")[0] if name.startswith("cb") else ""
    names = _REGISTER.findall(text.partition("{")[0])
    listed = at.register_list
    if kind is _K.LOAD_WORDS and listed:
        return set(names), set(listed)
    if kind in _NO_RESULT or _COMPARES.fullmatch(name):
        return {*names, *listed}, set()
    results = 2 if _TWO_RESULTS.fullmatch(name) else 1
    reads_first = _READS_FIRST.fullmatch(name) and (
        len(names) < 3 or results == 2 or name.startswith("v")
    )
    return set(names if reads_first else names[results:]), {*names[:results], *listed}


def _accumulator(name: str, kind: Kind, operands: str) -> frozenset[str]:
    names = _REGISTER.findall(operands)
    if kind in _ACCUMULATES_LAST and len(names) == 4:
        last = names[3]
        return frozenset({last} - set(names[1:3]))
    if kind is _K.LONG_MULTIPLY_ADD or (kind is _K.DSP_MULTIPLY_ADD and name.startswith("smlal")):
        return frozenset(set(names[:2]) - set(names[2:]))
    if kind in {_K.VECTOR_REDUCE, _K.VECTOR_MULTIPLY} and _READS_FIRST.fullmatch(name):
        count = 2 if _TWO_RESULTS.fullmatch(name) else 1
        return frozenset(set(names[:count]) - set(names[count:]))
    return frozenset()


def _words(name: str, suffix: str, kind: Kind, at: Instruction) -> int:
    if name in {"ldrd", "strd"}:
        return 2
    if at.register_list and kind in {_K.LOAD_WORDS, _K.STORE_WORDS}:
        return sum({"d": 2, "q": 4}.get(register[0], 1) for register in at.register_list)
    if kind in {_K.VECTOR_GATHER, _K.VECTOR_SCATTER}:
        bits = re.search(r"\d+", suffix)
        return 128 // int(bits[0]) if bits else 4
    if name in {"vldr", "vstr"} and at.operands.startswith("d"):
        return 2
    return 1

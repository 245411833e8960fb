"""What an instruction does, as far as classes and timing models ask: kind, registers, words."""

import re
from dataclasses import dataclass
from enum import Enum

from edgecomp.build import Instruction

CLASSES = ("load", "store", "multiply", "dsp", "mve", "float", "branch", "other")
"""The classes of a profile; everything on vector registers, loads included, is `mve`."""


class Kind(Enum):
    """Instructions that the timing models tell apart."""

    ALU = "alu"
    SHIFT = "shift"
    SHIFTED = "shifted"  # arithmetic with an operand that is shifted right or rotated
    MULTIPLY = "multiply"
    MULTIPLY_ADD = "multiply_add"
    LONG_MULTIPLY = "long_multiply"
    LONG_MULTIPLY_ADD = "long_multiply_add"
    DIVIDE = "divide"
    DSP = "dsp"
    DSP_MULTIPLY = "dsp_multiply"
    DSP_MULTIPLY_ADD = "dsp_multiply_add"
    LOAD = "load"
    LOAD_NARROW = "load_narrow"  # a byte or half word
    STORE = "store"
    LOAD_WORDS = "load_words"  # LDRD, LDM, POP
    STORE_WORDS = "store_words"
    BRANCH = "branch"
    CALL = "call"
    JUMP = "jump"  # through a register
    TABLE_BRANCH = "table_branch"
    LOOP_START = "loop_start"
    LOOP_END = "loop_end"
    FLOAT = "float"
    FLOAT_MULTIPLY_ADD = "float_multiply_add"
    FLOAT_DIVIDE = "float_divide"
    VECTOR_LOAD = "vector_load"
    VECTOR_GATHER = "vector_gather"
    VECTOR_STORE = "vector_store"
    VECTOR_SCATTER = "vector_scatter"
    VECTOR_ALU = "vector_alu"
    VECTOR_MULTIPLY = "vector_multiply"
    VECTOR_REDUCE = "vector_reduce"  # into core registers, through the multiplier
    VECTOR_MOVE = "vector_move"  # between core registers and lanes
    VECTOR_CONTROL = "vector_control"
    SYSTEM = "system"
    NOP = "nop"


_K = Kind
_CLASS_OF = {
    _K.LOAD: "load",
    _K.LOAD_NARROW: "load",
    _K.LOAD_WORDS: "load",
    _K.STORE: "store",
    _K.STORE_WORDS: "store",
    _K.MULTIPLY: "multiply",
    _K.MULTIPLY_ADD: "multiply",
    _K.LONG_MULTIPLY: "multiply",
    _K.LONG_MULTIPLY_ADD: "multiply",
    _K.DSP: "dsp",
    _K.DSP_MULTIPLY: "dsp",
    _K.DSP_MULTIPLY_ADD: "dsp",
    _K.BRANCH: "branch",
    _K.CALL: "branch",
    _K.JUMP: "branch",
    _K.TABLE_BRANCH: "branch",
    _K.LOOP_START: "branch",
    _K.LOOP_END: "branch",
    _K.FLOAT: "float",
    _K.FLOAT_MULTIPLY_ADD: "float",
    _K.FLOAT_DIVIDE: "float",
}

_CONDITION = "(?:eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)"
# The first pattern that the name matches decides; names have no width suffix (build.Instruction).
_SCALAR: tuple[tuple[str, Kind], ...] = (
    (rf"b{_CONDITION}?|cbn?z", _K.BRANCH),
    (r"bl", _K.CALL),
    (r"bx|blx|bxns|blxns", _K.JUMP),
    (r"tb[bh]", _K.TABLE_BRANCH),
    (r"dls|wls|dlstp|wlstp", _K.LOOP_START),
    (r"le|letp", _K.LOOP_END),
    (r"ldrd|ldm\w*|pop", _K.LOAD_WORDS),
    (r"strd|stm\w*|push", _K.STORE_WORDS),
    (r"ldr(ex)?s?[bh]t?|lda(ex)?[bh]", _K.LOAD_NARROW),
    (r"ldr\w*|lda\w*", _K.LOAD),
    (r"str\w*|stl\w*", _K.STORE),
    (r"muls?", _K.MULTIPLY),
    (r"ml[as]", _K.MULTIPLY_ADD),
    (r"[su]mull", _K.LONG_MULTIPLY),
    (r"[su]mlal|umaal", _K.LONG_MULTIPLY_ADD),
    (r"[su]div", _K.DIVIDE),
    (r"smu(l|a|s)(bb|bt|tb|tt|wb|wt|dx?)|smmulr?", _K.DSP_MULTIPLY),
    (r"sml[as](l?)(bb|bt|tb|tt|wb|wt|dx?)|smml[as]r?", _K.DSP_MULTIPLY_ADD),
    (r"pkh(bt|tb)|[su]xta?b16|[su]xta[bh]|q\w*|[su]h?(add|sub)(8|16)|[su]h?(asx|sax)", _K.DSP),
    (r"u[qh](add|sub)(8|16)|uq(asx|sax)|sel|usada?8|[su]sat(16)?", _K.DSP),
    (r"(lsl|asr|lsr|ror|rrx)s?|[su]bfx|bf[ci]|clz|rbit|rev\w*", _K.SHIFT),
    (r"nop|it[te]*|yield|pld\w*|pli", _K.NOP),
    (r"mrs|msr|dmb|dsb|isb|cps\w*|wf[ei]|sev|bkpt|svc|udf|tt\w*|sg|clrex|mcr\w*|mrc\w*", _K.SYSTEM),
)
_VECTOR: tuple[tuple[str, Kind], ...] = (
    (r"vp(t|st|not|sel)\w*|vctp|lctp|vmrs|vmsr", _K.VECTOR_CONTROL),
    (r"vld[24]\d|vldr\w*", _K.VECTOR_LOAD),
    (r"vst[24]\d|vstr\w*", _K.VECTOR_STORE),
    (r"v(ml[as]l?da?v\w*|mlalv\w*|mlav\w*|addl?va?|minn?m?a?v|maxn?m?a?v|rml\w*|abav)[te]?",
     _K.VECTOR_REDUCE),
    (r"v(mul\w*|mla\w*|mls\w*|q?r?dml\w*|q?r?dmul\w*|rmul\w*|qdm\w*|qrdm\w*|fma\w*|fms\w*)",
     _K.VECTOR_MULTIPLY),
    (r"v\w+", _K.VECTOR_ALU),
)  # fmt: skip
_FLOAT: tuple[tuple[str, Kind], ...] = (
    (r"vldm\w*|vpop", _K.LOAD_WORDS),
    (r"vstm\w*|vpush", _K.STORE_WORDS),
    (r"vldr\w*", _K.LOAD),
    (r"vstr\w*", _K.STORE),
    (r"v(f?n?m[las][as]?)", _K.FLOAT_MULTIPLY_ADD),
    (r"v(div|sqrt)", _K.FLOAT_DIVIDE),
    (r"v\w+", _K.FLOAT),
)
_COMPILED = {
    table: tuple((re.compile(pattern), kind) for pattern, kind in table)
    for table in (_SCALAR, _VECTOR, _FLOAT)
}
_ALWAYS_VECTOR = re.compile(r"vp(t|st|not|sel)\w*|vctp|lctp|vld[24]\d|vst[24]\d|v(ldr|str)[bhd]")
_VECTOR_REGISTER = re.compile(r"\bq\d")
_REGISTER = re.compile(r"\b(?:r\d+|s[lpb]|fp|ip|lr|pc|[qds]\d+)\b")
_ADDRESS = re.compile(r"\[([^\]]*)\]")
_SHIFTED = re.compile(r", (?:asr|lsr|ror|rrx)\b")
_WRITEBACK = re.compile(r"\[(\w+)[^\]]*\]!|\[(\w+)\], |^(\w+)!")
_GATHER = re.compile(r"\[(?:\w+, )?q\d")
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
        accumulator: registers among `reads` that are only added to a product.
        words: words that it transfers; elements for gathers and scatters.
        writes_pc: whether it loads the program counter.
        vector: whether it works on vector registers or their predicates.
        target: the address that a direct branch goes to, or -1.
    """

    kind: Kind
    name: str
    size: int
    reads: frozenset[str]
    writes: frozenset[str]
    address: frozenset[str]
    accumulator: frozenset[str]
    words: int
    writes_pc: bool
    vector: bool
    target: int

    @property
    def category(self) -> str:
        """One of `CLASSES`."""
        return "mve" if self.vector else _CLASS_OF.get(self.kind, "other")


def decode(at: Instruction) -> Operation:
    """Return what `at` does.

    >>> at = Instruction(0x40, 4, "smlad", "r0, r1, r2, r0", -1)
    >>> decode(at).kind, sorted(decode(at).accumulator)
    (<Kind.DSP_MULTIPLY_ADD: 'dsp_multiply_add'>, ['r0'])
    """
    name, _, suffix = at.name.partition(".")
    vector = _is_vector(name, at.operands)
    kind = _kind(name, at.operands, vector)
    found = _ADDRESS.search(at.operands)
    address = frozenset(_REGISTER.findall(found[1]) if found else ())
    reads, writes = _registers(name, kind, at)
    listed = at.register_list
    return Operation(
        kind=kind,
        name=name,
        size=at.size,
        reads=reads,
        writes=writes,
        address=address,
        accumulator=_accumulator(name, kind, at.operands),
        words=_words(name, suffix, kind, listed, at.operands),
        writes_pc="pc" in listed or (kind is _K.LOAD and at.operands.startswith("pc,")),
        vector=vector,
        target=at.target if kind in {_K.BRANCH, _K.CALL, _K.LOOP_END} else -1,
    )


def _is_vector(name: str, operands: str) -> bool:
    if not name.startswith(("v", "lctp")):
        return False
    return bool(_VECTOR_REGISTER.search(operands) or _ALWAYS_VECTOR.fullmatch(name))


def _kind(name: str, operands: str, vector: bool) -> Kind:
    table = _VECTOR if vector else _FLOAT if name.startswith("v") else _SCALAR
    kind = next((kind for pattern, kind in _COMPILED[table] if pattern.fullmatch(name)), _K.ALU)
    if kind is _K.VECTOR_LOAD and _GATHER.search(operands):
        return _K.VECTOR_GATHER
    if kind is _K.VECTOR_STORE and _GATHER.search(operands):
        return _K.VECTOR_SCATTER
    if kind is _K.VECTOR_ALU and name == "vmov" and "[" in operands:
        return _K.VECTOR_MOVE
    if kind is _K.ALU and operands.startswith("pc,"):
        return _K.JUMP
    if kind is _K.ALU and _SHIFTED.search(operands):
        return _K.SHIFTED
    return kind


def _registers(name: str, kind: Kind, at: Instruction) -> tuple[frozenset[str], frozenset[str]]:
    """Registers that are read and written; flags and predicates are not followed."""
    text = at.operands
    if kind in {_K.BRANCH, _K.CALL}:
        text = text.partition(",")[0] if name.startswith("cb") else ""
    names = [name for name in _REGISTER.findall(text.partition("{")[0])]
    listed = list(at.register_list)
    written = _WRITEBACK.search(text)
    base = {next(part for part in written.groups() if part)} if written else set()
    if name in {"push", "pop", "vpush", "vpop"}:
        base = {"sp"}
    if kind in {_K.LOAD_WORDS, _K.STORE_WORDS} and listed:
        loads = kind is _K.LOAD_WORDS
        reads = {*names, *base, *(() if loads else listed)}
        return frozenset(reads), frozenset({*base, *(listed if loads else ())})
    if kind in _NO_RESULT or _COMPARES.fullmatch(name):
        return frozenset([*names, *listed]), frozenset(base)
    results = 2 if _TWO_RESULTS.fullmatch(name) else 1
    writes = {*names[:results], *base, *listed}
    reads_first = _READS_FIRST.fullmatch(name) and (
        len(names) < 3 or results == 2 or name.startswith("v")
    )
    reads = set(names if reads_first else names[results:])
    return frozenset(reads), frozenset(writes)


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


def _words(name: str, suffix: str, kind: Kind, listed: tuple[str, ...], operands: str) -> int:
    if name in {"ldrd", "strd"}:
        return 2
    if listed and kind in {_K.LOAD_WORDS, _K.STORE_WORDS}:
        return sum({"d": 2, "q": 4}.get(register[0], 1) for register in listed)
    if kind in {_K.VECTOR_GATHER, _K.VECTOR_SCATTER}:
        bits = re.search(r"\d+", suffix)
        return 128 // int(bits[0]) if bits else 4
    if name in {"vldr", "vstr"} and operands.startswith("d"):
        return 2
    return 1

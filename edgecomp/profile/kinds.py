"""Kinds of instructions, told by their names as objdump writes them."""

import re
from enum import Enum

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
_SHIFTED = re.compile(r", (?:asr|lsr|ror|rrx)\b")
_GATHER = re.compile(r"\[(?:\w+, )?q\d")


def class_of(kind: Kind, *, vector: bool) -> str:
    """Return the one of `CLASSES` that an instruction belongs to."""
    return "mve" if vector else _CLASS_OF.get(kind, "other")


def is_vector(name: str, operands: str) -> bool:
    """Whether an instruction works on vector registers or their predicates."""
    if not name.startswith(("v", "lctp")):
        return False
    return bool(_VECTOR_REGISTER.search(operands) or _ALWAYS_VECTOR.fullmatch(name))


def kind_of(name: str, operands: str, *, vector: bool) -> Kind:
    """Return the kind of an instruction; `name` has no suffix.

    >>> kind_of("ldrsb", "r0, [r1, #2]", vector=False)
    <Kind.LOAD_NARROW: 'load_narrow'>
    """
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

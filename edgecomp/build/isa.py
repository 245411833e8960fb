"""Proof that an image holds only instructions that its core has.

The emulator is no proof: QEMU's Cortex-M3 executes SMLAD, and an Armv7-M machine that runs code
built for Armv6-M executes everything.
"""

import re
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import ARMAttributesSection

from edgecomp.build.disassembly import Instruction, disassemble
from edgecomp.errors import InternalError
from edgecomp.targets.cores import ARCH_V6M, ARCH_V7EM, ARCH_V7M, ARCH_V8M, ARCH_V81M, Core

# Tag_CPU_arch: "Addenda to, and Errata in, the ABI for the Arm Architecture", section 3.3.5.2.
_ARCH_TAGS = {
    ARCH_V6M: (11, 12),
    ARCH_V7M: (10,),
    ARCH_V7EM: (13,),
    ARCH_V8M: (17,),
    ARCH_V81M: (21,),
}
_PROFILE_M = 0x4D

# Armv6-M Architecture Reference Manual, A5.3: all 32-bit instructions there are.
_V6M_WIDE = frozenset(["bl", "dmb", "dsb", "isb", "mrs", "msr", "udf"])
_V6M_LACKS = re.compile(
    r"^(cbn?z|it[te]*|tb[bh]|[su]div|mla|mls|umull|smull|clz|movt|ldrex|strex)$"
)
# Armv7-M Architecture Reference Manual, A5.3, what is marked v7E-M.
_DSP = re.compile(
    r"^(pkh(bt|tb)|[su]xta?b16|[su]xta[bh]|q(d?)(add|sub)(8|16)?|[qsu]h?(asx|sax)|u?qasx|u?qsax"
    r"|[su]h?(add|sub)(8|16)|uq(add|sub)(8|16)|sel|usada?8|[su]sat16|umaal"
    r"|sml[as](bb|bt|tb|tt|wb|wt|dx?|ldx?|lbb|lbt|ltb|ltt)|smu[al](dx?|bb|bt|tb|tt|wb|wt)"
    r"|smus(dx?)|smm(la|ls|ul)r?)$"
)
_VECTOR = re.compile(r"^v[a-z]")
_MVE = re.compile(r"^(vp(t|st|not|sel)|v(ld|st)[1-4]|(dl|wl)stp|letp|vctp|lctp)")


def verify_isa(elf: Path, core: Core) -> None:
    """Check attributes and disassembly of the image `elf` against `core`.

    Raises:
        InternalError: the image holds what the core lacks; the message names the instruction.
    """
    _verify_attributes(elf, core)
    program = disassemble(elf)
    for at in program.instructions.values():
        reason = _lacks(at, core)
        if reason:
            raise InternalError(
                f"{elf.name} is not for {core.title}: {reason}\n"
                f"  {program.name_at(at.addr)}, {at.addr:#x}: {at.name} {at.operands}"
            )


def _verify_attributes(elf: Path, core: Core) -> None:
    with elf.open("rb") as stream:
        section = ELFFile(stream).get_section_by_name(".ARM.attributes")
        if not isinstance(section, ARMAttributesSection):
            raise InternalError(f"{elf.name} has no .ARM.attributes")
        found = {
            attribute.tag: attribute.value
            for part in section.iter_subsections()
            for scope in part.iter_subsubsections()
            for attribute in scope.iter_attributes()
        }
    arch, profile = found.get("TAG_CPU_ARCH"), found.get("TAG_CPU_ARCH_PROFILE", _PROFILE_M)
    if arch not in _ARCH_TAGS[core.architecture] or profile != _PROFILE_M:
        raise InternalError(
            f"{elf.name} is built for another architecture: Tag_CPU_arch {arch}, "
            f"expected {core.architecture} for {core.title}"
        )


def _lacks(at: Instruction, core: Core) -> str:
    """Return why `core` does not have the instruction, or an empty string."""
    base = at.name.partition(".")[0]
    if core.is_v6m:
        if at.size > 2 and base not in _V6M_WIDE:
            return "a 32-bit instruction that Armv6-M lacks"
        return "an instruction that Armv6-M lacks" if _V6M_LACKS.match(base) else ""
    if not core.dsp and _DSP.match(base):
        return "a DSP instruction"
    if not core.mve and _MVE.match(base):
        return "a vector instruction of MVE"
    if not (core.fpu or core.mve) and _VECTOR.match(base):
        return "a floating-point instruction"
    if core.fpu == "single" and ".f64" in at.name:
        return "a double-precision instruction"
    return ""

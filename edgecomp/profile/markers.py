"""Where counting begins and ends, and where one stage's counts end and the next one's begin.

Markers are code addresses that are only ever reached by a jump: functions' entries and the
addresses behind calls. Two ways to take the stages apart:

- *calls*: one inference by the model's `run`. What runs up to the return of its n-th call, library
  functions included, is stage n's; its last instructions are the last stage's. The layers' sum is
  the total, to the instruction.
- *stages*: where the compiler took a stage's code into `run`, which then has no call to go by,
  the stages run one by one through `run_stage`, and each entry up to its return is one stage. That
  includes choosing the stage, some ten instructions, which the total of `run` has not.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass

from edgecomp.build import Program
from edgecomp.errors import InternalError

_CALLS = frozenset(["bl", "blx"])
_STAGE_FUNCTION = re.compile(r"(?:__)?L\d+_")


@dataclass(frozen=True)
class Markers:
    """Addresses: counting begins at `enter`, ends at `leave`, and is parted at each of `marks`."""

    enter: int
    leave: int
    marks: tuple[int, ...] = ()


def run_markers(program: Program, model: str) -> Markers:
    """Return markers that count one inference as a whole.

    Raises:
        InternalError: the image does not call `MODEL_run` from exactly one place.
    """
    return _around(program, f"{model}_run")


def boot_markers(program: Program, model: str) -> Markers | None:
    """Return markers that count what a model does once, before its first inference.

    Returns:
        None where it has nothing to do.
    """
    function = f"{model}_init"
    return None if program.addr_of(function) is None else _around(program, function)


def call_markers(program: Program, model: str, stages: int) -> Markers | None:
    """Return markers that part one inference behind each stage's call.

    Returns:
        None where `MODEL_run` does not call each of its `stages` by itself.
    """
    whole = run_markers(program, model)
    calls = [
        at for at in _function(program, whole.enter) if program.instructions[at].name in _CALLS
    ]
    names = [program.functions.get(program.instructions[at].target, "") for at in calls]
    if len(calls) != stages or not all(_STAGE_FUNCTION.match(name) for name in names):
        return None
    behind = [program.instructions[at].next_addr for at in calls]
    return Markers(whole.enter, whole.leave, tuple(behind[:-1]))


def stage_markers(program: Program, model: str) -> Markers:
    """Return markers that count what runs between entry and return of `MODEL_run_stage`."""
    return _around(program, f"{model}_run_stage")


def _around(program: Program, function: str) -> Markers:
    """Markers at the entry of `function` and behind its only call."""
    enter = program.addr_of(function)
    behind = [
        at.next_addr
        for at in program.instructions.values()
        if at.name in _CALLS and at.target == enter
    ]
    if enter is None or len(behind) != 1:
        raise InternalError(
            f"{function} is called from {len(behind)} places of the check image, expected 1"
        )
    return Markers(enter, behind[0])


def _function(program: Program, entry: int) -> list[int]:
    """Addresses of the instructions from `entry` to the next function."""
    starts = sorted(program.functions)
    following = bisect_right(starts, entry)
    end = starts[following] if following < len(starts) else 1 << 32
    return sorted(addr for addr in program.instructions if entry <= addr < end)

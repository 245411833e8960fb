"""Boards on serial lines as a place where samples run: several of them share the work."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecomp.device.connection import WrongBuildError
from edgecomp.device.journal import Journal
from edgecomp.device.records import CheckResult, ModelLayout
from edgecomp.device.serial_session import Answer, SerialSession
from edgecomp.errors import DeviceError, EdgecompError, LinkTimeout, UserError

_JOIN_S = 0.2  # so that Ctrl-C is noticed


@dataclass
class _Share:
    """One board, what it answered, and why it stopped."""

    name: str
    session: SerialSession
    answers: list[Answer] = field(default_factory=list)
    error: DeviceError | None = None


class SerialBench:
    """Runs samples on all boards of a bench; `run_samples` takes it as an engine."""

    def __init__(
        self,
        sessions: Sequence[tuple[str, SerialSession]],
        *,
        journal: Journal | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Prepare.

        Args:
            sessions: the ports' names, and the sessions that open them.
            journal: where answers are kept and found again.
            progress: called with the samples done and all of a run.
        """
        self._shares = [_Share(name, session) for name, session in sessions]
        self._journal = journal
        self._progress = progress
        self._lock = threading.Lock()
        self._stop: EdgecompError | None = None
        self.resumed = 0 if journal is None else len(journal)

    @property
    def name(self) -> str:
        """What messages call it."""
        return ", ".join(share.name for share in self._shares)

    def connect(self) -> None:
        """Greet every board, so that a mistake shows before anything is computed.

        Raises:
            DeviceError: one does not answer, or runs another build.
        """
        for share in self._shares:
            share.session.connect()

    def close(self) -> None:
        """Give every line back, and keep the journal."""
        for share in self._shares:
            share.session.close()
        if self._journal is not None:
            self._journal.close()

    def forget(self) -> None:
        """Delete the journal: the check is complete."""
        if self._journal is not None:
            self._journal.remove()

    def run(
        self,
        layout: ModelLayout,
        inputs: NDArray[np.int8],
        *,
        stage_crcs: bool = False,
        dump: bool = False,
    ) -> CheckResult:
        """Run every sample of `inputs`, int8 [S, sum of the input bytes]; see `run_samples`.

        Raises:
            DeviceError: no board is left that could go on, or one is of another build.
            UserError: the model's samples are ticks of one stream, and there are several boards.
        """
        if layout.state_bytes and len(self._shares) > 1:
            raise UserError(
                "this model is run tick by tick, each after the one before: give one --port"
            )
        journal = None if layout.state_bytes else self._journal  # a tick says nothing by itself
        rows = [row.tobytes() for row in inputs]
        answers: dict[int, Answer] = {}
        for number, row in enumerate(rows):
            known = None
            if journal is not None and not dump:
                known = journal.find(number, row, layers=stage_crcs)
            if known is not None:
                answers[number] = known
        dumps: dict[int, list[bytes]] = {}
        pending = deque(number for number in range(len(rows)) if number not in answers)

        def work(share: _Share) -> None:
            while self._stop is None:
                with self._lock:
                    if not pending:
                        return
                    number = pending.popleft()
                try:
                    answer = share.session.run(number, rows[number], layers=stage_crcs)
                    if dump:
                        dumps[number] = share.session.dump(number, rows[number])
                    with self._lock:
                        if journal is not None and not dump:
                            journal.add(number, rows[number], answer)
                        answers[number] = answer
                        share.answers.append(answer)
                        self._progress(len(answers), len(rows))
                except WrongBuildError as error:
                    self._stop = error
                except DeviceError as error:
                    with self._lock:
                        pending.append(number)
                    share.error = error
                    return
                except EdgecompError as error:  # the journal's: nobody can go on
                    self._stop = error

        self._work_all(work, bool(pending))
        if self._stop is not None:
            raise self._stop
        if len(answers) < len(rows):
            raise self._failure(len(answers), len(rows))
        return _result(layout, [answers[n] for n in range(len(rows))], dumps, stage_crcs)

    def _work_all(self, work: Callable[[_Share], None], is_needed: bool) -> None:
        """Call `work` for every board that is left, side by side where there are several."""
        left = [share for share in self._shares if share.error is None]
        if not is_needed:
            return
        if len(left) == 1:
            work(left[0])
            return
        threads = [threading.Thread(target=work, args=(share,), daemon=True) for share in left]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(_JOIN_S)

    def _failure(self, done: int, total: int) -> DeviceError:
        errors = [share.error for share in self._shares if share.error is not None]
        kept = ""
        if self._journal is not None and done:
            kept = (
                f"\n  {done} of {total} samples are done and kept in {self._journal.path}: "
                "the same command goes on with the next"
            )
        text = "\n  ".join(str(error) for error in errors)
        kind = LinkTimeout if errors and isinstance(errors[0], LinkTimeout) else DeviceError
        return kind((text or "no board could go on") + kept)

    def summary(self, *, is_real_time: bool) -> dict[str, Any]:
        """What was seen of the boards: time, memory, and what their lines did.

        Args:
            is_real_time: whether the boards' counters count their clock, as no emulator's do.
        """
        return {
            "resumed_samples": self.resumed,
            "notes": [note for share in self._shares for note in share.session.log.notes]
            + [f"{share.name} gave up: {share.error}" for share in self._shares if share.error],
            "ports": [_port(share, is_real_time) for share in self._shares],
        }


def _port(share: _Share, is_real_time: bool) -> dict[str, Any]:
    hello, log = share.session.hello, share.session.log
    ticks = sorted(answer.ticks for answer in share.answers)
    is_counted = bool(ticks) and is_real_time and hello.counter != "none"
    cycles = (
        {"median": int(median(ticks)), "min": ticks[0], "max": ticks[-1]} if is_counted else None
    )
    layers = [[layer.ticks for layer in a.layers] for a in share.answers if a.layers]
    return {
        "port": share.name,
        "samples": len(share.answers),
        "counter": hello.counter,
        "counter_hz": hello.counter_hz,
        "cycles": cycles,
        "ms": 1000 * cycles["median"] / hello.counter_hz if cycles else None,
        "layer_cycles": [int(n) for n in np.median(layers, axis=0)]
        if is_counted and layers
        else None,
        "stack_bytes": max((answer.stack_bytes for answer in share.answers), default=None),
        "stack_room_bytes": hello.stack_bytes,
        "arena_bytes": max((answer.arena_bytes for answer in share.answers), default=None),
        "resets": log.resets,
        "reconnects": log.reconnects,
        "requests": log.line.requests,
        "repeats": log.line.repeats,
        "damaged_frames": log.line.damaged,
    }


def _result(
    layout: ModelLayout,
    answers: Sequence[Answer],
    dumps: dict[int, list[bytes]],
    stage_crcs: bool,
) -> CheckResult:
    flat = np.stack([np.frombuffer(answer.outputs, np.int8) for answer in answers])
    crcs = [[layer.crc for layer in answer.layers] for answer in answers] if stage_crcs else None
    return CheckResult(
        outputs=np.split(flat, np.cumsum(layout.output_bytes)[:-1], axis=1),
        stage_crcs=None if crcs is None else np.array(crcs, np.uint32).reshape(len(answers), -1),
        dumps=[
            np.stack([np.frombuffer(dumps[n][stage], np.int8) for n in range(len(answers))])
            for stage in range(len(layout.stage_output_bytes))
        ]
        if dumps
        else None,
        stack_high_water_bytes=max(answer.stack_bytes for answer in answers),
        arena_high_water_bytes=max(answer.arena_bytes for answer in answers),
        guard_ok=True,  # the firmware has no guard around its arena
        counter="none",
    )

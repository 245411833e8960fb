"""Requests and answers over a line that loses, alters, repeats and delays bytes.

Every request is an action that may be repeated. An answer is taken only if its CRC is right and
it carries the sequence number of the request; until one comes the request is sent again, with
the same bytes, which the device knows and answers without doing it twice.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from edgecomp.device.frame_text import describe
from edgecomp.device.protocol import (
    ANSWER,
    VERSION,
    Code,
    Frame,
    FrameReader,
    Type,
    decode_error,
)
from edgecomp.device.serial_port import Port
from edgecomp.errors import DeviceError, LinkTimeout

ATTEMPTS = 12
FIRST_WAIT_S = 0.3
LONGEST_WAIT_S = 2.0
_BITS_PER_BYTE = 10
_LAST_SEQ = 0xFFFF
_BREATH_S = 0.02
"""Between a damaged frame and the next attempt: what is still under way arrives first."""


class RefusedError(DeviceError):
    """The device refused a request; `code` says why, `detail` goes with it."""

    def __init__(self, code: int, detail: int, what: str) -> None:
        """Say which request was refused."""
        reasons: dict[int, str] = {
            Code.VERSION: f"it speaks version {detail} of the protocol, we speak {VERSION}",
            Code.TYPE: "it does not know the request",
            Code.ARGUMENT: f"it has nothing like that ({detail})",
            Code.BUILD: f"its build is {detail:#010x}",
            Code.INPUT: "its input is another",
            Code.RUN: f"stage {detail} failed",
            Code.NOTHING: "it holds no such result",
        }
        super().__init__(f"the device refused {what}: {reasons.get(code, f'reason {code}')}")
        self.code = code
        self.detail = detail


@dataclass
class LineStatistics:
    """What a line did to the frames."""

    requests: int = 0
    repeats: int = 0
    damaged: int = 0


class Link:
    """One conversation over a port."""

    def __init__(self, port: Port, baud: int) -> None:
        """Begin at a random sequence number, so that an earlier conversation's answers differ."""
        self.port = port
        self.baud = baud
        self.statistics = LineStatistics()
        self._reader = FrameReader()
        self._at_work = ""
        self._seq = secrets.randbelow(_LAST_SEQ)

    def request(
        self,
        kind: Type,
        payload: bytes = b"",
        *,
        attempts: int = ATTEMPTS,
        wait_s: float = FIRST_WAIT_S,
        longest_wait_s: float = LONGEST_WAIT_S,
        patience_s: float = 0.0,
        progress: Callable[[Frame], None] | None = None,
    ) -> Frame:
        """Send a request until its answer comes, and return that.

        Args:
            kind: what is asked for.
            payload: what goes with it.
            attempts: how often it is sent.
            wait_s: how long the first attempt waits.
            longest_wait_s: how long the later ones wait, which double that, at most.
            patience_s: how long the device may be silent once it has said that it is at work.
            progress: called with each KEEPALIVE and LAYER of the request.

        Raises:
            LinkTimeout: no answer came.
            RefusedError: the device refused.
            LineLostError: the line is gone.
        """
        self._seq = self._seq % _LAST_SEQ + 1  # 0 is for what answers no request
        frame = Frame(kind, self._seq, payload)
        encoded = frame.encode()
        line_s = 2 * len(encoded) * _BITS_PER_BYTE / self.baud
        self.statistics.requests += 1
        self._at_work = ""
        for attempt in range(attempts):
            self.statistics.repeats += attempt > 0
            self.port.write(encoded)
            wait = min(wait_s * 2**attempt, longest_wait_s) + line_s
            answer = self._await_answer(frame, wait, patience_s, progress)
            if answer is not None:
                return answer
        began = ""
        if self._at_work:
            began = f"\n  it was at work ({self._at_work}) and fell silent: does the firmware hang?"
        raise LinkTimeout(
            f"{self.port.name}: no answer to {kind.name} at {self.baud} baud "
            f"after {attempts} attempts{began}"
        )

    def _await_answer(
        self,
        sent: Frame,
        wait_s: float,
        patience_s: float,
        progress: Callable[[Frame], None] | None,
    ) -> Frame | None:
        """Return the answer; None where another attempt is due."""
        end = time.monotonic() + wait_s
        while (left := end - time.monotonic()) > 0:
            known_damage = self._reader.damaged
            frames = self._reader.feed(self.port.read(left))
            is_damaged = self._reader.damaged > known_damage
            self.statistics.damaged += self._reader.damaged - known_damage
            for frame in frames:
                is_damaged |= frame.type == Type.ERROR and frame.seq == 0
                if frame.seq != sent.seq:
                    continue  # of another request: late, or twice
                if frame.version != VERSION:
                    raise RefusedError(Code.VERSION, frame.version, Type(sent.type).name)
                if frame.type in {Type.KEEPALIVE, Type.LAYER}:
                    end = max(end, time.monotonic() + max(wait_s, patience_s))
                    self._at_work = describe(frame)
                    if progress is not None:
                        progress(frame)
                elif frame.type == Type.ERROR:
                    raise RefusedError(*decode_error(frame.payload), Type(sent.type).name)
                elif frame.type == sent.type | ANSWER:
                    return frame
            if is_damaged:
                end = min(end, time.monotonic() + _BREATH_S)
        return None

    def drain(self, quiet_s: float = 0.05) -> None:
        """Read and forget what is under way."""
        while data := self.port.read(quiet_s):
            self._reader.feed(data)

    def set_baud(self, baud: int) -> None:
        """Change the rate of this end alone."""
        self.port.set_baud(baud)
        self.baud = baud
        self._reader = FrameReader()

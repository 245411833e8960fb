"""Connecting to a board over a serial line, and getting over what happens to it."""

import secrets
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from edgecomp.device.link import FIRST_WAIT_S, LineStatistics, Link, RefusedError
from edgecomp.device.protocol import Hello, TensorInfo, Type, decode_hello, decode_tensor
from edgecomp.device.records import ModelLayout
from edgecomp.device.serial_port import Port
from edgecomp.errors import DeviceError, LinkTimeout

HELLO_ATTEMPTS = 20
RECONNECT_S = 10.0
LEAST_PATIENCE_S = 5.0
_BAUD_FALLBACK_S = 0.7
_REOPEN_S = 0.2


class WrongBuildError(DeviceError):
    """The board runs another firmware than the one that is to be checked."""


@dataclass
class SessionLog:
    """What happened on a line, for the report."""

    resets: int = 0
    reconnects: int = 0
    restarts: int = 0
    notes: list[str] = field(default_factory=list)
    line: LineStatistics = field(default_factory=LineStatistics)


class Connection:
    """A line to the firmware of one model: opened, greeted, and found again when it was lost."""

    def __init__(
        self,
        open_line: Callable[[], Port],
        layout: ModelLayout,
        default_baud: int,
        *,
        baud: int | None = None,
        patience_s: float = LEAST_PATIENCE_S,
        reconnect_s: float = RECONNECT_S,
        symbol_at: Callable[[int], str] = lambda addr: "",
    ) -> None:
        """Prepare; `connect` opens the line.

        Args:
            open_line: opens the port at the default rate.
            layout: what the firmware must be built from.
            default_baud: the rate after a reset.
            baud: the rate to change to.
            patience_s: how long a stage may take.
            reconnect_s: how long to wait for a board that vanished.
            symbol_at: names the firmware's addresses, for faults.
        """
        self.layout = layout
        self.log = SessionLog()
        self._open_line = open_line
        self._default_baud = default_baud
        self._baud = baud or default_baud
        self.patience_s = max(patience_s, LEAST_PATIENCE_S)
        self._reconnect_s = reconnect_s
        self._symbol_at = symbol_at
        self._link: Link | None = None
        self._hello: Hello | None = None

    @property
    def hello(self) -> Hello:
        """What the firmware said of itself when it was connected."""
        assert self._hello is not None
        return self._hello

    @property
    def link(self) -> Link:
        """The open link."""
        assert self._link is not None
        return self._link

    def connect(self) -> None:
        """Open the line and greet the firmware.

        Raises:
            LinkTimeout: nothing answers.
            WrongBuildError: another firmware does.
            DeviceError: the port cannot be opened.
        """
        self.close()
        self._link = Link(self._open_line(), self._default_baud)
        self._link.statistics = self.log.line
        self._greet()
        self._check_build()
        if self._baud != self._default_baud and self.link.baud == self._default_baud:
            self._change_baud()

    def close(self) -> None:
        """Give the line back."""
        if self._link is not None:
            self._link.port.close()
            self._link = None

    def _greet(self) -> None:
        """Ask until the firmware answers, at the default rate and at the one it may be at."""
        rates = list(dict.fromkeys((self._default_baud, self._baud)))
        name = self.link.port.name
        for attempt in range(HELLO_ATTEMPTS):
            if self.link.baud != rates[attempt % len(rates)]:
                self.link.set_baud(rates[attempt % len(rates)])
            try:
                self._hello = self._ask_hello(1)
                return
            except LinkTimeout:
                continue
            except RefusedError as error:
                raise DeviceError(
                    f"{name}: {error}\n  build and flash the firmware again"
                ) from None
        raise LinkTimeout(
            f"{name}: nothing answers at {' or '.join(str(rate) for rate in rates)} baud\n"
            "  is the firmware of this folder on the board, and has it been reset?\n"
            "  `edgecomp monitor PORT` shows what the line carries"
        )

    def _ask_hello(self, attempts: int) -> Hello:
        token = struct.pack("<I", secrets.randbits(32))
        frame = self.link.request(Type.HELLO, token, attempts=attempts, longest_wait_s=FIRST_WAIT_S)
        return decode_hello(frame.payload)

    def _check_build(self) -> None:
        hello, layout = self.hello, self.layout
        if layout.build_id not in {0, hello.build_id}:
            raise WrongBuildError(
                f"{self.link.port.name}: the board runs build {hello.build_id:#010x}, "
                f"the folder holds {layout.build_id:#010x}\n"
                "  flash the folder's firmware, or give the folder that the board was flashed from"
            )
        sizes = (len(layout.input_bytes), len(layout.output_bytes), len(layout.stage_output_bytes))
        if sizes != (hello.inputs, hello.outputs, hello.stages):
            raise WrongBuildError(
                f"{self.link.port.name}: the board's model has {hello.inputs} inputs, "
                f"{hello.outputs} outputs and {hello.stages} stages, expected {sizes}"
            )

    def _change_baud(self) -> None:
        """Change both ends to the wanted rate, or stay at the default one."""
        try:
            self.link.request(Type.BAUD, struct.pack("<I", self._baud), attempts=2)
        except RefusedError as error:
            self._baud = self._default_baud
            raise DeviceError(f"{self.link.port.name}: {error}; choose another --baud") from None
        except LinkTimeout:
            pass  # perhaps the answer was lost and the board is there already
        self.link.set_baud(self._baud)
        try:
            self._hello = self._ask_hello(3)
        except LinkTimeout:
            self.log.notes.append(
                f"{self.link.port.name}: no answer at {self._baud} baud; "
                f"back to {self._default_baud}"
            )
            self._baud = self._default_baud
            time.sleep(_BAUD_FALLBACK_S)
            self._greet()

    def tensors(self) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
        """Return what the firmware says of its inputs and of its outputs."""

        def ask(kind: int, count: int) -> tuple[TensorInfo, ...]:
            frames = [self.link.request(Type.TENSOR, bytes([kind, i])) for i in range(count)]
            return tuple(decode_tensor(frame.payload) for frame in frames)

        return ask(0, self.hello.inputs), ask(1, self.hello.outputs)

    def reset(self) -> None:
        """Reset the board and greet it again."""
        self.link.request(Type.RESET)
        time.sleep(_REOPEN_S)
        if self.link.baud != self._default_baud:
            self.link.set_baud(self._default_baud)
        self._greet()

    def look_for_reset(self) -> bool:
        """Greet the board again; return whether it was reset since it was greeted last.

        Raises:
            DeviceError: nothing answers, or another firmware does.
        """
        before = self.hello.nonce
        self._greet()
        self._check_build()
        return self._note_reset(before)

    def _note_reset(self, before: int) -> bool:
        if self.hello.nonce == before:
            return False
        self.log.resets += 1
        self.log.notes.append(f"{self.link.port.name}: the board was reset{self.fault_text()}")
        return True

    def fault_text(self) -> str:
        """What the board says of its last fault, to go behind a message."""
        if self._hello is None or self._hello.fault is None:
            return ""
        return "; its last fault: " + self._hello.fault.describe(self._symbol_at)

    def reconnect(self, error: DeviceError) -> None:
        """Wait for a board that vanished; raise `error` if it does not come back."""
        end = time.monotonic() + self._reconnect_s
        self.log.reconnects += 1
        before = self._hello
        while True:
            try:
                self.connect()
                break
            except WrongBuildError:
                raise
            except DeviceError:
                if time.monotonic() > end:
                    raise error from None
                time.sleep(_REOPEN_S)
        if before is not None:
            self._note_reset(before.nonce)

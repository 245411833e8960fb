"""A board that is a process of this host, and lines that do to bytes what real ones may do."""

import os
import random
import select
import signal
import struct
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from edgecomp.build.flags import WARNING_FLAGS
from edgecomp.device.records import ModelLayout
from edgecomp.device.serial_port import LineLostError
from edgecomp.device.serial_session import SerialSession
from edgecomp.errors import DeviceError
from edgecomp.paths import firmware_dir

HERE = Path(__file__).parent
BAUD = 115200
WIDE = ModelLayout(0x77BB0011, 1216, (700, 60), (300, 500), (700, 500, 300))
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_DEVICE = ("main.c", "protocol.c", "cobs.c", "probe_host.c")


def compile_native(work: Path, *flags: str, fuzz: bool = False, compiler: str = "gcc") -> Path:
    """Compile the firmware's protocol and a model for this host, with sanitizers."""
    names = [name for name in _DEVICE if not (fuzz and name == "main.c")]
    program = work / ("fuzz" if fuzz else "device")
    sanitizers = ["-fsanitize=fuzzer,address,undefined", *SANITIZERS[1:]] if fuzz else SANITIZERS
    subprocess.run(
        [
            *(compiler, "-std=c99", "-g", "-O1", *WARNING_FLAGS, *sanitizers, *flags),
            *(f"-I{HERE / 'native'}", f"-I{HERE / 'wide_model'}"),
            *(f"-I{firmware_dir() / 'app'}", f"-I{firmware_dir() / 'port'}"),
            *(str(firmware_dir() / "app" / name) for name in names),
            str(HERE / "wide_model" / "wide.c"),
            str(HERE / "native" / ("fuzz.c" if fuzz else "port.c")),
            *("-o", str(program)),
        ],
        check=True,
    )
    return program


def wide_reference(sample: bytes) -> list[bytes]:
    """What the three stages of the wide model store."""
    codes = np.frombuffer(sample, np.int8).astype(np.int64)
    first, second = codes[:700], codes[700:]
    low = (3 * first + np.resize(second, 700)).astype(np.int8)
    high = low[:500] ^ low[::-1][:500]
    last = (low[: 2 * 300 : 2].astype(np.int64) + high[:300]).astype(np.int8)
    return [low.tobytes(), high.tobytes(), last.tobytes()]


def wide_outputs(sample: bytes) -> bytes:
    """What the wide model answers."""
    _, high, last = wide_reference(sample)
    return last + high


def wide_samples(count: int, seed: int = 0) -> list[bytes]:
    """Random inputs of the wide model."""
    return [bytes(row) for row in np.random.default_rng(seed).integers(0, 256, (count, 760), "u1")]


class NativeBoard:
    """The process; its line can be opened, pulled and opened again."""

    def __init__(self, program: Path, env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            bufsize=0,
        )
        self.baud = BAUD
        self.pulled_until = 0.0
        self._tagged = b""

    def open(self) -> "NativePort":
        if time.monotonic() < self.pulled_until:
            raise DeviceError("there is no port native")
        return NativePort(self)

    def pull_cable(self, seconds: float) -> None:
        self.pulled_until = time.monotonic() + seconds

    def reset(self) -> None:
        self.process.send_signal(signal.SIGUSR1)

    def read(self, timeout_s: float) -> tuple[int, bytes]:
        """Return bytes that came at one rate, and the rate."""
        fd = self.process.stdout.fileno()
        if len(self._tagged) < 2:
            ready, _, _ = select.select([fd], [], [], max(0, timeout_s))
            if not ready:
                return self.baud, b""
            more = os.read(fd, 65536)
            if not more:
                raise AssertionError(f"the device ended with status {self.process.wait()}")
            self._tagged += more
        data = bytearray()
        at = 0
        while True:
            tag = self._tagged[at : at + 1]
            if tag == b"d" and len(self._tagged) >= at + 2:
                data.append(self._tagged[at + 1])
                at += 2
            elif tag == b"b" and len(self._tagged) >= at + 5 and not data:
                self.baud = struct.unpack_from("<I", self._tagged, at + 1)[0]
                at += 5
            else:
                break
        self._tagged = self._tagged[at:]
        return self.baud, bytes(data)

    def end(self) -> int:
        """Switch off; return the status, which tells of the sanitizers' findings."""
        self.process.stdin.close()
        status = self.process.wait(10)
        self.process.stdout.close()
        return status


class NativePort:
    """One end of a native board's line."""

    name = "native"

    def __init__(self, board: NativeBoard) -> None:
        self.board = board
        self.baud = BAUD

    def _check(self) -> None:
        if time.monotonic() < self.board.pulled_until:
            raise LineLostError("native is gone")

    def read(self, timeout_s: float) -> bytes:
        self._check()
        rate, data = self.board.read(min(timeout_s, 0.1))
        self._check()
        return data if rate == self.baud else bytes(byte ^ 0xA5 for byte in data)

    def write(self, data: bytes) -> None:
        self._check()
        if self.board.baud != self.baud:
            data = bytes(byte ^ 0x5A for byte in data)
        self.board.process.stdin.write(data)

    def set_baud(self, baud: int) -> None:
        self.baud = baud

    def close(self) -> None:
        pass


class BadLine:
    """Drops, flips, repeats, swaps and delays bytes, and delivers whole writes twice or late."""

    def __init__(self, port: NativePort, rng: random.Random, rate: float = 1e-3) -> None:
        self.port, self.rng, self.rate = port, rng, rate
        self.name = port.name
        self.faults = 0
        self._old: deque[bytes] = deque(maxlen=4)
        self._late: deque[tuple[float, bytes]] = deque()

    def _spoil(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            if self.rng.random() >= self.rate:
                out.append(byte)
                continue
            self.faults += 1
            kind = self.rng.randrange(4)
            if kind == 1:
                out.append(byte ^ (1 << self.rng.randrange(8)))
            elif kind == 2:
                out += bytes([byte, byte])
            elif kind == 3:
                out.append(byte)
                out[-2:] = out[-2:][::-1]
        return bytes(out)

    def write(self, data: bytes) -> None:
        self._old.append(data)
        self.port.write(self._spoil(data))
        if self.rng.random() < 20 * self.rate:  # an old request arrives again
            self.faults += 1
            self.port.write(self.rng.choice(self._old))

    def read(self, timeout_s: float) -> bytes:
        now = time.monotonic()
        if self._late:
            due, data = self._late[0]
            if due > now:
                time.sleep(min(due - now, timeout_s))
            else:
                self._late.popleft()
                return data
            return b""
        data = self._spoil(self.port.read(timeout_s))
        if data and self.rng.random() < 20 * self.rate:
            self.faults += 1
            cut = self.rng.randrange(len(data))
            self._late.append((now + self.rng.random() * 0.2, data[cut:]))
            data = data[:cut]
        return data

    def set_baud(self, baud: int) -> None:
        self.port.set_baud(baud)

    def close(self) -> None:
        self.port.close()


def session_on(board: NativeBoard, line: Callable = lambda port: port, **options) -> SerialSession:
    """Return a session with a native board through a line of some kind."""
    return SerialSession(lambda: line(board.open()), options.pop("layout", WIDE), BAUD, **options)

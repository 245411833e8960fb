"""A client of MLPerf Tiny's commands, written from the published command set.

Commands are text that ends in '%'; the answer is lines up to "m-ready". A sample goes over in
commands of 31 bytes each, as the benchmark's runner sends it.
"""

import re
import time
from dataclasses import dataclass
from types import TracebackType

import serial

READY = "m-ready"
BYTES_IN_COMMAND = 31
ATTEMPTS = 4
RESULTS = re.compile(r"^m-results-\[([^]]+)\]$")
LAP = re.compile(r"^m-lap-us-([0-9]+)$")
NAME = re.compile(r"^m-name-dut-\[([^]]+)]$")
MODEL = re.compile(r"^m-model-\[([^]]+)]$")


@dataclass(frozen=True)
class Inference:
    """What one `infer` answered."""

    results: tuple[float, ...]
    elapsed_us: int
    lines: tuple[str, ...]


class Runner:
    """Talks to a device under test."""

    def __init__(self, port: str, timeout_s: float = 20.0) -> None:
        """Open the line; nothing is asked yet."""
        self.line = serial.serial_for_url(port, baudrate=115200, timeout=0.05)
        self.timeout_s = timeout_s
        self.pending = b""

    def __enter__(self) -> "Runner":
        """Begin with a device that waits for a command."""
        self.synchronize()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the line."""
        self.line.close()

    def synchronize(self) -> None:
        """Throw away what is in the pipe, such as the "m-ready" of a boot.

        A terminator ends a command that was left half sent. Then comes a command that does not
        exist: its answer repeats it, so that all before that answer belongs to the past.
        """
        for number in range(ATTEMPTS):
            nonsense = f"sync-{id(self)}-{number}"
            self.line.write(f"%{nonsense}%".encode())
            end = time.monotonic() + self.timeout_s / ATTEMPTS
            try:
                while self._next_line(end) != f"e-[Unknown command: {nonsense}]":
                    pass
                while self._next_line(end) != READY:
                    pass
            except TimeoutError:
                continue
            return
        raise TimeoutError("the device never answered")

    def _next_line(self, end: float) -> str:
        while b"\n" not in self.pending:
            if time.monotonic() > end:
                raise TimeoutError(f"no more lines after {self.pending!r}")
            self.pending += self.line.read(max(1, self.line.in_waiting))
        line, _, self.pending = self.pending.partition(b"\n")
        return line.decode("ascii").strip("\r\0")

    def command(self, text: str) -> list[str]:
        """Send a command and return the lines of its answer, without the last."""
        self.line.write(f"{text}%".encode())
        end = time.monotonic() + self.timeout_s
        lines: list[str] = []
        while True:
            line = self._next_line(end)
            if READY in line:
                return lines
            if line:
                lines.append(line)

    def find(self, text: str, pattern: re.Pattern[str]) -> str:
        """Return what `pattern` finds in the answer to a command."""
        lines = self.command(text)
        found = [match[1] for line in lines if (match := pattern.match(line))]
        assert len(found) == 1, lines
        return found[0]

    def load(self, sample: bytes) -> None:
        """Send a sample."""
        assert self.command(f"db load {len(sample)}") == [f"m-[Expecting {len(sample)} bytes]"]
        answer: list[str] = []
        for at in range(0, len(sample), BYTES_IN_COMMAND):
            assert answer == []
            answer = self.command(f"db {sample[at : at + BYTES_IN_COMMAND].hex()}")
        assert answer == ["m-load-done"]

    def infer(self, inferences: int, warmups: int) -> Inference:
        """Run the loaded sample."""
        lines = self.command(f"infer {inferences} {warmups}")
        laps = [int(match[1]) for line in lines if (match := LAP.match(line))]
        results = [match[1] for line in lines if (match := RESULTS.match(line))]
        assert (len(laps), len(results)) == (2, 1), lines
        values = tuple(float(value) for value in results[0].split(","))
        return Inference(values, (laps[1] - laps[0]) % 2**32, tuple(lines))

    def accuracy(self, samples: list[bytes]) -> list[tuple[float, ...]]:
        """Accuracy mode: one inference of each sample."""
        found = []
        for sample in samples:
            self.load(sample)
            found.append(self.infer(1, 0).results)
        return found

    def performance(self, sample: bytes, inferences: int, windows: int = 5) -> float:
        """Performance mode: the median throughput of some windows, in inferences per second."""
        self.load(sample)
        rates = []
        for _ in range(windows):
            elapsed = self.infer(inferences, 1).elapsed_us
            rates.append(inferences * 1e6 / elapsed)
        return sorted(rates)[windows // 2]

"""Running samples on a board at the other end of a serial line, whatever happens to the line."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from edgecomp.device.connection import Connection
from edgecomp.device.link import RefusedError
from edgecomp.device.protocol import (
    ALL_STAGES,
    OVERHEAD_BYTES,
    Code,
    Frame,
    LayerReport,
    RunResult,
    Source,
    Type,
    decode_data,
    decode_layer,
    decode_result,
    get_payload,
    put_payload,
    run_payload,
)
from edgecomp.device.serial_port import LineLostError
from edgecomp.errors import BadFrame, DeviceError, LinkTimeout

_T = TypeVar("_T")
_MOST_RESETS = 3
_RUN_ATTEMPTS = 6  # fewer than of others: one that hangs is to be told soon
_TRIES = 8
"""How often a sample is begun again on a board that answers, before that counts as a failure."""


@dataclass(frozen=True)
class Answer:
    """What a board answers for one sample.

    Attributes:
        outputs: all outputs, one behind the other.
        ticks: of the board's counter, for the whole run.
        layers: ticks and CRC by stage, where they were asked for.
        arena_bytes, stack_bytes: high water since its reset.
    """

    outputs: bytes
    ticks: int
    arena_bytes: int
    stack_bytes: int
    layers: tuple[LayerReport, ...] = ()


class SerialSession(Connection):
    """Runs samples over its connection."""

    def run(self, sample: int, inputs: bytes, *, layers: bool = False) -> Answer:
        """Run one sample, whatever happens to the line meanwhile.

        Args:
            sample: its number, for messages.
            inputs: all inputs, one behind the other.
            layers: ask for ticks and CRC of each stage.

        Raises:
            DeviceError: the board is gone for good, hangs, or fails.
        """
        found: dict[int, LayerReport] = {}

        def note(frame: Frame) -> None:
            if frame.type == Type.LAYER:
                report = decode_layer(frame.payload)
                if report.sample == sample:
                    found[report.stage] = report

        def once() -> Answer | None:
            result = self._put_and_run(sample, inputs, layers=layers, progress=note)
            if layers and len(found) < len(self.layout.stage_output_bytes):
                return None  # a report was lost: the others are kept, the run is done again
            outputs = self._collect(result)
            if outputs is None:
                return None
            reports = tuple(found[stage] for stage in sorted(found))
            return Answer(outputs, result.ticks, result.arena_bytes, result.stack_bytes, reports)

        return self._insist(f"sample {sample}", once)

    def dump(self, sample: int, inputs: bytes) -> list[bytes]:
        """Return what each stage stores, by running up to each of them."""

        def up_to(stage: int) -> bytes | None:
            self._put_and_run(sample, inputs, stop=stage)
            return self._fetch(Source.STAGE, stage, self.layout.stage_output_bytes[stage], b"")

        return [
            self._insist(f"sample {sample}, stage {stage}", partial(up_to, stage))
            for stage in range(len(self.layout.stage_output_bytes))
        ]

    def _insist(self, what: str, once: Callable[[], _T | None]) -> _T:
        """Try until there is a result."""
        resets = 0
        for _ in range(_TRIES):
            try:
                result = once()
            except (LinkTimeout, LineLostError) as error:
                self.reconnect(error)
                result = None
            except RefusedError as error:
                if error.code == Code.ORDER:
                    raise DeviceError(
                        f"{self.link.port.name}, {what}: the board has forgotten the ticks before "
                        f"it, as after a reset{self.fault_text()}\n  begin the check again"
                    ) from error
                if error.code not in {Code.INPUT, Code.NOTHING}:
                    raise DeviceError(f"{self.link.port.name}, {what}: {error}") from error
                result = None
                resets += self.look_for_reset()
                if resets >= _MOST_RESETS and self.hello.fault is not None:
                    break
            except BadFrame:
                result = None
            if result is not None:
                return result
            self.log.restarts += 1
        if resets:
            raise DeviceError(
                f"{self.link.port.name}, {what}: the board is reset each time{self.fault_text()}"
            )
        raise DeviceError(
            f"{self.link.port.name}, {what}: no whole answer in {_TRIES} tries"
            "\n  is the line very bad? a shorter cable, or a lower rate (--baud), may help"
        )

    def _put_and_run(
        self,
        sample: int,
        inputs: bytes,
        *,
        layers: bool = False,
        stop: int = ALL_STAGES,
        progress: Callable[[Frame], None] | None = None,
    ) -> RunResult:
        """Write the inputs and run; the result belongs to exactly these inputs."""
        for tensor, data in enumerate(_split(inputs, self.layout.input_bytes)):
            for offset in range(0, len(data), self.hello.chunk_bytes):
                chunk = data[offset : offset + self.hello.chunk_bytes]
                self.link.request(Type.PUT, put_payload(tensor, offset, chunk))
        crc = zlib.crc32(inputs)
        frame = self.link.request(
            Type.RUN,
            run_payload(self.hello.build_id, sample, crc, layers=layers, stop=stop),
            attempts=_RUN_ATTEMPTS,
            patience_s=self.patience_s,
            progress=progress,
        )
        result = decode_result(frame.payload)
        if (result.sample, result.input_crc) != (sample, crc):
            raise BadFrame(f"{self.link.port.name}: the result belongs to another sample")
        if result.nonce != self.hello.nonce:  # right all the same: the inputs' CRC says so
            self.look_for_reset()
        return result

    def _collect(self, result: RunResult) -> bytes | None:
        """Return all outputs; None if they are gone or damaged."""
        outputs = self._fetch(Source.OUTPUTS, 0, result.output_bytes, result.data)
        if zlib.crc32(outputs) != result.output_crc:
            return None
        return outputs

    def _fetch(self, source: Source, stage: int, size: int, data: bytes) -> bytes:
        """Read the rest of `size` bytes behind `data`."""
        most = self.hello.max_frame - OVERHEAD_BYTES - 7
        while len(data) < size:
            count = min(most, size - len(data))
            frame = self.link.request(Type.GET, get_payload(source, stage, len(data), count))
            got_source, got_stage, offset, more = decode_data(frame.payload)
            if (got_source, got_stage, offset) != (source, stage, len(data)) or not more:
                raise BadFrame(f"{self.link.port.name}: data that were not asked for")
            data += more
        return data


def _split(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    parts, at = [], 0
    for size in sizes:
        parts.append(data[at : at + size])
        at += size
    return parts

"""Running samples: through a check image, several copies of it side by side, or on boards.

Every child process is gone when `run_samples` returns or raises, on Ctrl-C too.
"""

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecomp.device.bench import SerialBench
from edgecomp.device.engine import REPLY_FILE, REQUEST_FILE, Engine
from edgecomp.device.qemu import MONITOR_OPTION, QemuEngine, qemu_command
from edgecomp.device.records import (
    FLAG_CRC,
    FLAG_DUMP,
    CheckResult,
    ModelLayout,
    check_header,
    decode_reply,
    encode_request,
    merge_results,
    samples_done,
)
from edgecomp.device.serial_port import open_port
from edgecomp.device.serial_session import SerialSession
from edgecomp.device.virtual import virtual_board
from edgecomp.errors import BadFrame, DeviceError, InternalError, LinkTimeout
from edgecomp.targets.boards import Board

_LISTENER_POLL_S = 0.02
_SMALLEST_SHARE = 4  # samples below which a second emulator does not pay


Place = Engine | SerialBench
"""Where samples can run."""


def run_samples(
    engine: Place,
    layout: ModelLayout,
    inputs: NDArray[np.int8],
    *,
    stage_crcs: bool = False,
    dump: bool = False,
    parallel: int = 2,
    timeout_s: float = 300.0,
) -> CheckResult:
    """Run every sample of `inputs` and return what the image reports.

    Args:
        engine: where to run.
        layout: the model's sizes and build id.
        inputs: int8 [S, sum of the input bytes], the inputs of a sample one behind the other.
        stage_crcs: run stage by stage and take the CRC-32 of each stage's output.
        dump: run stage by stage and return each stage's output.
        parallel: copies of the image that share the samples; one where the model has states.
        timeout_s: wall-clock limit of the whole run; boards on serial lines have their own.

    Raises:
        DeviceError: a fault, a lockup, an early end or a foreign image; LinkTimeout: a hang.
    """
    if inputs.ndim != 2 or inputs.shape[1] != sum(layout.input_bytes) or not len(inputs):
        raise InternalError(
            f"inputs of shape {inputs.shape}, expected [samples, {sum(layout.input_bytes)}]"
        )
    if isinstance(engine, SerialBench):
        return engine.run(layout, inputs, stage_crcs=stage_crcs, dump=dump)
    flags = FLAG_CRC * stage_crcs | FLAG_DUMP * dump
    shares = max(1, min(parallel, len(inputs) // _SMALLEST_SHARE))
    if layout.state_bytes:
        shares = 1
    parts = np.array_split(inputs, shares)
    deadline = time.monotonic() + timeout_s
    with tempfile.TemporaryDirectory(prefix="edgecomp-") as top, _children() as children:
        folders = [Path(top) / str(number) for number in range(shares)]
        for folder, part in zip(folders, parts, strict=True):
            folder.mkdir()
            (folder / REQUEST_FILE).write_bytes(encode_request(layout, flags, part))
            children.append(engine.start(folder))
        results = []
        for child, folder, part in zip(children, folders, parts, strict=True):
            run = f"{engine.name}, {len(part)} samples"
            try:
                status = child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise LinkTimeout(
                    f"{run}: no end after {timeout_s:g} s (a hang, or the limit is too short)"
                    + _progress(folder, layout, flags, len(part))
                    + _indent(engine.explain_hang(folder))
                ) from None
            reply_path = folder / REPLY_FILE
            reply = reply_path.read_bytes() if reply_path.exists() else b""
            if len(reply) >= 16:
                check_header(reply, layout)
            if status != 0:
                raise DeviceError(
                    f"{run}: {engine.explain(folder, status)}"
                    + _progress(folder, layout, flags, len(part))
                )
            results.append(decode_reply(reply, layout, flags, len(part)))
    return merge_results(results)


def _progress(folder: Path, layout: ModelLayout, flags: int, samples: int) -> str:
    path = folder / REPLY_FILE
    size = path.stat().st_size if path.exists() else 0
    done = samples_done(size, layout, flags, samples)
    return f"\n  {done} of {samples} samples were done"


def _indent(text: str) -> str:
    return f"\n  {text}" if text else ""


@contextmanager
def _children() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Yield a list whose processes are killed and reaped at the end, however it comes."""
    children: list[subprocess.Popen[bytes]] = []
    try:
        yield children
    finally:
        for child in children:
            child.kill()
        for child in children:
            child.wait()


def run_firmware(
    board: Board, elf: Path, layout: ModelLayout, inputs: NDArray[np.int8]
) -> list[NDArray[np.int8]]:
    """Run the *firmware* image in QEMU and talk to it over its UART, as to a board.

    Slow (about 10 KiB/s): for the image that is shipped, not for data sets.

    Args:
        board: an emulated board.
        elf: its firmware image.
        layout: the model's sizes.
        inputs: int8 [S, sum of the input bytes].

    Returns:
        One int8 array [S, output_bytes[i]] per output.

    Raises:
        DeviceError: it does not answer, or fails.
    """
    baud = board.console.baud
    with virtual_board(board, elf) as virtual:
        session = SerialSession(lambda: open_port(virtual.port, baud), layout, baud)
        try:
            session.connect()
            replies = [
                np.frombuffer(session.run(number, sample.tobytes()).outputs, np.int8)
                for number, sample in enumerate(inputs)
            ]
        finally:
            session.close()
    ends = np.cumsum(layout.output_bytes)[:-1]
    return np.split(np.stack(replies), ends, axis=1)


@contextmanager
def uart_in_qemu(board: Board, elf: Path, timeout_s: float) -> Iterator[socket.socket]:
    """Start `elf` in QEMU and yield a socket that is the other end of its UART."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        tempfile.TemporaryDirectory(prefix="edgecomp-") as folder,
        _children() as children,
    ):
        server.settimeout(timeout_s)
        uart = f"tcp:127.0.0.1:{server.getsockname()[1]},nodelay=on"
        command = qemu_command(board, elf, "-serial", uart, *MONITOR_OPTION)
        children.append(
            subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        try:
            link, _ = server.accept()
        except TimeoutError:
            raise LinkTimeout(f"{board.id}: QEMU did not open the UART") from None
        with link:
            link.settimeout(timeout_s)
            _wait_for_listener(QemuEngine(board, elf), Path(folder), timeout_s)
            yield link


def _wait_for_listener(engine: QemuEngine, folder: Path, timeout_s: float) -> None:
    """Wait until the firmware reads its UART: some models of QEMU drop what comes before."""
    end = time.monotonic() + timeout_s
    while not any(engine.is_at(folder, name) for name in ("port_read_byte", "port_try_read")):
        if time.monotonic() > end:
            raise LinkTimeout(f"{engine.board.id}: the firmware never listened to its UART")
        time.sleep(_LISTENER_POLL_S)


def receive(link: socket.socket, size: int, what: str) -> bytes:
    """Receive exactly `size` bytes, or raise a LinkTimeout or BadFrame that names `what`."""
    got = b""
    while len(got) < size:
        try:
            more = link.recv(size - len(got))
        except TimeoutError:
            raise LinkTimeout(f"{what}: {len(got)} of {size} bytes came in time") from None
        if not more:
            raise BadFrame(f"{what}: the link closed after {len(got)} of {size} bytes")
        got += more
    return got

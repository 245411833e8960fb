"""Running a check image in QEMU and counting what it executes."""

import os
import subprocess
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecomp.device import ModelLayout, QemuEngine, run_samples
from edgecomp.device.engine import MESSAGES_FILE
from edgecomp.device.qemu import qemu_command
from edgecomp.errors import DeviceError
from edgecomp.profile.counts import Section, read_log, read_plugin_counts
from edgecomp.profile.markers import Markers
from edgecomp.profile.plugin import PluginUnavailableError, plugin_path

_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Tracer:
    """How an image is counted: by the plugin, or from QEMU's own log.

    `note` says, where it is the log, why it is not the plugin.
    """

    plugin: Path | None
    note: str = ""

    @property
    def method(self) -> str:
        """`plugin` or `log`."""
        return "plugin" if self.plugin else "log"


def find_tracer() -> Tracer:
    """Return the best way to count that this host has."""
    try:
        return Tracer(plugin_path())
    except PluginUnavailableError as error:
        return _without_plugin(error)


def _without_plugin(reason: Exception) -> Tracer:
    first = str(reason).splitlines()[0]
    return Tracer(None, f"without the plugin ({first}) counted from QEMU's log, which is slow")


def count(
    tracer: Tracer,
    engine: QemuEngine,
    layout: ModelLayout,
    sample: NDArray[np.int8],
    markers: Markers,
    *,
    by_stage: bool = False,
) -> tuple[Tracer, list[Section]]:
    """Run one sample and return what ran between the markers.

    Args:
        tracer: how to count.
        engine: the check image.
        layout: its sizes.
        sample: int8 [1, sum of the input bytes].
        markers: where to count.
        by_stage: run stage by stage through `run_stage` instead of by `run`.

    Returns:
        The tracer that served in the end, another one where QEMU refused the plugin, and the
        sections in the order in which they ran.

    Raises:
        DeviceError: the image failed.
    """
    with tempfile.TemporaryDirectory(prefix="edgecomp-") as folder:
        file = Path(folder) / "counts.txt"
        run: _PluginRun | _LogRun
        run = _PluginRun(engine, tracer.plugin, markers, file) if tracer.plugin else _LogRun(
            engine, markers
        )  # fmt: skip
        try:
            run_samples(run, layout, sample, stage_crcs=by_stage, parallel=1, timeout_s=_TIMEOUT_S)
        except DeviceError as error:
            if tracer.plugin is None or file.exists():
                raise
            without = _without_plugin(error)
            return count(without, engine, layout, sample, markers, by_stage=by_stage)
        return tracer, run.sections()


def _start(
    engine: QemuEngine, folder: Path, extra: tuple[str, ...], descriptors: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    command = qemu_command(engine.board, engine.elf, "-serial", "null", *extra)
    with (folder / MESSAGES_FILE).open("wb") as messages:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=subprocess.STDOUT,
            pass_fds=descriptors,
        )


@dataclass(frozen=True)
class _PluginRun:
    """An engine whose run is counted by the plugin."""

    engine: QemuEngine
    plugin: Path
    markers: Markers
    file: Path

    @property
    def name(self) -> str:
        return self.engine.name

    def start(self, folder: Path) -> subprocess.Popen[bytes]:
        markers = self.markers
        arguments = (
            str(self.plugin),
            f"out={self.file}",
            f"enter={markers.enter:x}",
            f"leave={markers.leave:x}",
            *(f"mark={addr:x}" for addr in markers.marks),
        )
        return _start(self.engine, folder, ("-plugin", ",".join(arguments)))

    def explain(self, folder: Path, status: int) -> str:
        return self.engine.explain(folder, status)

    def explain_hang(self, folder: Path) -> str:
        return ""

    def sections(self) -> list[Section]:
        return read_plugin_counts(self.file.read_text())


@dataclass
class _LogRun:
    """An engine whose run is counted from QEMU's log, read from a pipe as it is written."""

    engine: QemuEngine
    markers: Markers
    _found: list[Section] = field(default_factory=list)
    _reader: threading.Thread | None = None

    @property
    def name(self) -> str:
        return self.engine.name

    def start(self, folder: Path) -> subprocess.Popen[bytes]:
        receive, send = os.pipe()
        log = ("-d", "in_asm,exec,nochain", "-D", f"/dev/fd/{send}")
        try:
            child = _start(self.engine, folder, log, (send,))
        finally:
            os.close(send)
        self._reader = threading.Thread(target=self._read, args=(receive,), daemon=True)
        self._reader.start()
        return child

    def explain(self, folder: Path, status: int) -> str:
        return self.engine.explain(folder, status)

    def explain_hang(self, folder: Path) -> str:
        return ""

    def sections(self) -> list[Section]:
        assert self._reader is not None
        self._reader.join()
        return self._found

    def _read(self, receive: int) -> None:
        with open(receive, encoding="utf-8", errors="replace") as log:
            self._found = read_log(log, self.markers)

"""The check image as a program of this host."""

import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edgecomp.device.engine import (
    MESSAGES_FILE,
    REPLY_FILE,
    REQUEST_FILE,
    last_messages,
    status_meaning,
)


@dataclass(frozen=True)
class HostEngine:
    """Runs `program`, which `build.compile_host_check` made."""

    program: Path
    name: str = "host"

    def start(self, folder: Path) -> subprocess.Popen[bytes]:
        """Start the program with the request as its input and the reply as its output."""
        with (
            (folder / REQUEST_FILE).open("rb") as request,
            (folder / REPLY_FILE).open("wb") as reply,
            (folder / MESSAGES_FILE).open("wb") as messages,
        ):
            return subprocess.Popen(
                [str(self.program.resolve())],
                cwd=folder,
                stdin=request,
                stdout=reply,
                stderr=messages,
            )

    def explain(self, folder: Path, status: int) -> str:
        """Say why the program ended with `status`; a sanitizer's report is shown."""
        if status < 0:
            reason = f"killed by {signal.Signals(-status).name}"
        else:
            reason = status_meaning(status) or f"status {status}"
        return reason + last_messages(folder, lines=20)

    def explain_hang(self, folder: Path) -> str:
        """Return nothing: a debugger tells more."""
        return ""

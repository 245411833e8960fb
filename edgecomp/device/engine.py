"""What `session` asks of a place where a check image can run."""

import subprocess
from pathlib import Path
from typing import Protocol

REQUEST_FILE = "check_in.bin"
REPLY_FILE = "check_out.bin"
MESSAGES_FILE = "messages.txt"

_STATUS_MEANING = {
    64: "the image did not understand the request",
    65: "the image belongs to another build",
    66: "the model's run function reported an error",
    67: "the image could not read its request or write its reply (is the disk full?)",
}


class Engine(Protocol):
    """Runs one check image on a request file in a private folder."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def start(self, folder: Path) -> subprocess.Popen[bytes]:
        """Start a run that reads `REQUEST_FILE` and writes `REPLY_FILE` in `folder`."""

    def explain(self, folder: Path, status: int) -> str:
        """Say why a run ended with a `status` that is not 0."""

    def explain_hang(self, folder: Path) -> str:
        """Say where a run that is still going on is, or return an empty string."""


def status_meaning(status: int) -> str:
    """Return what an exit status of the harness itself means, or an empty string."""
    return _STATUS_MEANING.get(status, "")


def last_messages(folder: Path, lines: int = 8) -> str:
    """Return the last lines that the run in `folder` printed, indented."""
    path = folder / MESSAGES_FILE
    text = path.read_text(errors="replace") if path.exists() else ""
    return "".join(f"\n    {line}" for line in text.rstrip().splitlines()[-lines:])

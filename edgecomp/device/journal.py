"""Answers of boards on disk, so that a check that was cut short goes on where it stopped.

One JSON object a line: first the build that the answers belong to, then one answer each, known by
the sample's number and the hash of its input, with a CRC-32 over itself. A line that was cut off
or damaged is left out; what it held is computed again.
"""

import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import Any

from edgecomp.device.protocol import LayerReport
from edgecomp.device.serial_session import Answer
from edgecomp.errors import UserError

_VERSION = 1
_SEPARATORS = (",", ":")


class Journal:
    """The answers of one build, in a file that grows with each of them."""

    def __init__(self, path: Path, build_id: int) -> None:
        """Open or begin the journal at `path`.

        Raises:
            UserError: it belongs to another build, is in use, or cannot be read or written.
        """
        self.path = path
        self._known: dict[tuple[int, str], Answer] = {}
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise UserError(_cannot(path, "open", error)) from error
        try:
            self._lock()
            self._size = self._read(build_id)
            os.ftruncate(self._fd, self._size)
            if self._size == 0:
                self._append({"journal": _VERSION, "build_id": build_id})
        except OSError as error:
            os.close(self._fd)
            raise UserError(_cannot(path, "use", error)) from error
        except UserError:
            os.close(self._fd)
            raise

    def __len__(self) -> int:
        """How many answers it holds."""
        return len(self._known)

    def find(self, sample: int, inputs: bytes, *, layers: bool) -> Answer | None:
        """Return the answer for a sample with these inputs, with layers where they are wanted."""
        answer = self._known.get((sample, _digest(inputs)))
        return None if answer is None or (layers and not answer.layers) else answer

    def add(self, sample: int, inputs: bytes, answer: Answer) -> None:
        """Write an answer down.

        Raises:
            UserError: it cannot be written; the answers before it are safe.
        """
        key = (sample, _digest(inputs))
        self._append({"sample": sample, "input": key[1], **_to_json(answer)})
        self._known[key] = answer

    def close(self) -> None:
        """Stop writing; the file stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def remove(self) -> None:
        """Close and delete: everything it was kept for is done."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _lock(self) -> None:
        if os.name != "posix":
            return
        import fcntl

        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{self.path} is in use: another check of this folder is running\n"
                "  wait for it, or give another file with --journal"
            ) from None

    def _read(self, build_id: int) -> int:
        """Take up what is there; return where the last whole line ends."""
        text = self.path.read_bytes()
        if _format({"journal": _VERSION, "build_id": build_id}).startswith(text):
            return 0  # nothing, or cut off before anything was kept
        for number, line in enumerate(text.splitlines(keepends=True)):
            entry = _parse(line)
            if number == 0 and entry is not None and entry.get("build_id") != build_id:
                raise UserError(
                    f"{self.path} has answers of build {entry.get('build_id', 0):#010x}, "
                    f"the folder holds {build_id:#010x}\n"
                    "  delete it, or give another file with --journal"
                )
            if entry is None:
                if number == 0 and text:
                    raise UserError(f"{self.path} is not a journal of edgecomp; give another file")
                continue
            if number:
                self._known[entry["sample"], entry["input"]] = _from_json(entry)
        return text.rfind(b"\n") + 1

    def _append(self, entry: dict[str, Any]) -> None:
        line = _format(entry)
        try:
            self._write(line)
        except OSError as error:
            os.ftruncate(self._fd, self._size)  # not even half a line stays
            raise UserError(_cannot(self.path, "write", error)) from error
        self._size += len(line)

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._fd, data) :]


def _digest(inputs: bytes) -> str:
    return hashlib.sha256(inputs).hexdigest()[:32]


def _format(entry: dict[str, Any]) -> bytes:
    text = json.dumps(entry, separators=_SEPARATORS)
    crc = zlib.crc32(text.encode())
    return f'{text[:-1]},"crc":{crc}}}\n'.encode()


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return what a whole and undamaged line says, None for any other."""
    try:
        entry = json.loads(line)
        crc = entry.pop("crc")
    except (ValueError, AttributeError, KeyError, TypeError):
        return None
    return (
        entry if line.endswith(b"\n") and _format(entry) == line and isinstance(crc, int) else None
    )


def _to_json(answer: Answer) -> dict[str, Any]:
    return {
        "outputs": answer.outputs.hex(),
        "ticks": answer.ticks,
        "arena_bytes": answer.arena_bytes,
        "stack_bytes": answer.stack_bytes,
        "layers": [[layer.ticks, layer.crc] for layer in answer.layers],
    }


def _from_json(entry: dict[str, Any]) -> Answer:
    return Answer(
        outputs=bytes.fromhex(entry["outputs"]),
        ticks=entry["ticks"],
        arena_bytes=entry["arena_bytes"],
        stack_bytes=entry["stack_bytes"],
        layers=tuple(
            LayerReport(entry["sample"], stage, ticks, crc)
            for stage, (ticks, crc) in enumerate(entry["layers"])
        ),
    )


def _cannot(path: Path, what: str, error: OSError) -> str:
    return (
        f"cannot {what} the journal {path}: {error.strerror}\n"
        "  the answers before it are kept: with room on the disk, or another file given with "
        "--journal,\n  the same command goes on"
    )

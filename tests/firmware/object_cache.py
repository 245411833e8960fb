"""Objects that were compiled before: the boards of one core differ in a few files only."""

import hashlib
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

INCLUDE = re.compile(rb'^#include "([^"]+)"', re.MULTILINE)


def read_with_headers(source: Path, folders: list[Path]) -> list[bytes]:
    """Return the text of a file and of all headers of ours that it includes, each once."""
    texts, waiting, seen = [], [source], set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        text = path.read_bytes()
        texts.append(path.name.encode() + b"\0" + text)
        for name in INCLUDE.findall(text):
            found = [folder / name.decode() for folder in (path.parent, *folders)]
            waiting += [header for header in found if header.exists()][:1]
    return texts


class ObjectCache:
    """Runs tools, but copies an object that the same command made from the same text."""

    def __init__(self, folder: Path, run_tool: Callable[..., Any]) -> None:
        """Keep objects in `folder`; `run_tool` runs what was not run before."""
        self.folder, self.run_tool, self.hits = folder, run_tool, 0

    def __call__(self, command: Sequence[str], work: Path) -> Any:
        """Run `command` in `work`, as `edgecomp.build.toolchain.run_tool` does."""
        if "-c" not in command:
            return self.run_tool(command, work)
        source, target = (command[command.index(option) + 1] for option in ("-c", "-o"))
        folders = [work / part[2:] for part in command if part.startswith("-I")]
        flags = [part for part in command if str(work) not in part and part != target]
        texts = read_with_headers(work / source, folders)
        parts = [part.encode() for part in flags] + texts
        key = hashlib.sha256(b"\0".join(hashlib.sha256(p).digest() for p in parts)).hexdigest()
        kept = self.folder / key
        if kept.exists():
            self.hits += 1
            shutil.copyfile(kept, work / target)
            return None
        done = self.run_tool(command, work)
        part = self.folder / f"{key}.{id(command)}"
        shutil.copyfile(work / target, part)
        part.rename(kept)
        return done

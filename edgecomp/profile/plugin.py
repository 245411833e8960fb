"""Building the plugin that counts, once per source, compiler flags and version of QEMU."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import platformdirs

from edgecomp.build import find_tool
from edgecomp.errors import ToolError
from edgecomp.paths import firmware_dir

_COMPILERS = ("cc", "gcc", "clang")
_FLAGS = ("-std=c99", "-O2", "-shared", "-fPIC", "-fvisibility=hidden")
# Version 9 of QEMU accepts no plugin of the first version of the interface any more.
_FIRST_QEMU_WITH_V2 = 9


class PluginUnavailableError(Exception):
    """The plugin cannot be built or loaded here; the text says why."""


def plugin_path() -> Path:
    """Return the built plugin, building it at first use.

    Raises:
        PluginUnavailableError: there is no C compiler for this host, or it fails.
    """
    compiler = next((path for name in _COMPILERS if (path := shutil.which(name))), None)
    if compiler is None:
        raise PluginUnavailableError("this host has no C compiler (on Debian: apt install gcc)")
    source = firmware_dir() / "profiler" / "counts.c"
    flags = [*_FLAGS, f"-DPLUGIN_VERSION={_interface_version()}"]
    if sys.platform == "darwin":
        flags += ["-undefined", "dynamic_lookup"]  # QEMU's functions are bound when it is loaded
    key = hashlib.sha256(source.read_bytes() + " ".join(flags).encode()).hexdigest()[:16]
    folder = _cache_folder()
    target = folder / f"counts-{key}.so"
    if not target.exists():
        unfinished = folder / f".counts-{key}-{os.getpid()}.so"
        _compile([compiler, *flags, str(source), "-o", str(unfinished)])
        unfinished.replace(target)
    return target


def _interface_version() -> int:
    """Version of the plugin interface that the installed QEMU accepts."""
    found = re.search(r"version (\d+)", find_tool("qemu-system-arm").version)
    return 2 if found and int(found[1]) >= _FIRST_QEMU_WITH_V2 else 1


def _cache_folder() -> Path:
    folder = Path(platformdirs.user_cache_dir("edgecomp", appauthor=False))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass  # a home that cannot be written is no reason not to count
    return Path(tempfile.mkdtemp(prefix="edgecomp-"))


def _compile(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise PluginUnavailableError(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        shown = ToolError.failed(command, done.returncode, done.stderr, lines=4)
        raise PluginUnavailableError(str(shown))

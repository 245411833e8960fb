"""Reads many damaged files in a process that may take one more gigabyte; started by a test.

`python -m tests.support.damaged_run KIND FIRST LAST FOLDER [FILE]`: `onnx` or `tflite`, numbers of
damaged copies, a folder to work in, and the file that is damaged (ONNX may do without); or
`hostile`, for all those files.  Prints how many were passed and how many refused, and to the
standard error what should not have happened.
"""

import functools
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np
import onnx

from edgecomp import feasibility
from edgecomp.errors import EdgecompError, InternalError
from tests.support.damage import damaged_bytes, damaged_model, damaged_tail
from tests.support.hostile import PASSED, REFUSED
from tests.support.random_graphs import random_model

GIGABYTE = 1 << 30
MOST_SECONDS = 10
BASES = 40


class PassedError(Exception):
    """The file is as good as any: it would be compiled now."""


def passed(*arguments: object) -> None:
    raise PassedError


@functools.cache
def base(number: int):
    return random_model(number).proto


def content(kind: str, number: int, file: bytes) -> bytes:
    """The damaged copy with this number."""
    rng = np.random.default_rng(number)
    if kind == "tflite":
        return damaged_tail(file, rng, number)
    model = onnx.load_from_string(file) if file else base(number % BASES)
    if number % 2:
        return damaged_model(model, rng)
    return damaged_bytes(model.SerializeToString(), rng, number // 2)


def verdict(path: Path) -> str:
    """What becomes of a file: `passed`, `refused`, or what is not in order."""
    start = time.process_time()
    try:
        found = feasibility.check_model(str(path), "mps2-an386")["verdict"]
    except PassedError:
        found = "passed"
    except InternalError as error:
        return f"{error}"
    except EdgecompError:
        found = "refused"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    if time.process_time() - start > MOST_SECONDS:
        return f"{time.process_time() - start:.0f} s"
    return str(found)


def hostile(folder: Path) -> None:
    """Every hostile file must be refused, every unusual one passed."""
    for wanted, files in (("refused", REFUSED), ("passed", PASSED)):
        for name, make in files.items():
            path = folder / "hostile.onnx"
            path.write_bytes(make(folder).SerializeToString())
            found = verdict(path)
            if found != wanted:
                print(f"{name}: {found}", file=sys.stderr)
    print(len(PASSED), len(REFUSED))


def damaged(kind: str, numbers: range, folder: Path, file: bytes) -> None:
    """Every damaged copy must be refused or passed."""
    path = folder / f"damaged.{kind}"
    counts = {"passed": 0, "refused": 0}
    for number in numbers:
        path.write_bytes(content(kind, number, file))
        found = verdict(path)
        if found in counts:
            counts[found] += 1
        else:
            print(f"damaged copy {number}: {found}", file=sys.stderr)
    print(*counts.values())


def main(kind: str, first: str, last: str, folder: str, file: str = "") -> None:
    for number in range(BASES if kind == "onnx" else 0):
        base(number)
    feasibility._compiled = passed
    memory = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
    resource.setrlimit(resource.RLIMIT_AS, (memory + GIGABYTE,) * 2)
    if kind == "hostile":
        hostile(Path(folder))
    else:
        whole = Path(file).read_bytes() if file else b""
        damaged(kind, range(int(first), int(last)), Path(folder), whole)


if __name__ == "__main__":
    main(*sys.argv[1:])

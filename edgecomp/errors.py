"""The errors of edgecomp, each with the exit code that the command line documents.

```
EdgecompError
├── UserError            2   wrong input, option, file or data
│   ├── RecipeError      2   a recipe file: names the line and the key
│   └── UnsupportedError 2   a layer that cannot be compiled: op, layer, attribute, limit
├── DoesNotFitError      3   needs, has, largest contributors, what would make it fit
├── ToolError            4   compiler or emulator: command, exit status, last lines
├── DeviceError          5   the firmware or the link to it
│   ├── LinkTimeout
│   ├── BadFrame
│   └── FlashError
├── AccuracyError        6   accuracy below the floor, or bits that differ
└── InternalError       70   our fault: please report it
```

A message says what happened, where, and what to do about it.
"""

from collections.abc import Sequence


class EdgecompError(Exception):
    """Base of every error that edgecomp raises on purpose."""

    exit_code = 70


class UserError(EdgecompError):
    """Something the user gave is wrong: a file, an option, a data set, a name."""

    exit_code = 2


class RecipeError(UserError):
    """A recipe that cannot be followed; the message names the line and the key."""


class UnsupportedError(UserError):
    """A layer that edgecomp cannot compile, refused before anything is generated."""

    def __init__(
        self, op: str, layer: str, limit: str, suggestion: str = "", attribute: str = ""
    ) -> None:
        """Say which `op` in which `layer` breaks which `limit`, and what would help."""
        where = f"{op} in layer {layer!r}"
        if attribute:
            where += f", attribute {attribute}"
        message = f"unsupported: {where}: {limit}"
        if suggestion:
            message += f"\n  suggestion: {suggestion}"
        super().__init__(message)
        self.op = op
        self.layer = layer
        self.attribute = attribute
        self.limit = limit
        self.suggestion = suggestion


class DoesNotFitError(EdgecompError):
    """The model needs more memory than the board has."""

    exit_code = 3


class ToolError(EdgecompError):
    """An external program is missing or failed."""

    exit_code = 4

    @classmethod
    def failed(
        cls, command: Sequence[str], status: int, output: str, *, lines: int = 20
    ) -> "ToolError":
        """Report a `command` that ended with `status`, with the last lines it printed."""
        tail = "\n".join(f"    {line}" for line in output.rstrip().splitlines()[-lines:])
        return cls(
            f"{command[0]} failed with status {status}\n  command: {' '.join(command)}\n{tail}"
        )


class DeviceError(EdgecompError):
    """The firmware, or the way to it, did not do what it should."""

    exit_code = 5


class LinkTimeout(DeviceError):
    """Nothing answered in time."""


class BadFrame(DeviceError):
    """What came back is not what the protocol allows."""


class FlashError(DeviceError):
    """Writing a board's flash failed."""


class AccuracyError(EdgecompError):
    """The accuracy is below the floor, or device and host disagree."""

    exit_code = 6


class InternalError(EdgecompError):
    """A fault of edgecomp itself."""

    exit_code = 70

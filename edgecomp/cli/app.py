"""The program `edgecomp`: its commands, and the one place where errors become messages."""

import os
import signal
import sys
import traceback
from typing import Annotated

import typer

from edgecomp import __version__
from edgecomp.cli import (
    boards,
    build,
    check,
    check_model,
    compress,
    demo,
    doctor,
    emulate,
    export,
    flash,
    monitor,
    new,
    options,
    profile,
    quantize,
    run,
    show,
    tune,
)
from edgecomp.errors import EdgecompError, InternalError

# Samples are computed side by side (edgecomp/interp.py); threads of BLAS would only wait for each
# other.  Read when numpy is first imported, which the commands do.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

app = typer.Typer(
    name="edgecomp",
    help="From a trained neural network to verified firmware for Arm Cortex-M.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # importing rich would take half of the time of `--help`
    pretty_exceptions_enable=False,
    epilog="Exit codes: 2 input, 3 does not fit, 4 tool, 5 device, 6 accuracy or bits, 70 ours.",
)
for _module in (
    build,
    run,
    check,
    flash,
    emulate,
    monitor,
    profile,
    show,
    check_model,
    quantize,
    export,
    compress,
    new,
    tune,
    boards,
    doctor,
    demo,
):
    app.command(_module.NAME)(_module.command)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"edgecomp {__version__}")
        raise typer.Exit()


def main() -> None:
    """Run the program; every error ends in one message and the documented exit code."""
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    try:
        app()
    except EdgecompError as error:
        _fail(f"error: {error}", error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _fail(f"error: {error.strerror or error}{where}", 2)
    except Exception as error:
        if os.environ.get("EDGECOMP_DEBUG"):
            traceback.print_exc()
        _fail(
            f"internal error: {type(error).__name__}: {error}\n"
            "  this is a fault of edgecomp; please report it with the model and the command\n"
            "  EDGECOMP_DEBUG=1 shows where it happened",
            InternalError.exit_code,
        )


def _stop(number: int, frame: object) -> None:
    """End so that temporary folders and emulators go away; a second Ctrl-C does not hinder that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _fail(f"interrupted; {options.interruption.leaves}", 128 + number)


def _fail(message: str, code: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()

"""Where the files that ship beside the Python code lie: in a checkout and in a wheel."""

from pathlib import Path

from edgecomp.errors import InternalError

_PACKAGE = Path(__file__).resolve().parent


def _resource(name: str) -> Path:
    """Find `name` inside the installed package, or at the top of the checkout."""
    for candidate in (_PACKAGE / "_resources" / name, _PACKAGE.parent / name):
        if candidate.exists():
            return candidate
    raise InternalError(
        f"{name} is missing from this installation of edgecomp; install it again from its wheel"
    )


def templates_dir() -> Path:
    """Return the folder of the Jinja2 templates."""
    return _resource("templates")


def firmware_dir() -> Path:
    """Return the folder of the C sources that every image shares."""
    return _resource("firmware")


def boards_file() -> Path:
    """Return the board table."""
    return _resource("boards.yaml")

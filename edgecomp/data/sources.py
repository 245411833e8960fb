"""Where arrays come from: `.npz` files, Python functions, scikit-learn's digits."""

import difflib
import importlib.util
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from edgecomp.errors import UserError
from edgecomp.ir import Array


def read_arrays(spec: str) -> dict[str, Array]:
    """Read all arrays of a data set by name.

    Args:
        spec: `FILE.npz`, `digits`, or `FILE.py:function`.

    Returns:
        Arrays by name; a single unnamed array is called `x`, a pair `x` and `y`.

    Raises:
        UserError: nothing like this can be read.
    """
    if spec == "digits":
        return _digits()
    path, separator, _ = spec.rpartition(":")
    if separator and path.endswith(".py"):
        return _named(spec, _call(spec))
    if spec.endswith(".npz"):
        return _npz(Path(spec))
    raise UserError(f"unknown data set {spec!r}: give FILE.npz, FILE.py:function, or digits")


def _digits() -> dict[str, Array]:
    """Handwritten digits, 8x8, 0 to 16 (E. Alpaydin, C. Kaynak, UCI 1998)."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UserError(
            "the digits come with scikit-learn, which is not installed: "
            "pip install 'edgecomp[demo]'"
        ) from error
    digits = load_digits()
    return {"x": np.asarray(digits.images, np.float32), "y": np.asarray(digits.target)}


def _npz(path: Path) -> dict[str, Array]:
    if not path.is_file():
        raise UserError(f"data file {path} does not exist")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, TypeError) as error:
        raise UserError(
            f"data file {path} cannot be read as .npz ({error}); write it with numpy.savez"
        ) from error


def load_function(spec: str) -> Callable[..., Any]:
    """Load the Python function that `FILE.py:function` names.

    Raises:
        UserError: the file or the function does not exist, or the file cannot be run.
    """
    name, _, function = spec.rpartition(":")
    path = Path(name)
    if not path.is_file():
        raise UserError(f"Python file {path} does not exist")
    module_spec = importlib.util.spec_from_file_location(path.stem, path)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    found = getattr(module, function, None)
    if not callable(found):
        near = difflib.get_close_matches(function, vars(module), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(f"{path} has no function {function!r}{hint}")
    return cast(Callable[..., Any], found)


def _call(spec: str) -> Any:
    """Run the function that `spec` names."""
    function = load_function(spec)
    try:
        return function()
    except Exception as error:
        raise UserError(f"{spec} failed: {type(error).__name__}: {error}") from error


def _named(spec: str, value: Any) -> dict[str, Array]:
    """Name what a function returned."""
    if isinstance(value, Mapping):
        return {str(name): np.asarray(array) for name, array in value.items()}
    if isinstance(value, tuple):
        if len(value) != 2:
            raise UserError(f"{spec} returned {len(value)} values; return x, or (x, y)")
        return {"x": np.asarray(value[0]), "y": np.asarray(value[1])}
    return {"x": np.asarray(value)}

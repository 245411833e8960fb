"""Samples and targets, in the layout of the device.

A data set is named by `FILE.npz`, by `digits`, or by `FILE.py:function`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from edgecomp.data.indices import check_indices, index_limits
from edgecomp.data.layout import target_to_device, to_device
from edgecomp.data.preprocessing import Preprocessing
from edgecomp.data.sources import read_arrays
from edgecomp.errors import UserError
from edgecomp.ir import Array, Graph

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Dataset:
    """Samples of every input and, where the source has them, targets.

    Attributes:
        source: what the user called it, for messages.
        raw: raw values by input tensor, `(samples, *shape)` in the device's layout, in the dtype
            of the source.
        codes: int8 codes by input tensor where the source has codes instead of values.
        targets: by output tensor: labels `(samples,)`, or arrays `(samples, ...)` in the device's
            layout.
        preprocessing: how raw values become real ones.
    """

    source: str
    raw: Mapping[str, Array]
    codes: Mapping[str, Array] = field(default_factory=dict)
    targets: Mapping[str, Array] = field(default_factory=dict)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)

    def __len__(self) -> int:
        """Number of samples."""
        return len(next(iter({**self.raw, **self.codes}.values())))

    def take(self, indices: Indices | slice) -> "Dataset":
        """Return some of the samples, in the order of `indices`."""

        def picked(arrays: Mapping[str, Array]) -> dict[str, Array]:
            return {name: array[indices] for name, array in arrays.items()}

        return replace(
            self, raw=picked(self.raw), codes=picked(self.codes), targets=picked(self.targets)
        )

    def real(self) -> dict[str, Array]:
        """Real values by input tensor, float32.

        Raises:
            UserError: the source has codes, not values.
        """
        if self.codes:
            raise UserError(
                f"{self.source} has codes for {', '.join(self.codes)}; real values are needed here"
            )
        return {name: self.preprocessing.apply(array) for name, array in self.raw.items()}

    def target(self, output: str) -> Array:
        """Return the targets of one output.

        Raises:
            UserError: the source has none.
        """
        if output not in self.targets:
            raise UserError(f"{self.source} has no targets: accuracy needs an array 'y' beside 'x'")
        return self.targets[output]


def load_dataset(spec: str, graph: Graph, preprocessing: Preprocessing | None = None) -> Dataset:
    """Read a data set for a network.

    Args:
        spec: `FILE.npz`, `digits`, or `FILE.py:function`; arrays are named as the model names its
            inputs and outputs, or `x` and `y` where there is one of each; suffix `_q` for codes.
        graph: the network, float or quantized.
        preprocessing: how raw values become real ones, and how a sample lies.

    Raises:
        UserError: the source cannot be read, or its arrays do not fit the network.
    """
    return from_arrays(spec, read_arrays(spec), graph, preprocessing or Preprocessing())


def from_arrays(
    spec: str, arrays: Mapping[str, Array], graph: Graph, preprocessing: Preprocessing
) -> Dataset:
    """Make a data set of arrays; `spec` names their source in messages.

    Raises:
        UserError: the arrays do not fit the network.
    """
    raw: dict[str, Array] = {}
    codes: dict[str, Array] = {}
    limits = index_limits(graph)
    for name in graph.inputs:
        key, is_codes = _find_input(spec, graph, name, arrays)
        array = _numeric(spec, key, arrays[key])
        if spec == "digits" and graph.tensors[name].size == array[0].size:
            array = array.reshape(len(array), *graph.tensors[name].shape)
        device = to_device(graph, name, array, preprocessing.layout)
        preprocessing.check_channels(graph.tensors[name].shape[-1], name)
        if is_codes:
            codes[name] = _as_codes(spec, key, device)
        else:
            if name in limits:
                check_indices(spec, key, array, limits[name], preprocessing)
            raw[name] = device
    targets = {}
    for name in graph.outputs:
        for key in _keys(graph, name, graph.outputs, "y"):
            if key in arrays:
                target = _class_numbers(_numeric(spec, key, arrays[key]), graph.tensors[name].size)
                targets[name] = target_to_device(graph, name, target)
    counts = {key: len(array) for key, array in {**raw, **codes, **targets}.items()}
    if len(set(counts.values())) != 1:
        found = ", ".join(f"{key} {count}" for key, count in counts.items())
        raise UserError(f"{spec}: the arrays have different numbers of samples: {found}")
    if not next(iter(counts.values())):
        raise UserError(f"{spec} has no samples")
    return Dataset(spec, raw, codes, targets, preprocessing)


def split_calibration(count: int, calibration: int) -> tuple[Indices, Indices]:
    """Split sample numbers into calibration samples and accuracy samples.

    Args:
        count: number of samples.
        calibration: how many of them calibrate.

    Returns:
        `default_rng(0).permutation(count)[:calibration]`, and the rest in the original order.

    Raises:
        UserError: fewer than one calibration sample is asked for.
    """
    if calibration < 1:
        raise UserError(f"calibration needs at least one sample, not {calibration}")
    chosen = np.random.default_rng(0).permutation(count)[:calibration]
    return chosen, np.setdiff1d(np.arange(count), chosen)


def _keys(graph: Graph, name: str, all_names: tuple[str, ...], short: str) -> list[str]:
    """Names under which an input's or output's array may be found, best first."""
    keys = [graph.io_names.get(name, name), name]
    return [*dict.fromkeys(keys), short] if len(all_names) == 1 else list(dict.fromkeys(keys))


def _find_input(
    spec: str, graph: Graph, name: str, arrays: Mapping[str, Array]
) -> tuple[str, bool]:
    keys = _keys(graph, name, graph.inputs, "x")
    for key in keys:
        if key in arrays:
            return key, False
        if f"{key}_q" in arrays:
            return f"{key}_q", True
    raise UserError(
        f"{spec} has no array for input {name!r}: it needs {' or '.join(map(repr, keys))} "
        f"(or with _q, for codes); it has {', '.join(map(repr, arrays)) or 'nothing'}"
    )


def _numeric(spec: str, key: str, array: Array) -> Array:
    """Refuse what is not a finite number."""
    if array.dtype.kind not in "buif":
        raise UserError(f"{spec}: array {key!r} has dtype {array.dtype}; numbers are needed")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UserError(f"{spec}: array {key!r} has values that are not finite")
    if array.ndim == 0:
        raise UserError(f"{spec}: array {key!r} is a single number; one per sample is needed")
    return array.astype(np.uint8) if array.dtype.kind == "b" else array


def _class_numbers(target: Array, outputs: int) -> Array:
    """Class numbers that came as real numbers, as tables have them; other targets as they are."""
    if target.dtype.kind != "f" or outputs == 1 or target.size != len(target):
        return target
    return target.astype(np.int64) if (target == np.rint(target)).all() else target


def _as_codes(spec: str, key: str, array: Array) -> Array:
    fits = array.dtype.kind in "ui" and (
        not array.size or -128 <= array.min() <= array.max() <= 127
    )
    if not fits:
        raise UserError(
            f"{spec}: array {key!r} ({array.dtype}) must hold codes: integers from -128 to 127"
        )
    return array.astype(np.int8)

"""Comparing a device with the host, bit for bit."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgecomp.artifact import StoredTensor
from edgecomp.device.records import ModelLayout
from edgecomp.device.session import Place, run_samples
from edgecomp.interp import chunk_for, in_chunks, run_int
from edgecomp.ir import Array, Graph

MAX_DUMPED = 32
"""Samples with differing checksums whose tensors are fetched and compared element by element."""
FEW_CODES = 10
"""A tensor with fewer different codes than this hardly tests anything; it is listed by name."""


@dataclass(frozen=True)
class Difference:
    """The first place where device and host disagree.

    Attributes:
        sample: number of the sample.
        stage: number of the stage; -1 for an output compared without its stages.
        layer: name of the layer.
        index: place in the tensor, as it lies on the device.
        expected: the host's code.
        got: the device's code.
    """

    sample: int
    stage: int
    layer: str
    index: int
    expected: int
    got: int

    def __str__(self) -> str:
        """One line for people."""
        where = f"stage L{self.stage:02d}" if self.stage >= 0 else "output"
        return (
            f"sample {self.sample}, {where} ({self.layer}), index {self.index}: "
            f"expected {self.expected}, got {self.got}"
        )


@dataclass(frozen=True)
class Outcome:
    """What a comparison found.

    Attributes:
        samples: number of samples compared.
        tensors: number of tensors compared per sample.
        mismatches: number of elements that differ.
        first: the first difference in the order of samples and stages.
        outputs: the device's codes by output tensor, `(samples, *shape)`.
        few_codes: stored tensors with fewer than 10 different codes, and how many they have.
        stack_high_water_bytes: stack that the check image used; 0 where not measured.
        arena_high_water_bytes: bytes of the arena that were written.
        guard_ok: whether no byte around the arena was written.
    """

    samples: int
    tensors: int
    mismatches: int
    first: Difference | None
    outputs: Mapping[str, Array]
    few_codes: Mapping[str, int]
    stack_high_water_bytes: int
    arena_high_water_bytes: int
    guard_ok: bool


def flat_inputs(graph: Graph, codes: Mapping[str, Array]) -> npt.NDArray[np.int8]:
    """Join the inputs of each sample, `(samples, bytes)`."""
    parts = [as_bytes(codes[name]) for name in graph.inputs]
    return np.ascontiguousarray(np.concatenate(parts, axis=1))


def as_bytes(codes: Array) -> npt.NDArray[np.int8]:
    """Codes `(samples, *shape)` as they lie in memory, `(samples, bytes)`."""
    return np.ascontiguousarray(codes).reshape(len(codes), -1).view(np.int8)


def compare(
    graph: Graph,
    stored: Sequence[StoredTensor],
    engine: Place,
    layout: ModelLayout,
    codes: Mapping[str, Array],
    *,
    tensors: bool,
    expected: Mapping[str, Array] | None = None,
    timeout_s: float = 600.0,
) -> Outcome:
    """Run samples on `engine` and compare with the integer reference.

    Args:
        graph: the quantized graph.
        stored: what the stages store.
        engine: where the check image runs.
        layout: its sizes.
        codes: input codes by input tensor, `(samples, *shape)`.
        tensors: compare every tensor that a stage stores, by checksum first; else outputs only.
        expected: the reference's outputs, where they are known already.
        timeout_s: limit of the whole run.

    Raises:
        DeviceError: the device failed.
    """
    inputs = flat_inputs(graph, codes)
    result = run_samples(engine, layout, inputs, stage_crcs=tensors, timeout_s=timeout_s)
    kept = {name: graph.tensors[name] for name in graph.outputs}
    outputs = {
        name: array.view(kept[name].dtype.numpy).reshape(len(inputs), *kept[name].shape)
        for name, array in zip(graph.outputs, result.outputs, strict=True)
    }
    mismatches = 0
    first: Difference | None = None
    few_codes: dict[str, int] = {}
    if tensors:
        assert result.stage_crcs is not None
        crcs, spreads = _reference_crcs(graph, stored, codes)
        few_codes = {
            entry.layer: count
            for entry, count in zip(stored, spreads, strict=True)
            if count < FEW_CODES
        }
        suspects = np.flatnonzero((crcs != result.stage_crcs).any(axis=1))[:MAX_DUMPED]
        if len(suspects):
            mismatches, first = _differing_elements(
                graph, stored, engine, layout, codes, suspects, timeout_s
            )
    if not mismatches:
        reference = expected or _reference_outputs(graph, codes)
        for name in graph.outputs:
            wrong = np.argwhere((outputs[name] != reference[name]).reshape(len(inputs), -1))
            mismatches += len(wrong)
            if len(wrong) and first is None:
                sample, index = (int(n) for n in wrong[0])
                right = int(reference[name][sample].flat[index])
                got = int(outputs[name][sample].flat[index])
                first = Difference(sample, -1, name, index, right, got)
    return Outcome(
        samples=len(inputs),
        tensors=len(stored) if tensors else len(graph.outputs),
        mismatches=mismatches,
        first=first,
        outputs=outputs,
        few_codes=few_codes,
        stack_high_water_bytes=result.stack_high_water_bytes,
        arena_high_water_bytes=result.arena_high_water_bytes,
        guard_ok=result.guard_ok,
    )


def _reference_outputs(graph: Graph, codes: Mapping[str, Array]) -> dict[str, Array]:
    parts = [run_int(graph, part) for part in in_chunks(codes, chunk_for(graph))]
    return {name: np.concatenate([part[name] for part in parts]) for name in graph.outputs}


def _reference_crcs(
    graph: Graph, stored: Sequence[StoredTensor], codes: Mapping[str, Array]
) -> tuple[npt.NDArray[np.uint32], list[int]]:
    """Checksums `(samples, stages)` of the reference, and the number of codes in each tensor."""
    rows = []
    seen = [np.zeros(1 << (8 * graph.tensors[s.tensor].dtype.size_bytes), bool) for s in stored]
    for part in in_chunks(codes, chunk_for(graph)):
        values = run_int(graph, part, keep=True)
        arrays = [np.ascontiguousarray(values[entry.tensor]) for entry in stored]
        for array, mark in zip(arrays, seen, strict=True):
            mark[np.unique(array).astype(np.int64) - np.iinfo(array.dtype).min] = True
        rows += [
            [zlib.crc32(array[sample].tobytes()) for array in arrays]
            for sample in range(len(next(iter(part.values()))))
        ]
    return np.asarray(rows, dtype=np.uint32).reshape(-1, len(stored)), [int(m.sum()) for m in seen]


def _differing_elements(
    graph: Graph,
    stored: Sequence[StoredTensor],
    engine: Place,
    layout: ModelLayout,
    codes: Mapping[str, Array],
    suspects: npt.NDArray[np.int64],
    timeout_s: float,
) -> tuple[int, Difference | None]:
    """Fetch all tensors of the suspect samples and count the elements that differ."""
    if graph.states:  # what a sample gives depends on all before it
        suspects = np.arange(int(suspects.max()) + 1)
    chosen = {name: array[suspects] for name, array in codes.items()}
    inputs = flat_inputs(graph, chosen)
    result = run_samples(engine, layout, inputs, dump=True, timeout_s=timeout_s)
    values = run_int(graph, chosen, keep=True)
    assert result.dumps is not None
    mismatches = 0
    first: tuple[tuple[int, int, int], Difference] | None = None
    for entry, dump in zip(stored, result.dumps, strict=True):
        reference = values[entry.tensor].reshape(len(suspects), -1)
        got = dump.view(reference.dtype)
        wrong = np.argwhere(got != reference)
        mismatches += len(wrong)
        if len(wrong):
            row, index = (int(n) for n in wrong[0])
            key = (row, entry.stage, index)
            found = Difference(
                int(suspects[row]), entry.stage, entry.layer, index,
                int(reference[row, index]), int(got[row, index]),
            )  # fmt: skip
            if first is None or key < first[0]:
                first = (key, found)
    return mismatches, first[1] if first else None

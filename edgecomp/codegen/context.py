"""Typed values for the templates of a model's sources."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgecomp import __version__
from edgecomp.codegen.rows import layer_function, rows_body
from edgecomp.ir import Array, QParams, Shape, Tensor
from edgecomp.kernels import Constant
from edgecomp.kernels.decoded import Decoded
from edgecomp.plan.rows import RowProgram
from edgecomp.plan.types import ARENA_ALIGN, Plan, Stage
from edgecomp.quant.input_codes import InputQuantizer, input_quantizer


@dataclass(frozen=True)
class Provenance:
    """Where a model came from, for the head of the generated files: no time, host or path."""

    model_file: str
    model_sha256: str
    recipe_sha256: str = ""


@dataclass(frozen=True)
class StageSource:
    """One stage as the templates need it.

    `arguments` are C expressions for the places in memory of the inputs, of the output, and of the
    scratch where there is one.  `boot_array` is the array into which its weights are decoded once.
    """

    stage: Stage
    function: str
    constants: tuple[Constant, ...]
    body: str
    output_offset: int
    arguments: tuple[str, ...]
    shapes: str
    weights_bytes: int
    macs: int
    boot_array: str = ""


@dataclass(frozen=True)
class Port:
    """An input or output of the model.

    Attributes:
        tensor: its tensor, as it lies on the device.
        arena_offset: where.
        name: the name that the model's file gave it.
        factor: of an input: float32, one or one per channel, see `InputQuantizer`.
        addend: of an input: float32, as many.
        byte_codes: of an input: int8 codes of the 256 bytes, `(len(factor), 256)`.
    """

    tensor: Tensor
    arena_offset: int
    name: str
    factor: Array
    addend: Array
    byte_codes: Array

    @property
    def code_offset(self) -> int:
        """Where, counted in codes."""
        return self.arena_offset // self.tensor.dtype.size_bytes


@dataclass(frozen=True)
class Kept:
    """Bytes that are kept between runs, and what they are after a reset."""

    offset: int
    size_bytes: int
    codes: tuple[int, ...]

    @property
    def is_uniform(self) -> bool:
        """Whether all bytes are equal."""
        return len(set(self.codes)) == 1


@dataclass(frozen=True)
class Tick:
    """What a tick of a streamed network is.

    Attributes:
        frames: of the inputs, that it takes.
        first: the first one, counted from 0, whose outputs are the whole network's.
    """

    frames: int
    first: int


@dataclass(frozen=True)
class ModelContext:
    """Everything that the templates of one model read."""

    name: str
    version: str
    provenance: Provenance
    plan: Plan
    stages: tuple[StageSource, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    tick: Tick | None = None

    @property
    def kept(self) -> tuple[Kept, ...]:
        """The states, by their place in the memory for them; neighbours of one code as one."""
        found: list[Kept] = []
        for state in self.plan.graph.states:
            buffer = self.plan.buffer(state.source)
            at = buffer.arena_offset - self.plan.arena_bytes
            codes = _bytes_of(state.codes, self.plan.graph.tensors[state.source])
            if found and found[-1].is_uniform and set(found[-1].codes) == set(codes):
                begin = found.pop().offset
                found.append(Kept(begin, at + buffer.size_bytes - begin, codes[:1]))
            else:
                found.append(Kept(at, buffer.size_bytes, codes))
        return tuple(found)

    @property
    def input_type(self) -> str:
        """C type of the codes of inputs."""
        return f"{self.inputs[0].tensor.dtype.value}_t"

    @property
    def output_type(self) -> str:
        """C type of the codes of outputs."""
        return f"{self.outputs[0].tensor.dtype.value}_t"

    @property
    def code_text(self) -> str:
        """What codes are, for a reader."""
        types = self.input_type[:-2], self.output_type[:-2]
        return types[0] if types[0] == types[1] else f"{types[0]} indices, {types[1]} outputs"

    @property
    def levels(self) -> int:
        """Codes that an input can have."""
        return 1 << 8 * self.inputs[0].tensor.dtype.size_bytes

    @property
    def arena_align(self) -> int:
        """Alignment that the caller gives the arena."""
        return ARENA_ALIGN

    @property
    def booted(self) -> tuple[StageSource, ...]:
        """Stages whose weights are decoded once, before the first run."""
        return tuple(source for source in self.stages if source.boot_array)

    @property
    def stream(self) -> RowProgram | None:
        """The first stage where the caller hands over the input row by row."""
        return self.plan.stages[0].rows if self.plan.streamed_inputs else None

    @property
    def weights_bytes(self) -> int:
        """Bytes of all weights."""
        return sum(stage.weights_bytes for stage in self.stages)


def _bytes_of(codes: tuple[int, ...], tensor: Tensor) -> tuple[int, ...]:
    """The bytes of a tensor's codes, in the order in which they lie; one where all are equal."""
    if tensor.dtype.size_bytes > 1:
        whole = np.broadcast_to(np.array(codes, tensor.dtype.numpy.newbyteorder("<")), tensor.size)
        codes = tuple(int(code) for code in np.ascontiguousarray(whole).view(np.int8))
    return codes[:1] if len(set(codes)) == 1 else codes


def _shape_text(shape: Shape) -> str:
    """A shape without its batch of 1: `32x32x3`."""
    return "x".join(str(n) for n in shape[1:])


def _body(plan: Plan, stage: Stage) -> tuple[str, str]:
    """The text of a stage's functions, and the name of the one that computes it."""
    if stage.rows is not None:
        name = "turn" if stage.rows.streamed else "rows"
        return rows_body(plan, stage), f"{stage.label}_{name}"
    kernel, layer = plan.kernel(stage), plan.layer(stage)
    return layer_function(stage.label, layer, kernel)


def _place(plan: Plan, offset: int) -> str:
    """The C expression for what lies at an offset of the plan."""
    if plan.is_state(offset):
        return f"state + {offset - plan.arena_bytes}"
    if plan.is_second(offset):
        return f"second + {offset - plan.second_at}"
    return f"base + {offset}"


def _argument(plan: Plan, stage: Stage, offset: int) -> str:
    """A place in memory as a stage's function wants it."""
    place = _place(plan, offset)
    bytewise = stage.rows is not None or plan.kernel(stage).code_type == "int8_t"
    return place if bytewise else f"(void *)({place})"


def _stage_source(plan: Plan, stage: Stage) -> StageSource:
    """Render one stage's function and collect its constants."""
    body, function = _body(plan, stage)
    ends = [
        " + ".join(_shape_text(plan.graph.tensors[name].shape) for name in stage.inputs),
        _shape_text(plan.output_tensor(stage).shape),
    ]
    names = [n for n in (*stage.inputs, stage.output) if n not in plan.streamed_inputs]
    offsets = [plan.buffer(name).arena_offset for name in names]
    offsets += [stage.scratch_offset] if stage.scratch_bytes else []
    return StageSource(
        stage=stage,
        function=function,
        constants=plan.constants(stage),
        body=body,
        output_offset=plan.buffer(stage.output).arena_offset,
        arguments=tuple(_argument(plan, stage, offset) for offset in offsets),
        shapes=" -> ".join(ends),
        weights_bytes=plan.weights_bytes(stage),
        macs=plan.macs(stage),
        boot_array=_boot_array(plan, stage),
    )


def _boot_array(plan: Plan, stage: Stage) -> str:
    """The array that is filled at boot; empty where there is none."""
    if not plan.boot_bytes(stage):
        return ""
    kernel = plan.kernel(stage)
    assert isinstance(kernel, Decoded)
    return f"{stage.label}_{kernel.packing(plan.layer(stage)).constant.name}"


def model_context(
    plan: Plan,
    provenance: Provenance,
    quantizers: Mapping[str, InputQuantizer],
    tick: Tick | None = None,
) -> ModelContext:
    """Collect what the templates need.

    Args:
        plan: a verified plan.
        provenance: where the model came from.
        quantizers: for each model input the way from real values to codes.
        tick: what a run is, where the network is streamed.
    """
    graph = plan.graph

    def port(name: str) -> Port:
        tensor = graph.tensors[name]
        quantizer = quantizers.get(name) or input_quantizer(
            tensor.qparams or QParams((1.0,)), dtype=tensor.dtype
        )
        factor, addend = np.atleast_1d(quantizer.a), np.atleast_1d(quantizer.b)
        every_byte = np.broadcast_to(np.arange(256.0)[:, None], (256, len(factor)))
        return Port(
            tensor,
            0 if name in plan.streamed_inputs else plan.buffer(name).arena_offset,
            graph.io_names.get(name, name),
            factor,
            addend,
            np.ascontiguousarray(quantizer.codes(every_byte).T),
        )

    return ModelContext(
        name=graph.name,
        version=__version__,
        provenance=provenance,
        plan=plan,
        stages=tuple(_stage_source(plan, stage) for stage in plan.stages),
        inputs=tuple(port(name) for name in graph.inputs),
        outputs=tuple(port(name) for name in graph.outputs),
        tick=tick,
    )


def build_id(sources: Mapping[str, str]) -> int:
    """A number that identifies generated sources: the CRC-32 of names and texts."""
    crc = 0
    for name in sorted(sources):
        crc = zlib.crc32(f"{name}\0{sources[name]}\0".encode(), crc)
    return crc

"""What the planner decides: stages in order, and where every buffer lies in the arena."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from edgecomp.ir import Graph, Node, Tensor
from edgecomp.kernels import Constant, Kernel, Layer, kernel_of
from edgecomp.kernels.rows import row_layer
from edgecomp.kernels.stored import Stored
from edgecomp.plan.rows import COPY, MEAN, RowProgram, RowStep

ARENA_ALIGN = 8
"""Alignment that the caller gives the arena, bytes."""
BUFFER_ALIGN = 4
"""Alignment of every buffer within the arena, bytes: kernels may load whole words."""


ROWS = "rows"
"""Kernel of a stage that is fused by rows."""


@dataclass(frozen=True)
class Buffer:
    """Bytes of the arena and when they are alive.

    Attributes:
        name: name of the tensor that first lies there.
        size_bytes: size.
        first_use: index of the stage that writes it; -1 for a model input.
        last_use: index of the last stage that reads it; the number of stages for a model output.
        arena_offset: where it begins.
    """

    name: str
    size_bytes: int
    first_use: int
    last_use: int
    arena_offset: int


@dataclass(frozen=True)
class Stage:
    """What the plan executes and the generated code has as one function.

    Attributes:
        index: position in the order of execution.
        nodes: the operators that it computes.
        kernel: name of a kernel (`kernel_of`); of a stage that is fused by rows `ROWS`.
        storage: key of `STORAGES`; empty for stages without weights.
        inputs: activation tensors that it reads, in the operator's order.
        output: tensor that it stores.
        scratch_bytes: RAM beyond input and output.
        scratch_offset: where that lies in the arena.
        rows: how it is computed by rows, where it is.
    """

    index: int
    nodes: tuple[Node, ...]
    kernel: str
    storage: str
    inputs: tuple[str, ...]
    output: str
    scratch_bytes: int = 0
    scratch_offset: int = 0
    rows: RowProgram | None = None

    @property
    def label(self) -> str:
        """Prefix of the stage's names in C: `L07`."""
        return f"L{self.index:02d}"

    @property
    def name(self) -> str:
        """The layer's name in the model's file."""
        return self.nodes[-1].name

    @property
    def ops(self) -> tuple[str, ...]:
        """The operators' names."""
        return tuple(node.op for node in self.nodes)


@dataclass(frozen=True)
class StorageChoice:
    """What became of the storages that one layer allows.

    Attributes:
        layer: its name.
        output: the tensor that it makes.
        allowed: keys of `STORAGES`.
        storage: the one that was taken.
        flash_bytes: weights and own code with it; of the best that is allowed, where plain int8
            was taken against that.
        plain_flash_bytes: with plain int8.
        cycles: estimated, with it; 0 where nothing was measured.
        plain_cycles: with plain int8.
        reason: why what is allowed was not taken; empty if it was.
        found: what the weights are like, for people.
        decode: when they are decoded: `row`, `layer`, `boot`; empty for plain int8.
        boot_bytes: RAM beside the arena for what is decoded at boot.
    """

    layer: str
    output: str
    allowed: tuple[str, ...]
    storage: str
    flash_bytes: int
    plain_flash_bytes: int
    cycles: int
    plain_cycles: int
    reason: str
    found: str
    decode: str = ""
    boot_bytes: int = 0

    @property
    def was_refused(self) -> bool:
        """Whether plain int8 was taken against what is allowed."""
        return self.storage not in self.allowed

    @property
    def text(self) -> str:
        """One line for people."""
        wanted = " or ".join(self.allowed)
        at_boot = f", {self.boot_bytes:,} bytes decoded at boot" if self.boot_bytes else ""
        taken = f"{self.layer}: {self.found}; {wanted} allowed, {self.storage} taken{at_boot}"
        return f"{taken}: {self.reason}" if self.reason else taken


@dataclass(frozen=True)
class Plan:
    """The whole decision.

    Attributes:
        graph: the quantized graph.
        stages: in order of execution.
        buffers: by the name of the tensor that each holds; tensors that share memory
            (reshapes, in-place results) have their own entries at one offset.
        aliases: for each activation tensor the tensor whose buffer it is (a reshape's input).
        arena_bytes: size of the arena, scratch included, and of the second one where there is one.
        state_bytes: size of what is kept between runs; offsets run on from the arena into it.
        lower_bound_bytes: no placement of these buffers can need less.
        keep_input: whether the inputs survive the inference.
        second_at: offset from which on buffers lie in a second arena; 0 where there is only one.
        storage_choices: what became of storages that layers allow beside plain int8.
    """

    graph: Graph
    stages: tuple[Stage, ...]
    buffers: Mapping[str, Buffer]
    aliases: Mapping[str, str]
    arena_bytes: int
    lower_bound_bytes: int
    keep_input: bool
    second_at: int = 0
    state_bytes: int = 0
    storage_choices: tuple[StorageChoice, ...] = ()

    @property
    def first_bytes(self) -> int:
        """Bytes of the arena without the second one."""
        return self.second_at or self.arena_bytes

    @property
    def second_bytes(self) -> int:
        """Bytes of the second arena, 0 where there is none."""
        return self.arena_bytes - self.first_bytes

    def is_second(self, arena_offset: int) -> bool:
        """Whether what begins at an offset lies in the second arena."""
        return 0 < self.second_at <= arena_offset

    def is_state(self, arena_offset: int) -> bool:
        """Whether what begins at an offset is kept between runs, outside of the arena."""
        return arena_offset >= self.arena_bytes

    def buffer(self, tensor: str) -> Buffer:
        """The buffer in which `tensor` lies."""
        return self.buffers[self.aliases[tensor]]

    def layer(self, stage: Stage) -> Layer:
        """The view that the stage's kernel has of its node."""
        return self._layers[stage.index][-1]

    @cached_property
    def _layers(self) -> tuple[tuple[Layer, ...], ...]:
        return tuple(
            tuple(Layer(self.graph, node) for node in stage.nodes) for stage in self.stages
        )

    def layers(self, stage: Stage) -> tuple[Layer, ...]:
        """The views of all nodes of a stage, in order."""
        return self._layers[stage.index]

    @property
    def streamed_inputs(self) -> frozenset[str]:
        """Inputs that the caller hands over row by row: they do not lie in the arena."""
        return frozenset(s.rows.source for s in self.stages if s.rows and s.rows.streamed)

    def row_steps(self, stage: Stage) -> list[tuple[RowStep, Layer | None, Kernel | None]]:
        """The steps of a stage that is fused by rows, with their layers and kernels.

        Layers are cut to a row; a copy has none, and a mean has its whole layer and no kernel.
        """
        assert stage.rows is not None
        layers = {layer.output.name: layer for layer in self._layers[stage.index]}
        found: list[tuple[RowStep, Layer | None, Kernel | None]] = []
        for step in stage.rows.steps:
            if step.kernel in {COPY, MEAN}:
                found.append((step, layers.get(step.tensor), None))
            else:
                cut = row_layer(layers[step.tensor], step.each)
                found.append((step, cut, kernel_of(step.kernel)))
        return found

    def kernel(self, stage: Stage) -> Kernel:
        """The kernel of a stage of one operator."""
        return kernel_of(stage.kernel)

    def output_tensor(self, stage: Stage) -> Tensor:
        """The tensor that the stage stores."""
        return self.graph.tensors[stage.output]

    def constants(self, stage: Stage) -> tuple[Constant, ...]:
        """Everything that the stage has in flash, by the names that its code has for it."""
        if stage.rows is None:
            return tuple(self.kernel(stage).constants(self.layer(stage)))
        return tuple(
            replace(constant, name=f"{index}_{constant.name}")
            for index, (_, layer, kernel) in enumerate(self.row_steps(stage))
            if kernel is not None and layer is not None
            for constant in kernel.constants(layer)
        )

    def weights_bytes(self, stage: Stage) -> int:
        """Flash of the stage's weights, biases and multipliers."""
        return sum(c.size_bytes for c in self.constants(stage) if c.is_weight)

    def decode_bytes(self, stage: Stage) -> int:
        """RAM that the stage uses for decoded weights, a part of its scratch."""
        return 0 if stage.rows else self.kernel(stage).decode_bytes(self.layer(stage))

    def boot_bytes(self, stage: Stage) -> int:
        """RAM beside the arena for weights of the stage that are decoded at boot."""
        return 0 if stage.rows else self.kernel(stage).boot_bytes(self.layer(stage))

    @cached_property
    def boot_ram_bytes(self) -> int:
        """RAM beside the arena for all weights that are decoded at boot."""
        return sum(self.boot_bytes(stage) for stage in self.stages)

    @property
    def decoders(self) -> frozenset[str]:
        """Names of the decoders that any stage calls."""
        return frozenset(
            kernel.encoded(self.layer(stage)).decoder
            for stage in self.stages
            if stage.rows is None and isinstance(kernel := self.kernel(stage), Stored)
        )

    def macs(self, stage: Stage) -> int:
        """Multiply-accumulates of the stage."""
        return sum(layer.macs for layer in self._layers[stage.index])

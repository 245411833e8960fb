"""Profiling one image: count, model, attribute."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecomp.build import disassemble
from edgecomp.device import ModelLayout, QemuEngine
from edgecomp.errors import InternalError
from edgecomp.profile.attribute import Attributor, Cost, Function
from edgecomp.profile.cycles import Timing, timing_of
from edgecomp.profile.markers import boot_markers, call_markers, run_markers, stage_markers
from edgecomp.profile.trace import Tracer, count, find_tracer


@dataclass(frozen=True)
class Layer:
    """A stage of the plan, as the report of a build names it."""

    name: str
    ops: tuple[str, ...]
    kernel: str
    storage: str | None
    macs: int


@dataclass(frozen=True)
class LayerProfile:
    """A stage and what it cost; `classes` are instructions by class."""

    layer: Layer
    cost: Cost
    classes: dict[str, int]


@dataclass(frozen=True)
class Profile:
    """What one inference costs.

    Attributes:
        timing: the model that the cycles come from.
        tracer: how it was counted.
        parted: `calls` if the layers are parts of the total, `stages` if each was run by itself.
        total: of one run of the model.
        layers: in order of execution.
        classes: instructions by class.
        functions: by decreasing instructions.
        boot: of what comes once before the first run; None where nothing does.
    """

    timing: Timing
    tracer: Tracer
    parted: str
    total: Cost
    layers: tuple[LayerProfile, ...]
    classes: dict[str, int]
    functions: tuple[Function, ...]
    boot: Cost | None = None

    def to_json(self, clock_hz: int) -> dict[str, Any]:
        """Return the profile's values; milliseconds are for a clock of `clock_hz`."""

        def modelled_ms(cost: Cost) -> float:
            return round(cost.modelled_cycles * 1e3 / clock_hz, 6)

        return {
            "instructions": self.total.instructions,
            "modelled_cycles": self.total.modelled_cycles,
            "modelled_ms": modelled_ms(self.total),
            "clock_hz": clock_hz,
            "boot": self.boot
            and {
                "instructions": self.boot.instructions,
                "modelled_cycles": self.boot.modelled_cycles,
                "modelled_ms": modelled_ms(self.boot),
            },
            "macs": sum(entry.layer.macs for entry in self.layers),
            "timing": {
                "model": self.timing.title,
                "source": self.timing.source,
                "rough": self.timing.rough,
            },
            "counted": {
                "method": self.tracer.method,
                "note": self.tracer.note or None,
                "layers": self.parted,
            },
            "classes": self.classes,
            "layers": [
                {
                    "name": entry.layer.name,
                    "ops": list(entry.layer.ops),
                    "kernel": entry.layer.kernel,
                    "storage": entry.layer.storage,
                    "macs": entry.layer.macs,
                    "instructions": entry.cost.instructions,
                    "modelled_cycles": entry.cost.modelled_cycles,
                    "modelled_ms": modelled_ms(entry.cost),
                    "classes": entry.classes,
                }
                for entry in self.layers
            ],
            "functions": [
                {
                    "name": function.name,
                    "instructions": function.cost.instructions,
                    "modelled_cycles": function.cost.modelled_cycles,
                }
                for function in self.functions
            ],
        }


def profile_image(
    engine: QemuEngine,
    layout: ModelLayout,
    sample: NDArray[np.int8],
    *,
    model: str,
    layers: Sequence[Layer],
    tracer: Tracer | None = None,
) -> Profile:
    """Run one inference of a check image and return what it cost.

    Args:
        engine: the check image and its emulated board.
        layout: its sizes.
        sample: int8 [1, sum of the input bytes].
        model: prefix of the model's functions.
        layers: its stages, in order.
        tracer: how to count, the best way there is unless given.

    Raises:
        DeviceError: the image failed.
        InternalError: the image does not run its stages in order.
    """
    program = disassemble(engine.elf)
    timing = timing_of(engine.board.core.name)
    tracer = tracer or find_tracer()
    attributor = Attributor(program, timing)

    parting = call_markers(program, model, len(layers)) if layers else None
    whole = parting or run_markers(program, model)
    tracer, sections = count(tracer, engine, layout, sample, whole)
    parts = sections
    if layers and parting is None:
        alone = stage_markers(program, model)
        tracer, parts = count(tracer, engine, layout, sample, alone, by_stage=True)
    if layers and len(parts) != len(layers):
        raise InternalError(f"{len(parts)} stages ran, expected {len(layers)}")

    boot = boot_markers(program, model)
    if boot:
        tracer, before = count(tracer, engine, layout, sample, boot)

    costs = attributor.costs(sections)
    by_layer = [attributor.costs([part]) for part in parts[: len(layers)]]
    return Profile(
        timing=timing,
        tracer=tracer,
        parted="calls" if parting else "stages",
        total=costs.total,
        layers=tuple(
            LayerProfile(layer, part.total, part.classes)
            for layer, part in zip(layers, by_layer, strict=True)
        ),
        classes=costs.classes,
        functions=costs.functions,
        boot=attributor.costs(before).total if boot else None,
    )

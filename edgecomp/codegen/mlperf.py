"""What the firmware needs to answer MLPerf Tiny's runner: the task, and how its bytes are read.

The files that the runner sends are fixed by the benchmark (mlcommons/tiny, the reference
submissions' `th_load_tensor`): int8 codes of the reference model for keyword spotting, pixels
for the pictures, float32 for the anomaly detection.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgecomp.codegen.context import ModelContext
from edgecomp.codegen.env import render
from edgecomp.errors import UserError
from edgecomp.quant.input_codes import input_quantizer

MLPERF_HEADER = "app_mlperf.h"


@dataclass(frozen=True)
class MlperfTask:
    """One benchmark.

    Attributes:
        name: what the runner knows the model as.
        elements: of the model's input.
        kind: what the bytes of a sample are.
        result_is_error: the result is the mean squared error against the input, not the outputs.
        scale: of the reference model's codes, where the bytes are codes.
        zero_point: likewise.
    """

    name: str
    elements: int
    kind: Literal["codes", "pixels", "floats"]
    result_is_error: bool = False
    scale: float = 0.0
    zero_point: int = 0

    @property
    def input_bytes(self) -> int:
        """Bytes of one sample."""
        return self.elements * (4 if self.kind == "floats" else 1)


TASKS: tuple[MlperfTask, ...] = (
    MlperfTask("kws01", 490, "codes", scale=0.5847029, zero_point=83),
    MlperfTask("ic01", 3072, "pixels"),
    MlperfTask("vww01", 27648, "pixels"),
    MlperfTask("ad01", 640, "floats", result_is_error=True),
)


def mlperf_task(model: ModelContext) -> MlperfTask:
    """Return the benchmark whose input the model takes.

    Raises:
        UserError: there is none.
    """
    elements = [math.prod(port.tensor.shape) for port in model.inputs]
    task = next((task for task in TASKS if elements == [task.elements]), None)
    outputs = [math.prod(port.tensor.shape) for port in model.outputs]
    if task is None or len(outputs) != 1 or (task.result_is_error and outputs != elements):
        known = ", ".join(f"{task.name} {task.elements:,}" for task in TASKS)
        raise UserError(
            f"no MLPerf Tiny benchmark has this model's inputs of {elements} and outputs of "
            f"{outputs} elements\n  elements of the four: {known}; leave --protocol out"
        )
    return task


def mlperf_header(model: ModelContext) -> str:
    """Return `app_mlperf.h`.

    Raises:
        UserError: the model fits none of the four benchmarks.
    """
    task = mlperf_task(model)
    codes: list[int] = []
    if task.kind == "codes":
        qparams = model.inputs[0].tensor.qparams
        assert qparams is not None
        signed = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.float64)
        real = task.scale * (signed - task.zero_point)
        codes = [int(code) for code in input_quantizer(qparams).codes(real)]
    outputs = math.prod(model.outputs[0].tensor.shape)
    return render("app_mlperf.h.j2", model=model, task=task, codes=codes, outputs=outputs)

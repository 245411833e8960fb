"""Does distillation help?  The same student with and without a teacher, over three seeds.

    python -m benchmarks.distillation har
    python -m benchmarks.distillation cifar10

Data are found by the environment variable EDGECOMP_DATA.  Prints one line per training, and the
means; the last epoch's weights are not taken, but those with the best validation score.
"""

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from edgecomp.recipes import Distill, Recipe, Train

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Task:
    """A data set, a teacher and a student."""

    data: dict[str, object]
    train: str
    test: str
    teacher: str
    student: str
    epochs: int
    learning_rate: float
    augment: dict[str, object]


TASKS = {
    "har": Task(
        {"scale": 1 / 4096, "layout": "wc"},
        "har_hapt_train.npz",
        "har_hapt_test.npz",
        "zoo:cnn-1d?width=2",
        "zoo:cnn-1d?width=0.5",
        20,
        0.003,
        {},
    ),
    "cifar10": Task(
        {"scale": 1 / 255, "mean": (0.49, 0.48, 0.45), "std": 0.25, "layout": "hwc"},
        "cifar10_train20k.npz",
        "cifar10_test.npz",
        "zoo:resnet8",
        "zoo:resnet8?width=0.25",
        8,
        0.004,
        {"flip": True, "shift": 3},
    ),
}


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--teacher", help="a trained teacher, instead of training one")
    parser.add_argument("--student", help="another student, zoo:NAME?width=...")
    parser.add_argument("--epochs", type=int, help="of every training, instead of the task's")
    parser.add_argument("--out", type=Path, default=Path("distillation"))
    options = parser.parse_args()
    task = TASKS[options.task]
    epochs = options.epochs or task.epochs
    folder = Path(os.environ["EDGECOMP_DATA"]) / "datasets"
    files = {"data": str(folder / task.train), "test": str(folder / task.test)}

    def run(model: str, step: Train | Distill, seed: int, name: str) -> float:
        training = {"seed": seed, "patience": 30, "augment": task.augment}
        recipe = Recipe([step], data=task.data, training=training)
        out = options.out / f"{options.task}-{name}"
        result = recipe.run(model, **files, out=out, say=_tell)
        row = result.report["steps"][-1]
        print(json.dumps({"run": name, "validation": row["validation_accuracy"],
                          "test": row["test_accuracy"], "macs": row["macs"],
                          "weights": row["weights"]}), flush=True)  # fmt: skip
        return float(row["test_accuracy"])

    more = {"learning_rate": task.learning_rate, "batch_norm": True}
    teacher = options.teacher
    if teacher is None:
        run(task.teacher, Train(epochs, **more), 0, "teacher")
        teacher = str(options.out / f"{options.task}-teacher" / "model.npz")
    found: dict[str, list[float]] = {"alone": [], "taught": []}
    for seed in SEEDS:
        student = f"{options.student or task.student}&seed={seed}"
        found["alone"].append(run(student, Train(epochs, **more), seed, f"alone-{seed}"))
        step = Distill(teacher, epochs=epochs, temperature=4.0, weight=0.7, **more)
        found["taught"].append(run(student, step, seed, f"taught-{seed}"))
    for name, values in found.items():
        print(f"{name}: mean {sum(values) / len(values):.4f} of {values}", flush=True)


def _tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

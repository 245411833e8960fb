"""`edgecomp compress`: make a network smaller by the steps of a recipe."""

from pathlib import Path
from typing import Annotated, Any

import typer

from edgecomp.cli import options

NAME = "compress"


def command(
    model: options.ModelOrRecipe = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Output folder.")] = Path("compressed"),
    recipe: options.RecipeFile = None,
    step: Annotated[
        list[str] | None,
        typer.Option("-s", "--step", help="A step instead of the recipe's: prune=0.5 (repeat)."),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Training samples, instead of the recipe's.")
    ] = None,
    test: Annotated[
        str | None, typer.Option("--test", help="Test samples, instead of the recipe's.")
    ] = None,
    board: Annotated[
        str | None,
        typer.Option(
            help="Board to link for and to count cycles on, after every step; the recipe's unless "
            "given."
        ),
    ] = None,
    input_shape: options.InputShape = None,
    layout: options.Layout = None,
    scale: options.Scale = None,
    mean: options.Mean = None,
    std: options.Std = None,
    schema: Annotated[
        bool,
        typer.Option("--schema", help="Print the JSON schema of recipe files, and do nothing."),
    ] = False,
    json: options.Json = False,
) -> None:
    """Prune, cluster and retrain MODEL by the steps of a recipe.

    Training never sees the test samples, and stops early on a part of the training samples that
    it does not see either.  OUT/model.npz is a model for `edgecomp build`.  A result that misses
    the recipe's target is kept, but the command fails: with 3 for memory, with 6 for accuracy.
    """
    from edgecomp.compressing import CompressRequest, compress
    from edgecomp.config import Recipe, read_recipe, recipe_schema, with_steps
    from edgecomp.draft import measure_for
    from edgecomp.step_targets import require_target

    if schema:
        options.print_json(recipe_schema())
        return
    read = read_recipe(recipe) if recipe else Recipe()
    if step:
        read = with_steps(read, step)
    given = options.preprocessing(scale, mean, std, layout)
    given |= {key: value for key, value in (("train", data), ("test", test)) if value is not None}
    read = read.model_copy(update={"data": read.data.model_copy(update=given)})
    source = options.given("MODEL", model, read.model)
    options.interruption.leaves = (
        f"what was finished is kept in {out}; the same command goes on from there"
    )
    report = compress(
        CompressRequest(source, out, read, options.input_shapes(input_shape)),
        options.progress(quiet=json),
        measure_for(board or read.target.board, read),
    )
    if json:
        options.print_json(report)
    else:
        _print(report, out)
    require_target(report)


def _print(report: dict[str, Any], out: Path) -> None:
    """The account for people."""
    wide = max(len(row["step"]) for row in report["steps"])
    print(
        f"{'step':{wide}} {'validation':24} {'test':>8} {'MACs':>12} {'weights':>10} {'not 0':>10} "
        f"{'bytes':>10} {'of float32':>11}"
    )
    whole = 4 * report["steps"][0]["weights"]
    for row in report["steps"]:
        test = "-" if row["test_accuracy"] is None else f"{100 * row['test_accuracy']:.2f} %"
        print(
            f"{row['step']:{wide}} {row['validation']:24} {test:>8} {row['macs']:12,} "
            f"{row['weights']:10,} {row['nonzero_weights']:10,} {row['weights_bytes']:10,} "
            f"{whole / max(1, row['weights_bytes']):9.1f} x"
        )
        if "linked" in row:
            print(f"{'':{wide}} {_on_board(row['linked'])}")
    stored = report["steps"][-1]["weights_bytes_by_storage"]
    print("weights: " + ", ".join(f"{count:,} bytes as {name}" for name, count in stored.items()))
    found = report["test"]
    if found and found["accuracy"] is not None:
        print(
            f"test: {100 * found['accuracy']:.2f} % in float32, "
            f"{100 * found['int8_accuracy']:.2f} % in int8, {found['samples']:,} samples"
        )
    elif found:
        print(f"test: mean squared error {found['loss']:.6g}, in int8 {found['int8_mse']:.6g}")
    print(f"wrote {out / 'model.npz'}")


def _on_board(made: dict[str, Any]) -> str:
    """What one step's network takes on its board, on one line."""
    if "problem" in made:
        return f"{made['board']}: does not fit"
    return (
        f"{made['board']}: flash {made['flash']['total_bytes']:,}, "
        f"RAM {made['ram']['total_bytes']:,}, {made['modelled_cycles']:,} modelled cycles"
    )

"""`edgecomp show`: what a model consists of."""

from typing import Annotated

import typer

from edgecomp.cli import options

NAME = "show"


def command(
    model: options.Model,
    input_shape: options.InputShape = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="As the file has it, before any optimization.")
    ] = False,
    groups: Annotated[
        bool,
        typer.Option("--groups", help="Which channels can only be pruned together, and why."),
    ] = False,
    json: options.Json = False,
) -> None:
    """Print a model's layers with shapes, MACs and parameters."""
    from edgecomp.frontend import read_model
    from edgecomp.ir.text import format_graph, graph_summary
    from edgecomp.ops import OPS
    from edgecomp.passes import run_passes

    graph = read_model(model, input_shapes=options.input_shapes(input_shape))
    if not raw:
        graph = run_passes(graph)
    if groups:
        from edgecomp.compress.prune_channels import channel_groups

        found = channel_groups(graph)
        if json:
            options.print_json(
                [
                    {"channels": len(g.classes), "layers": g.layers, "tensors": g.tensors}
                    for g in found
                ]
            )
            return
        for group in found:
            print(f"{len(group.classes):5} channels made by {', '.join(group.layers)}")
            print(f"      coupled in {', '.join(group.tensors)}")
    elif json:
        options.print_json(graph_summary(graph, OPS))
    else:
        print(format_graph(graph, OPS))

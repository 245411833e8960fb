"""Write a plan as C: the model's two files, and what is put beside them."""

from collections.abc import Mapping

from edgecomp.codegen.context import ModelContext, build_id
from edgecomp.codegen.env import render
from edgecomp.paths import firmware_dir


def model_sources(model: ModelContext) -> dict[str, str]:
    """Return the files of the model by name: what a user copies into another project.

    `<model>.h` and `<model>.c`, the shared header `edgecomp.h`, an example `main.c` and a
    `CMakeLists.txt` that builds it on the host.
    """
    return {
        f"{model.name}.h": render("model.h.j2", model=model),
        f"{model.name}.c": render("model.c.j2", model=model),
        "edgecomp.h": (firmware_dir() / "lib" / "edgecomp.h").read_text(),
        "main.c": render("example_main.c.j2", model=model),
        "CMakeLists.txt": render("CMakeLists.txt.j2", model=model),
    }


def application_headers(model: ModelContext, sources: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that give our own applications the model under fixed names."""
    number = build_id(sources)
    return {
        "app_model.h": render("app_model.h.j2", model=model, build_id=number),
        "app_stages.h": render("app_stages.h.j2", model=model),
    }

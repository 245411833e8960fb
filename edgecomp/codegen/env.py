"""The Jinja environment: strict about what is missing, plain about what is written."""

import functools

import jinja2

from edgecomp.codegen import cformat
from edgecomp.paths import templates_dir


@functools.cache
def environment() -> jinja2.Environment:
    """Return the environment of all C templates."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_dir()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        line_statement_prefix="%%",
        keep_trailing_newline=True,
        autoescape=False,
    )
    env.filters.update(
        c_int=cformat.c_int,
        c_term=cformat.c_term,
        c_float=cformat.c_float,
        c_term_float=cformat.c_term_float,
        c_elements=cformat.c_elements,
        c_comment=cformat.c_comment,
    )
    return env


def render(template: str, **context: object) -> str:
    """Render `template` with `context`; anything missing is an error."""
    return environment().get_template(template).render(**context)

"""A profile as one HTML page with a bar chart, without any file beside it."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from edgecomp.profile.kinds import CLASSES

_BAR_HEIGHT = 20
_ROW_HEIGHT = 28
_LABEL_WIDTH = 320
_CHART_WIDTH = 560
_VALUE_WIDTH = 200
_COLOURS = dict(
    zip(
        CLASSES,
        ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#bbbbbb", "#777777"),
        strict=True,
    )
)
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1120px; color: #222; }
h1 { font-size: 1.4em; } h2 { font-size: 1.1em; margin-top: 2em; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 10px; text-align: right; border-bottom: 1px solid #ddd; }
th.text, td.text { text-align: left; }
svg text { font: 13px system-ui, sans-serif; fill: #222; }
.note { color: #666; }
""".strip()


def profile_page(profile: Mapping[str, Any]) -> str:
    """Return the page; `profile` is what `edgecomp profile --json` prints."""
    timing = profile["timing"]
    title = f"{profile['model']} on {profile['board']}"
    rough = " This model is a rough sketch of the pipeline." if timing["rough"] else ""
    note = f"<p class='note'>{escape(profile['counted']['note'])}</p>" if (
        profile["counted"]["note"]
    ) else ""  # fmt: skip
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{escape(title)}</title><style>
{_STYLE}
</style></head>
<body>
<h1>{escape(title)}</h1>
<p>One inference: <b>{profile["instructions"]:,}</b> instructions, counted;
<b>{profile["modelled_cycles"]:,}</b> modelled cycles, that is {profile["modelled_ms"]:.3f} ms
at {profile["clock_hz"] / 1e6:g} MHz.</p>
<p class="note">Cycles are modelled, not measured: {escape(timing["model"])}, memory without wait
states. {escape(timing["source"])}.{rough}</p>
{note}
<h2>Modelled cycles of each layer, coloured by the classes of its instructions</h2>
{_chart(profile["layers"])}
<h2>Layers</h2>
{_layers(profile["layers"])}
<h2>Functions</h2>
{_functions(profile)}
</body>
</html>
"""


def _chart(layers: Sequence[Mapping[str, Any]]) -> str:
    largest = max((layer["modelled_cycles"] for layer in layers), default=0)
    width = _LABEL_WIDTH + _CHART_WIDTH + _VALUE_WIDTH
    height = _ROW_HEIGHT * len(layers) + _ROW_HEIGHT
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">']
    for row, layer in enumerate(layers):
        parts += _bar(layer, row * _ROW_HEIGHT, _CHART_WIDTH / max(1, largest))
    used = [name for name in CLASSES if any(name in layer["classes"] for layer in layers)]
    for index, name in enumerate(used):
        x, y = _LABEL_WIDTH + index * 90, len(layers) * _ROW_HEIGHT + 6
        parts.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{_COLOURS[name]}"/>')
        parts.append(f'<text x="{x + 17}" y="{y + 11}">{name}</text>')
    return "\n".join([*parts, "</svg>"])


def _bar(layer: Mapping[str, Any], y: int, scale: float) -> list[str]:
    """One layer's bar: its length is cycles, its colours are shares of instructions."""
    text_y = y + 15
    label = escape(f"{layer['name'][-30:]} ({'+'.join(layer['ops'])})")
    parts = [f'<text x="{_LABEL_WIDTH - 10}" y="{text_y}" text-anchor="end">{label}</text>']
    length = layer["modelled_cycles"] * scale
    x = float(_LABEL_WIDTH)
    for name, number in layer["classes"].items():
        part = length * number / max(1, layer["instructions"])
        parts.append(
            f'<rect x="{x:.2f}" y="{y}" width="{part:.2f}" height="{_BAR_HEIGHT}" '
            f'fill="{_COLOURS[name]}"><title>{name}: {number:,} instructions</title></rect>'
        )
        x += part
    parts.append(f'<text x="{x + 8:.2f}" y="{text_y}">{layer["modelled_cycles"]:,}</text>')
    return parts


def _layers(layers: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        f"<tr><td class='text'>{escape(layer['name'])}</td>"
        f"<td class='text'>{escape('+'.join(layer['ops']))}</td>"
        f"<td class='text'>{escape(layer['kernel'])}</td>"
        f"<td class='text'>{escape(layer['storage'] or '-')}</td>"
        + "".join(f"<td>{layer[key]:,}</td>" for key in ("macs", "instructions", "modelled_cycles"))
        + f"<td>{layer['modelled_ms']:.3f}</td></tr>"
        for layer in layers
    ]
    head = (
        "<tr><th class='text'>layer</th><th class='text'>op</th><th class='text'>kernel</th>"
        "<th class='text'>storage</th><th>MACs</th><th>instructions</th>"
        "<th>modelled cycles</th><th>modelled ms</th></tr>"
    )
    return "\n".join(["<table>", head, *rows, "</table>"])


def _functions(profile: Mapping[str, Any]) -> str:
    rows = [
        f"<tr><td class='text'>{escape(function['name'])}</td>"
        f"<td>{function['instructions']:,}</td><td>{function['modelled_cycles']:,}</td></tr>"
        for function in profile["functions"]
    ]
    head = "<tr><th class='text'>function</th><th>instructions</th><th>modelled cycles</th></tr>"
    return "\n".join(["<table>", head, *rows, "</table>"])

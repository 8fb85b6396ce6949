"""The frame of every page: one HTML file that needs no network, and the parts that pages are made of.

Text given to a part is escaped; only `body`, `style` and `script` of `document` are inserted as they are.
"""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import plotly

from pipelines.io.secrets import printable

# Browsers fetch nothing, even if a title or a library requests it. Plotly needs unsafe-eval to compile shaders.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; style-src 'unsafe-inline'; "
    "img-src data: blob:; media-src data: blob:; worker-src blob:"
)


def document(title: str, body: str, *, plotly: bool = True, style: str = "", script: str = "") -> str:
    """A whole page as one HTML text.

    Args:
        title: Title of the browser tab; escaped.
        body: HTML of the page; inserted as it is, so it must be trusted.
        plotly: Whether to include Plotly (4.8 MB), which charts need.
        style: CSS of this page, inserted after that of all pages.
        script: JavaScript of this page, run after the body is loaded.
    """
    library = f"<script>{_plotly_js()}</script>\n<script>{asset('chart.js')}</script>\n" if plotly else ""
    own = f"<script>{script}</script>\n" if script else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{asset('page.css')}\n{style}</style>\n{library}</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n{own}</body>\n</html>\n"
    )


def asset(path: str) -> str:
    """The text of a file of this package, by its path relative to this folder."""
    return resources.files("pipelines.report").joinpath(path).read_text(encoding="utf-8")


def escape(text: object) -> str:
    """Escape a text for use between tags and in quoted attributes; what controls its direction is shown as escapes."""
    return html.escape(printable(str(text)))


def heading(title: str, subtitle: str = "") -> str:
    """The top of a page."""
    below = f'<p class="subtitle">{escape(subtitle)}</p>' if subtitle else ""
    return f"<header><h1>{escape(title)}</h1>{below}</header>"


def facts(named: Mapping[str, object]) -> str:
    """A row of cards with a name and a value each; if the value is a pair, its second part is shown in small print."""
    cards = ""
    for name, value in named.items():
        shown, detail = value if isinstance(value, tuple) else (value, "")
        small = f"<dd>{escape(detail)}</dd>" if detail else ""
        cards += f"<div><dt>{escape(name)}</dt><dd>{escape(shown)}</dd>{small}</div>"
    return f'<dl class="facts">{cards}</dl>'


def note(text: str) -> str:
    """A highlighted remark."""
    return f'<p class="note">{escape(text)}</p>'


@dataclass(frozen=True)
class Link:
    """A cell of a table that leads to another page.

    Attributes:
        text: What is shown.
        address: Of the page.
    """

    text: str
    address: str

    def __str__(self) -> str:
        """What is shown."""
        return self.text


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of texts and links; cells are shown as `str` gives them, so numbers must be formatted by the caller.

    A column is aligned right if all its cells are numbers: an int, a float, or a string that begins with a number and
    may have a sign and a unit, such as "3.1 mm".
    """
    head = "".join(f'<th scope="col"{_side(_column(rows, i))}>{escape(name)}</th>' for i, name in enumerate(columns))
    lines = ["".join(f"<td{_side([cell])}>{_cell(cell)}</td>" for cell in row) for row in rows]
    body = "".join(f"<tr>{line}</tr>\n" for line in lines)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _cell(cell: object) -> str:
    return f'<a href="{escape(cell.address)}">{escape(cell)}</a>' if isinstance(cell, Link) else escape(cell)


def chart(
    name: str, traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any], *, label: str, height_px: int = 320
) -> str:
    """A Plotly chart in the page's colours, light or dark.

    Args:
        name: Id of the element, unique on the page: letters, digits and hyphens.
        traces: Plotly's traces as JSON-compatible dictionaries.
        layout: Plotly's layout. Colours, fonts and margins that it does not set are the page's.
        label: Description of the chart for screen readers.
        height_px: Height of the chart, px.
    """
    data = json_script(f"{name}-data", {"traces": list(traces), "layout": dict(layout)})
    return (
        f'<div id="{name}" class="chart" role="img" aria-label="{escape(label)}" style="height: {height_px}px"></div>'
        f"{data}<script>raylift.chart({json.dumps(name)});</script>"
    )


def json_script(name: str, value: object) -> str:
    """A script element with JSON data, which `raylift.read(name)` returns. No text in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


@cache
def _plotly_js() -> str:
    return (Path(plotly.__file__).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def _column(rows: Sequence[Sequence[object]], index: int) -> list[object]:
    return [row[index] for row in rows]


def _side(cells: Sequence[object]) -> str:
    return ' class="number"' if cells and all(_is_number(cell) for cell in cells) else ""


def _is_number(cell: object) -> bool:
    if isinstance(cell, str):
        first = cell.strip().lstrip("+-−±≈<>").split(" ")[0].rstrip("%×").replace(",", "")
        return first.replace(".", "", 1).isdigit() or cell.strip() in ("–", "—", "")
    return isinstance(cell, int | float)

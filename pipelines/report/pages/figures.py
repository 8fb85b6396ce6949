"""Figures of report pages: a chart or table in a frame with its title, arranged side by side where there is room."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from pipelines.report.document import asset, chart, document, escape, table

_HEIGHT_PX = 260
# Curves with more points than this have no markers, which would overlap.
_MOST_MARKERS = 30
# An axis over more powers of ten than this has ticks only at them.
_MOST_DECADES = 3


def figures_page(title: str, parts: Sequence[str]) -> str:
    """A whole page of headings and figures; the parts must be trusted HTML."""
    return document(title, "\n".join(parts), style=asset("pages/figures.css"), script=asset("pages/figures.js"))


def figure(title: str, body: str, caption: str = "") -> str:
    """A framed figure; `body` must be trusted HTML, title and caption are escaped."""
    below = f"<p>{escape(caption)}</p>" if caption else ""
    return f'<section class="figure"><h3>{escape(title)}</h3>{below}{body}</section>'


def side_by_side(*figures: str) -> str:
    """Figures in a row, or below one another on narrow screens."""
    return f'<div class="figures">{"".join(figures)}</div>'


def bar_chart(
    name: str, places: Sequence[str], values: Sequence[float], *, label: str, axes: tuple[str, str], hover: str
) -> str:
    """Vertical bars at named places; `axes` are the titles of x and y."""
    trace = {"type": "bar", "x": list(places), "y": list(values), "hovertemplate": f"%{{x}}: {hover}<extra></extra>"}
    layout = {
        "xaxis": {"title": {"text": axes[0]}, "type": "category"},
        "yaxis": {"title": {"text": axes[1]}, "rangemode": "tozero"},
        "bargap": 0.15,
    }
    return chart(name, [trace], layout, label=label, height_px=_HEIGHT_PX)


def histogram(
    name: str,
    values: Sequence[float],
    edges: Sequence[float],
    *,
    label: str,
    axes: tuple[str, str],
    hover: str = "%{y:,}",
    unit: str = "",
) -> str:
    """Bars over the bins of a numeric axis; `values` has one entry fewer than `edges`."""
    between = list(pairwise(edges))
    trace = {
        "type": "bar",
        "x": [(low + high) / 2 for low, high in between],
        "y": list(values),
        "width": [high - low for low, high in between],
        "customdata": [f"{low:.4g} to {high:.4g}{unit}" for low, high in between],
        "marker": {"line": {"width": 0.5, "color": "rgba(128,128,128,0.6)"}},
        "hovertemplate": f"%{{customdata}}: {hover}<extra></extra>",
    }
    layout = {
        "xaxis": {"title": {"text": axes[0]}, "range": [edges[0], edges[-1]]},
        "yaxis": {"title": {"text": axes[1]}, "rangemode": "tozero"},
    }
    return chart(name, [trace], layout, label=label, height_px=_HEIGHT_PX)


def row_chart(
    name: str,
    rows: Sequence[tuple[str, float]],
    *,
    label: str,
    axis: str,
    hover: str = "%{x:,}",
    span: tuple[float, float] | None = None,
    errors: Sequence[float] | None = None,
) -> str:
    """Horizontal bars, the first row at the top, so that long names can be read.

    Args:
        name: Id of the chart.
        rows: A name and a value for each bar.
        label: Description of the chart for screen readers.
        axis: Title of the value axis.
        hover: Plotly format of a value in the hover text.
        span: Limits of the value axis; if not given, it begins at 0.
        errors: Half the length of each row's error bar.
    """
    places = list(range(len(rows)))
    trace: dict[str, Any] = {
        "type": "bar",
        "orientation": "h",
        "y": places,
        "x": [value for _, value in rows],
        "customdata": [escape(text) for text, _ in rows],
        "hovertemplate": f"%{{customdata}}: {hover}<extra></extra>",
    }
    if errors is not None:
        trace["error_x"] = {"type": "data", "array": list(errors), "thickness": 1.2, "width": 3}
    # Plotly renders HTML in texts, and would merge rows that have the same name.
    ticks = {"tickvals": places, "ticktext": [escape(shorten(text)) for text, _ in rows], "autorange": "reversed"}
    values: dict[str, Any] = {"title": {"text": axis}} | ({"range": list(span)} if span else {"rangemode": "tozero"})
    height_px = max(_HEIGHT_PX // 2, 70 + 22 * len(rows))
    layout = {"xaxis": values, "yaxis": ticks | {"showgrid": False}, "bargap": 0.3}
    return chart(name, [trace], layout, label=label, height_px=height_px)


def line_chart(
    name: str,
    xs: Sequence[float],
    lines: Mapping[str, Sequence[float | None]],
    *,
    label: str,
    axes: tuple[str, str],
    log: bool = False,
    mark: tuple[float, str] | None = None,
    height_px: int = 320,
) -> str:
    """Curves over a common x axis.

    Args:
        name: Id of the chart.
        xs: The x of all curves.
        lines: The name and the values of each curve; None where it has no value.
        label: Description of the chart for screen readers.
        axes: Titles of x and y.
        log: Whether the y axis is logarithmic, provided that all values are positive.
        mark: An x to mark with a vertical line, and its text.
        height_px: Height of the chart, px.
    """
    lines = {text: [y if y is None or math.isfinite(y) else None for y in ys] for text, ys in lines.items()}
    mode = "lines+markers" if len(xs) <= _MOST_MARKERS else "lines"
    traces = [
        {"type": "scatter", "mode": mode, "name": escape(text), "x": list(xs), "y": ys, "marker": {"size": 4}}
        | {"hovertemplate": "%{y:.4~g}"}
        for text, ys in lines.items()
    ]
    known = [y for ys in lines.values() for y in ys if y is not None]
    values: dict[str, Any] = {"title": {"text": axes[1]}}
    values |= log_axis(known) if log and min(known, default=0) > 0 else {"rangemode": "tozero"}
    layout: dict[str, Any] = {"xaxis": {"title": {"text": axes[0]}}, "yaxis": values, "hovermode": "x unified"}
    layout["showlegend"] = len(lines) > 1
    if mark is not None:
        grey = {"color": "gray", "width": 1.2, "dash": "dash"}
        layout["shapes"] = [
            {"type": "line", "x0": mark[0], "x1": mark[0], "y0": 0, "y1": 1, "yref": "paper", "line": grey}
        ]
        side = "right" if mark[0] > (xs[0] + xs[-1]) / 2 else "left"
        text = {"text": escape(mark[1]), "x": mark[0], "y": 1, "yref": "paper", "xanchor": side, "yanchor": "top"}
        layout["annotations"] = [text | {"showarrow": False, "xshift": -4 if side == "right" else 4}]
    return chart(name, traces, layout, label=label, height_px=height_px)


def long_table(columns: Sequence[str], rows: Sequence[Sequence[object]], most: int, rest: str) -> str:
    """A table of at most `most` rows; `rest` tells the reader where the other rows are."""
    left = len(rows) - most
    return table(columns, rows[:most]) + (f"<p>… and {left:,} more, {escape(rest)}</p>" if left > 0 else "")


def shorten(text: str, most: int = 34) -> str:
    """The end of a long text, because addresses differ at their ends."""
    return text if len(text) <= most else "…" + text[1 - most :]


def log_axis(values: Sequence[float]) -> dict[str, Any]:
    """A logarithmic axis whose tick labels are whole values; Plotly's own leave out the power of ten."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    digits = (1, 2, 5) if high - low <= _MOST_DECADES else (1,)
    ticks = [digit * 10.0**power for power in range(low, high + 1) for digit in digits]
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}

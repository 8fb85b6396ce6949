"""A search as pictures, for places that show no pages: which parameters matter, and how the error fell."""

import io
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_SIZE_INCHES, _DOTS_PER_INCH = (7.0, 3.6), 110
_MARK, _OTHER = "#1f7ae0", "#9a9a9a"


def search_figures(report: Mapping[str, Any], importances: Mapping[str, float]) -> dict[str, bytes]:
    """PNG files by name.

    Args:
        report: The content of the search's `report.json`.
        importances: How much each parameter decides whether a trial is a good one, by its short name; empty if that
            cannot be told.
    """
    errors = {
        int(trial["trial"]): trial["error_mm"]
        for trial in report["trials"]
        if trial["error_mm"] is not None and not trial.get("repeats")
    }
    files: dict[str, bytes] = {}
    if errors:
        files["history.png"] = _drawn(lambda axes: _history(axes, dict(sorted(errors.items()))))
    if importances:
        files["importance.png"] = _drawn(lambda axes: _importance(axes, importances))
    return files


def _history(axes: Axes, errors_mm: Mapping[int, float]) -> None:
    axes.scatter([*errors_mm], [*errors_mm.values()], s=24, color=_OTHER, label="each trial's lowest")
    lowest = [*accumulate(errors_mm.values(), min)]
    axes.step([*errors_mm], lowest, where="post", color=_MARK, linewidth=2, label="the lowest so far")
    axes.set(xlabel="trial", ylabel="held-out error, mm", title="Error by trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)


def _importance(axes: Axes, importances: Mapping[str, float]) -> None:
    shares = dict(sorted(importances.items(), key=lambda item: item[1]))
    axes.barh([*shares], [*shares.values()], color=_MARK)
    axes.set(xlabel="share", xlim=(0, 1), title="Which parameters matter")


def _drawn(draw: Callable[[Axes], None]) -> bytes:
    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    draw(axes)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DOTS_PER_INCH)
    return content.getvalue()

"""Pictures of a search, for places that cannot show pages: which parameters matter, and how the error fell."""

from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pipelines.report.png import MARK, OTHER, drawn, literal


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
        files["history.png"] = drawn(lambda axes: _history(axes, dict(sorted(errors.items()))))
    if importances:
        files["importance.png"] = drawn(lambda axes: _importance(axes, importances))
    return files


def _history(axes: Axes, errors_mm: Mapping[int, float]) -> None:
    axes.scatter([*errors_mm], [*errors_mm.values()], s=24, color=OTHER, label="each trial's lowest")
    lowest = [*accumulate(errors_mm.values(), min)]
    axes.step([*errors_mm], lowest, where="post", color=MARK, linewidth=2, label="the lowest so far")
    axes.set(xlabel="trial", ylabel="held-out error, mm", title="Error by trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)


def _importance(axes: Axes, importances: Mapping[str, float]) -> None:
    shares = dict(sorted(importances.items(), key=lambda item: item[1]))
    axes.barh([*map(literal, shares)], [*shares.values()], color=MARK)
    axes.set(xlabel="share", xlim=(0, 1), title="Which parameters matter")

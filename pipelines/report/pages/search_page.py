"""The page of a hyperparameter search: all trials, which parameters matter, and how the trials went.

The charts are Optuna's, except for the parallel coordinates: Optuna draws them without axes that select trials, in
blues that cannot be read on a dark page.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import optuna
import optuna.visualization as optuna_plots
from plotly.graph_objects import Figure

from pipelines.report.document import Link, chart, escape, facts, heading, note
from pipelines.report.pages.figures import figure, figures_page, log_axis, long_table, side_by_side
from pipelines.report.pages.search_study import Trial, shown_study, shown_value
from schemas.configs.search_metrics import METRIC_NAMES
from schemas.configs.search_space import Dimension, Space, read_dimension, short_names
from schemas.configs.train import ERROR_NAMES

# At most this many curves and rows are shown, because more curves would hide each other, and nobody would read more
# rows; report.json has all of them.
_MOST_CURVES = 60
_MOST_ROWS = 200
# The grid of a contour has as many rows and columns as trials, so that a thousand of them would take 10 MB.
_MOST_IN_CONTOUR = 100
# With fewer trials than this, importance would be chance, because Optuna compares the better trials with the rest.
_FEWEST_FOR_IMPORTANCE = 4
_ERROR = "held-out error, mm"

# This blue is readable on light and on dark pages.
_MARK = "#1f7ae0"
# The colours run from the best trials, which stand out on light and on dark pages, to the worst.
_COLOURS = [[0, "#1668dc"], [0.25, "#2fa39a"], [0.6, "#a9a596"], [1, "#b59d8c"]]
# At most about this many steps between the ticks of an axis of whole numbers.
_MOST_STEPS = 5
_HIDDEN = {"size": 1, "color": "rgba(0,0,0,0)"}

# This text replaces the value of a field that a trial did not search, because it depends on another field's value.
_NOT_SEARCHED = "–"


def search_page(report: Mapping[str, Any]) -> str:
    """A self-contained HTML document.

    Args:
        report: The content of the search's `report.json`.
    """
    space = {path: read_dimension(given) for path, given in report["search_space"].items()}
    trials = best_first(report["trials"])
    # Repeats have the values of other trials, and would count twice. Version 0.1.0 had no repeats.
    proposed = [trial for trial in trials if not trial.get("repeats")]
    scored = [trial for trial in proposed if trial["error_mm"] is not None]
    parts = [heading("Hyperparameter search", report["output"])]
    # Version 0.1.0 wrote no verdict.
    parts += [note(report["verdict"])] if "verdict" in report else []
    parts.append(facts(_facts(report)))
    if report["best"] is None:
        parts.append(note("No trial is finished; the table says why."))
    if scored:
        parts += [side_by_side(*fronts)] if (fronts := list(_fronts(report, scored))) else []
        caption = "A line for each trial; drag along an axis to pick some."
        parts.append(side_by_side(figure("Where the trials lie", _coordinates(space, scored), caption)))
        study = shown_study(space, scored)
        charts = [*_importance(space, proposed), _curves(space, report, scored), _history(study)]
        parts.append(side_by_side(*charts, *_slices(study, space)))
    # Earlier versions did not say where the runs are shown.
    rows = [_row(space, trial, report.get("runs_page")) for trial in trials]
    columns = (
        "trial",
        "error, mm",
        *short_names(space).values(),
        "best epoch",
        "epochs",
        "time",
        "how it ended",
        "MLflow run",
    )
    table = long_table(columns, rows, _MOST_ROWS, "in report.json")
    parts.append(side_by_side(figure("Trials, the best first", table)))
    return figures_page("Search", parts)


def best_first(trials: Iterable[Trial]) -> list[Trial]:
    """Trials sorted by state (finished, stopped, failed, running), and by error within a state."""

    def rank(trial: Trial) -> tuple[int, float]:
        score_mm = trial["error_mm"]
        state = ("finished", "stopped", "failed", "running").index(trial["state"])
        return state, math.inf if score_mm is None else score_mm

    return sorted(trials, key=rank)


def _facts(report: Mapping[str, Any]) -> dict[str, object]:
    best, states = report["best"], Counter(trial["state"] for trial in report["trials"])
    shown: object = "none"
    if best is not None:
        shown = f"{best['error_mm']:.1f} mm", f"trial {best['trial']} after epoch {best['best_epoch']}"
    return {
        "Best, held out": shown,
        "Trials": (len(report["trials"]), ", ".join(f"{count} {state}" for state, count in states.items())),
        "Epochs": (report["epochs"], "at most, of a trial"),
        "Error": ERROR_NAMES[report["metric"]],
        "Sampler": report["sampler"],
        "Scheduler": report["scheduler"],
        "Time in trials": str(timedelta(seconds=round(sum(trial["seconds"] for trial in report["trials"])))),
    }


def _fronts(report: Mapping[str, Any], scored: Sequence[Trial]) -> Iterator[str]:
    """One chart for each metric beside the error: all finished trials, and those of the front."""
    # Searches by a single metric have no front, and reports of earlier versions lack it.
    for number, metric in enumerate(report.get("metrics", [])[:3] if report.get("front") else []):
        shown = [trial for trial in scored if trial["state"] == "finished" and metric in trial["measures"]]
        if metric == report["metric"] or not shown:
            continue
        traces = []
        for name, on_front in (("other trials", False), ("front", True)):
            trials = [trial for trial in shown if (trial["trial"] in report["front"]) == on_front]
            traces.append(
                {
                    **{"type": "scatter", "mode": "markers", "name": name},
                    "x": [trial["measures"][metric] for trial in trials],
                    "y": [trial["error_mm"] for trial in trials],
                    "text": [f"trial {trial['trial']}" for trial in trials],
                    "marker": {"color": _MARK if on_front else "rgba(128,128,128,0.6)", "size": 9 if on_front else 6},
                }
            )
        axes = {"xaxis": {"title": {"text": METRIC_NAMES[metric]}}, "yaxis": {"title": {"text": _ERROR}}}
        label = f"Error and {METRIC_NAMES[metric]}"
        device = report["lifted_on"] if metric == "lift_frames_per_s" else None
        where = f", measured on {device}" if device else ""
        caption = f"No other trial is better in everything than those of the front{where}."
        yield figure(label, chart(f"front-{number}", traces, axes, label=label, height_px=300), caption)


def _coordinates(space: Space, scored: Sequence[Trial]) -> str:
    """Parallel coordinates: an axis for each parameter, the error on the last."""
    errors = [trial["error_mm"] for trial in scored]
    axes = [_axis(path, dimension, scored) for path, dimension in space.items()]
    epochs = [trial["epochs"] for trial in scored]
    if len(set(epochs)) > 1:
        # Plotly's own ticks lie between whole numbers where there are few.
        step = max(1, (max(epochs) - min(epochs)) // _MOST_STEPS)
        axes.append({"label": "epochs", "values": epochs, "tickvals": list(range(min(epochs), max(epochs) + 1, step))})
    axes.append({"label": "error, mm", "values": errors})
    line = {"color": errors, "colorscale": _COLOURS, "cmin": min(errors), "cmax": max(errors)}
    # Plotly repeats the limits at the ends of each axis, where ticks already show them, so they are hidden.
    trace = {"type": "parcoords", "dimensions": axes, "line": line, "labelside": "top", "rangefont": _HIDDEN}
    layout = {"margin": {"l": 90, "r": 60, "t": 64, "b": 16}}
    return chart("coordinates", [trace], layout, label="Parameters and error of each trial", height_px=420)


def _axis(path: str, dimension: Dimension, trials: Sequence[Trial]) -> dict[str, Any]:
    parent, _, name = path.rpartition(".")
    given = [trial["parameters"].get(path, _NOT_SEARCHED) for trial in trials]
    if dimension.kind == "choice":
        names = [*map(json.dumps, dimension.values)]
        numbers = [None if value == _NOT_SEARCHED else names.index(json.dumps(value)) for value in given]
        ticks = dict(enumerate(escape(shown_value(value)) for value in dimension.values))  # Plotly reads HTML in texts
        low, high, margin = 0.0, len(names) - 1.0, 0.3
    else:
        scale = math.log10 if dimension.is_log else float
        numbers = [None if value == _NOT_SEARCHED else scale(value) for value in given]
        low, high, margin = *map(scale, dimension.values), 0.0
        places = [low + (high - low) * part / 4 for part in range(5)]
        ticks = {place: f"{10**place if dimension.is_log else place:.2g}" for place in places}
    axis = {"label": f"{parent}.<br>{name}" if parent else name}
    if None in numbers:  # every line has to cross every axis
        missing = low - (0.25 * (high - low) or 1.0)
        numbers, ticks = [missing if number is None else number for number in numbers], {missing: _NOT_SEARCHED} | ticks
        low = missing
    return axis | {
        "values": numbers,
        "range": [low - margin, high + margin],
        "tickvals": list(ticks),
        "ticktext": list(ticks.values()),
    }


def importances(report: Mapping[str, Any]) -> dict[str, float]:
    """How much each parameter decides which finished trials are good, by its short name; empty if that is unknown."""
    space = {path: read_dimension(given) for path, given in report["search_space"].items()}
    study = _comparable(space, [trial for trial in report["trials"] if not trial.get("repeats")])
    return {} if study is None else optuna.importance.get_param_importances(study)


def _comparable(space: Space, trials: Sequence[Trial]) -> optuna.Study | None:
    """The finished trials, by which parameters are compared; None if they are too few or too much alike."""
    finished = [trial for trial in trials if trial["state"] == "finished"]
    # With one parameter, or with equal errors, there is nothing to compare.
    alike = len(space) < 2 or len({trial["error_mm"] for trial in finished}) < 2
    return None if alike or len(finished) < _FEWEST_FOR_IMPORTANCE else shown_study(space, finished)


def _importance(space: Space, trials: Sequence[Trial]) -> list[str]:
    """How much each parameter decides which finished trials are good, by PED-ANOVA."""
    if (study := _comparable(space, trials)) is None:
        return []
    drawn = optuna_plots.plot_param_importances(study)
    caption = "How much each decides whether a finished trial is a good one."
    bars = _optuna_chart("importance", drawn, "Importance of each parameter", ("share", ""))
    most = list(optuna.importance.get_param_importances(study))[:2]
    return [figure("Which parameters matter", bars, caption), *([_contour(space, trials, most)] if most[1:] else [])]


def _contour(space: Space, trials: Sequence[Trial], names: Sequence[str]) -> str:
    """The error over the two parameters that matter most; of many trials good and bad ones alike are left out."""
    names = sorted(names)  # the order in which Optuna puts them on the axes
    finished = best_first(trial for trial in trials if trial["state"] == "finished")
    every = -(-len(finished) // _MOST_IN_CONTOUR)
    drawn = optuna_plots.plot_contour(shown_study(space, finished[::every]), names)
    colours = {"colorscale": _COLOURS, "reversescale": False, "colorbar": {"title": {"text": "mm"}}}
    drawn.update_traces(colours, selector={"type": "contour"})
    drawn.update_traces(marker={"color": _MARK, "showscale": False}, selector={"type": "scatter"})
    paths = {name: path for path, name in short_names(space).items()}
    for name, update_axis in zip(names, (drawn.update_xaxes, drawn.update_yaxes), strict=True):
        if space[paths[name]].is_log:
            update_axis(log_axis(space[paths[name]].values))
    label = f"Error by {names[0]} and {names[1]}"
    chart = _optuna_chart("contour", drawn, label, (names[0], names[1]))
    shown = f"One in {every} of the finished trials" if every > 1 else "Finished trials"
    return figure(label, chart, f"{shown}, and the error between them, of the two that matter most.")


def _history(study: optuna.Study) -> str:
    drawn = optuna_plots.plot_optimization_history(study, target_name="trial").update_layout(showlegend=False)
    chart = _optuna_chart("history", drawn, "Error of each trial and the best so far", ("trial", _ERROR))
    return figure("Error by trial", chart, "Each trial's lowest error; the line is the lowest so far.")


def _curves(space: Space, report: Mapping[str, Any], scored: Sequence[Trial]) -> str:
    """The error of each trial after each epoch; the best trial is drawn last, so that it lies on top."""
    drawn = optuna_plots.plot_intermediate_values(shown_study(space, scored[:_MOST_CURVES]))
    drawn.update_traces(line_color="rgba(128,128,128,0.45)", marker_size=3)
    if report["best"]:
        best = f"Trial{int(report['best']['trial'])}"
        drawn.update_traces(line={"color": _MARK, "width": 2.5}, selector={"name": best})
        drawn.data = sorted(drawn.data, key=lambda trace: getattr(trace, "name", "") == best)
    chart = _optuna_chart("curves", drawn, "Error of each trial after each epoch", ("epoch", _ERROR))
    shown = f"; the {_MOST_CURVES} best of {len(scored)}" if len(scored) > _MOST_CURVES else ""
    return figure("How the trials went", chart, f"Error on held-out people{shown}.")


def _slices(study: optuna.Study, space: Space) -> Iterator[str]:
    """One chart for each parameter: its value and the error of every trial."""
    for number, (path, name) in enumerate(short_names(space).items()):
        drawn = optuna_plots.plot_slice(study, [name])
        drawn.update_traces(marker={"color": _MARK, "opacity": 0.9, "showscale": False})
        if space[path].is_log:
            drawn.update_xaxes(log_axis(space[path].values))
        yield figure(f"Error by {name}", _optuna_chart(f"slice-{number}", drawn, f"Error by {name}", (name, _ERROR)))


def _optuna_chart(name: str, drawn: Figure, label: str, axes: tuple[str, str]) -> str:
    """A chart of a figure by Optuna, without its title and template, so that it takes the page's colours."""
    drawn.update_layout(title=None, template=None, xaxis_title=axes[0] or None, yaxis_title=axes[1] or None)
    parts = json.loads(str(drawn.to_json()))
    layout = {key: value for key, value in parts["layout"].items() if key not in ("title", "template")}
    return chart(name, parts["data"], layout, label=label, height_px=300)


def _row(space: Space, trial: Trial, runs_page: str | None) -> list[object]:
    score_mm, run_id = trial["error_mm"], trial["run_id"]
    sources = "".join(f"; continued from {name}" for name in trial["exploited"])
    sources += f"; {trial['repeats']} with another seed" if trial.get("repeats") else ""
    return [
        trial["trial"],
        "–" if score_mm is None else f"{score_mm:.1f}",
        *(shown_value(trial["parameters"].get(path, _NOT_SEARCHED)) for path in space),
        "–" if trial["best_epoch"] is None else trial["best_epoch"],
        trial["epochs"],
        f"{trial['seconds']:,.0f} s",
        trial["state"] + (f" ({trial['reason']})" if trial["reason"] else "") + sources,
        Link(run_id[:8], runs_page + run_id) if runs_page and run_id else run_id or _NOT_SEARCHED,
    ]

"""The page of a hyperparameter search: where its trials lie, which parameters matter, how each went."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import optuna
from optuna.trial import TrialState

from pipelines.report.document import chart, escape, facts, heading, note
from pipelines.report.figures import figure, figures_page, long_table, row_chart, side_by_side
from pipelines.search import optuna_study
from schemas.configs.search_space import Dimension, Space, short_names

# More curves than this hide each other, more rows nobody reads; report.json has them all.
_MOST_CURVES = 60
_MOST_ROWS = 200
# Optuna compares the better trials with the rest: of fewer it tells chance.
_FEWEST_FOR_IMPORTANCE = 4
# The best stand out on light and dark pages, the others step back.
_COLOURS = [[0, "#1668dc"], [0.25, "#2fa39a"], [0.6, "#a9a596"], [1, "#b59d8c"]]
_HIDDEN = {"size": 1, "color": "rgba(0,0,0,0)"}

Trial = Mapping[str, Any]


def search_page(report: Mapping[str, Any]) -> str:
    """A self-contained HTML document.

    Args:
        report: Of the search, as its `report.json` has it.
    """
    space = {
        path: Dimension(kind, tuple(values))
        for path, given in report["search_space"].items()
        for kind, values in given.items()
    }
    trials = best_first(report["trials"])
    scored = [trial for trial in trials if trial["validation_mpjpe_mm"] is not None]
    parts = [heading("Hyperparameter search", report["output"]), facts(_facts(report))]
    if report["best"] is None:
        parts.append(note("No trial is finished; the table says why."))
    if scored:
        caption = "A line for each trial; drag along an axis to pick some."
        parts.append(side_by_side(figure("Where the trials lie", _coordinates(space, scored), caption)))
        parts.append(side_by_side(*_importance(space, trials), _curves(report, scored)))
    rows = [_row(space, trial) for trial in trials]
    columns = ("trial", "MPJPE, mm", *short_names(space).values(), "best epoch", "epochs", "time", "how it ended")
    table = long_table(columns, rows, _MOST_ROWS, "in report.json")
    parts.append(side_by_side(figure("Trials, the best first", table)))
    return figures_page("Search", parts)


def best_first(trials: Iterable[Trial]) -> list[Trial]:
    """Finished trials before those stopped, and those before the failed; the best of each first."""

    def rank(trial: Trial) -> tuple[int, float]:
        score_mm = trial["validation_mpjpe_mm"]
        state = ("finished", "stopped", "failed", "running").index(trial["state"])
        return state, math.inf if score_mm is None else score_mm

    return sorted(trials, key=rank)


def _facts(report: Mapping[str, Any]) -> dict[str, object]:
    best, states = report["best"], Counter(trial["state"] for trial in report["trials"])
    shown: object = "none"
    if best is not None:
        shown = f"{best['validation_mpjpe_mm']:.1f} mm", f"trial {best['trial']} after epoch {best['best_epoch']}"
    return {
        "Best, held out": shown,
        "Trials": (len(report["trials"]), ", ".join(f"{count} {state}" for state, count in states.items())),
        "Epochs": (report["epochs"], "at most, of a trial"),
        "Sampler": report["sampler"],
        "Scheduler": report["scheduler"],
        "Time in trials": _time(sum(trial["seconds"] for trial in report["trials"])),
    }


def _coordinates(space: Space, scored: Sequence[Trial]) -> str:
    """Parallel coordinates: an axis for each parameter, the error on the last."""
    errors = [trial["validation_mpjpe_mm"] for trial in scored]
    axes = [_axis(path, dimension, [t["parameters"][path] for t in scored]) for path, dimension in space.items()]
    if len({trial["epochs"] for trial in scored}) > 1:
        axes.append({"label": "epochs", "values": [trial["epochs"] for trial in scored], "tickformat": "d"})
    axes.append({"label": "MPJPE, mm", "values": errors})
    line = {"color": errors, "colorscale": _COLOURS, "cmin": min(errors), "cmax": max(errors)}
    # Ticks say what Plotly repeats at the ends of each axis.
    trace = {"type": "parcoords", "dimensions": axes, "line": line, "labelside": "top", "rangefont": _HIDDEN}
    layout = {"margin": {"l": 90, "r": 60, "t": 64, "b": 16}}
    return chart("coordinates", [trace], layout, label="Parameters and error of each trial", height_px=420)


def _axis(path: str, dimension: Dimension, values: Sequence[Any]) -> dict[str, Any]:
    parent, _, name = path.rpartition(".")
    axis: dict[str, Any] = {"label": f"{parent}.<br>{name}" if parent else name}
    if dimension.kind == "choice":
        names = [json.dumps(value) for value in dimension.values]
        places = [names.index(json.dumps(value)) for value in values]
        texts = [escape(_shown(value)) for value in dimension.values]  # Plotly reads HTML in texts
        span = [-0.3, len(names) - 0.7]
        return axis | {"values": places, "tickvals": list(range(len(names))), "ticktext": texts, "range": span}
    low, high = dimension.values
    if dimension.kind == "loguniform":
        low, high = math.log10(low), math.log10(high)
        ticks = [low + (high - low) * part / 4 for part in range(5)]
        texts = [f"{10**tick:.2g}" for tick in ticks]
        logs = [math.log10(value) for value in values]
        return axis | {"values": logs, "range": [low, high], "tickvals": ticks, "ticktext": texts}
    return axis | {"values": list(values), "range": [low, high]}


def _importance(space: Space, trials: Sequence[Trial]) -> list[str]:
    """How much each parameter decides who is among the best: PED-ANOVA, whatever the sampler."""
    seen = optuna.create_study(direction="minimize")
    for trial in trials:
        if trial["state"] == "finished":
            scores_mm = {int(epoch): score_mm for epoch, score_mm in trial["scores_mm"].items()}
            seen.add_trial(optuna_study.ended_trial(space, trial["parameters"], "finished", scores_mm))
    errors = {trial.value for trial in seen.get_trials(states=(TrialState.COMPLETE,))}
    # Of one parameter, or of trials alike, there is nothing to tell apart.
    if len(space) < 2 or len(seen.trials) < _FEWEST_FOR_IMPORTANCE or len(errors) < 2:
        return []
    weights = optuna.importance.get_param_importances(seen)
    rows = sorted(weights.items(), key=lambda row: -row[1])
    drawn = row_chart("importance", rows, label="Importance of each parameter", axis="share", hover="%{x:.0%}")
    return [figure("Which parameters matter", drawn, "How much each decides whether a finished trial is a good one.")]


def _curves(report: Mapping[str, Any], scored: Sequence[Trial]) -> str:
    best = report["best"] and report["best"]["trial"]
    shown = sorted(scored[:_MOST_CURVES], key=lambda trial: trial["trial"] == best)  # the best lies on top
    traces = []
    for trial in shown:
        points = sorted((int(epoch), score_mm) for epoch, score_mm in trial["scores_mm"].items())
        line = {"color": "#1f7ae0", "width": 2.5} if trial["trial"] == best else {"color": "rgba(128,128,128,0.45)"}
        traces.append(
            {
                **{"type": "scatter", "mode": "lines+markers", "line": line, "marker": {"size": 3}},
                **{"x": [epoch for epoch, _ in points], "y": [score_mm for _, score_mm in points]},
                "name": f"trial {trial['trial']}",
                "hovertemplate": "epoch %{x}: %{y:.1f} mm",
            }
        )
    layout = {"xaxis": {"title": {"text": "epoch"}}, "yaxis": {"title": {"text": "held out MPJPE, mm"}}}
    label = "Error of each trial after each epoch"
    drawn = chart("curves", traces, layout | {"showlegend": False}, label=label)
    left = f"; the {_MOST_CURVES} best of {len(scored)}" if len(scored) > _MOST_CURVES else ""
    return figure("How the trials went", drawn, f"Mean joint error on people held out{left}.")


def _row(space: Space, trial: Trial) -> list[object]:
    score_mm, went_on = trial["validation_mpjpe_mm"], "".join(f"; went on from {name}" for name in trial["exploited"])
    return [
        trial["trial"],
        "–" if score_mm is None else f"{score_mm:.1f}",
        *(_shown(trial["parameters"][path]) for path in space),
        "–" if trial["best_epoch"] is None else trial["best_epoch"],
        trial["epochs"],
        f"{trial['seconds']:,.0f} s",
        trial["state"] + (f" ({trial['reason']})" if trial["reason"] else "") + went_on,
    ]


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))

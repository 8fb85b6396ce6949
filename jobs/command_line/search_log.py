"""What MLflow shows of a search: its best lifter as a model, its trials as a table, their history as figures."""

from collections.abc import Mapping
from typing import Any

from jobs.command_line.pages import keep_figures
from pipelines.io import storage
from pipelines.lifters.checkpoint import read_card
from pipelines.mlflow_runs import runs
from pipelines.mlflow_runs.datasets import TrackSet
from pipelines.mlflow_runs.entries import by_path
from pipelines.mlflow_runs.logged_models import ModelFile, Scores
from pipelines.report.pages.search_page import best_first, importances
from pipelines.report.search_figures import search_figures
from pipelines.tracks.keypoint_reader import survey
from pipelines.tracks.selection import Choice
from schemas.configs.search_space import short_names
from schemas.configs.tune import TuneConfig

# The tables in the terminal and in MLflow show this many trials; report.json and search.html have all of them.
TRIALS_SHOWN = 20


def log_search(record: runs.Run, config: TuneConfig, report: Mapping[str, Any]) -> None:
    """Show a search that has ended in its run."""
    log_figures(record, report)
    log_best(record, config, report)


def log_best(record: runs.Run, config: TuneConfig, report: Mapping[str, Any]) -> None:
    """Note the best lifter as a model of its trial's run and of the search's, with its scores."""
    if report["best"] is None:
        return
    trial = next(trial for trial in report["trials"] if trial["trial"] == report["best"]["trial"])
    address, epoch, subjects = (
        storage.join(config.output, "best.pt"),
        trial["best_epoch"],
        config.data.validation_subjects,
    )
    card, sha256 = read_card(address)
    validation = TrackSet("validation", config.labeled, survey(config.labeled, Choice(subjects)))
    metrics = {name: value for name, value in trial["measures"].items() if name not in config.costs}
    scores = Scores(by_path({"validation": metrics}), validation, epoch)
    for owner in (runs.Run(trial["run_id"], record.queue), record):
        owner.log_model(ModelFile.of(address, sha256, card), epoch, scores if owner is not record else None)
    record.describe(description(report, sha256))


def log_figures(record: runs.Run, report: Mapping[str, Any]) -> None:
    """Show the search in its run without a download: a table of its trials, their history, what matters."""
    trials, names = best_first(report["trials"]), short_names(report["search_space"])
    columns = {name: [str(trial["parameters"].get(path, "")) for trial in trials] for path, name in names.items()}
    known = {name: [trial[name] for trial in trials] for name in ("trial", "state", "error_mm", "best_epoch", "run_id")}
    record.log_table({**columns, **known}, "trials.json")
    keep_figures(lambda: search_figures(report, importances(report)), record)


def description(report: Mapping[str, Any], sha256: str) -> str:
    """The text at the top of a search's run in MLflow: the verdict, and the best trials with links to their runs."""
    names, trials = short_names(report["search_space"]), best_first(report["trials"])
    head = ["trial", "state", "mm", *names.values()]
    lines = [
        f"{report['verdict']}",
        "",
        f"The best is trial {report['best']['trial']}: [its model](model:{sha256}).",
        "",
    ]
    lines += [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for trial in trials[:TRIALS_SHOWN]:
        error = "" if trial["error_mm"] is None else f"{trial['error_mm']:.1f}"
        given = [value(trial["parameters"].get(path, "–")) for path in names]
        link = f"[{trial['trial']}](run:{trial['run_id']})"
        lines.append(f"| {' | '.join([link, trial['state'], error, *given])} |")
    return "\n".join(lines)


def value(given: Any) -> str:
    """A value with as many digits as matter."""
    return f"{given:.4g}" if isinstance(given, float) else str(given)

"""An evaluation in its MLflow run: the averages, which the model's page shows too, tables, and the report."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.mlflow_runs import datasets, runs
from pipelines.mlflow_runs.datasets import TrackSet
from pipelines.mlflow_runs.entries import by_path
from pipelines.mlflow_runs.logged_models import ModelFile, Scores

# MLflow's names for the averages of a report: over actions, over all frames, and over tracks without labels.
_GROUPS = {"average": "test", "overall": "all_frames", "unlabeled": "unlabeled"}
_BY_ACTION = ("mpjpe_mm", "p_mpjpe_mm", "n_mpjpe_mm", "mpjve_mm", "pck_150mm", "auc_150mm")
# The table in MLflow has at most this many tracks, because its page loads it whole; the report has all.
_MOST_TRACKS = 10_000


def log(record: runs.Run, report: Mapping[str, Any], model: ModelFile, track_set: TrackSet) -> None:
    """Log an evaluation: averages as `test/mpjpe_mm`, also of the model; actions, joints and tracks; the report.

    Args:
        record: The run.
        report: The content of `metrics.json`; that of an aligner has neither joints nor actions nor tracks.
        model: What was scored.
        track_set: What it was scored on.
    """
    given = {group: report[name] for name, group in _GROUPS.items() if report[name] is not None}
    record.log_scores(model, [Scores(by_path({group: mean["metrics"]}), track_set) for group, mean in given.items()])
    for group, mean in given.items():
        record.log_metrics({f"{group}_joints": {f"{joint}_mm": mm for joint, mm in mean["per_joint_mm"].items()}})
    # Actions are logged one by one, because MLflow takes at most 1,000 metrics at a time and few characters in names.
    actions = list(action_rows(report["tables"]))
    for label, mean in actions:
        record.log_metrics({"action": {re.sub(r"[^\w-]+", "_", label, flags=re.ASCII): mean["metrics"]}})
    by_action = {name: [mean["metrics"].get(name) for _, mean in actions] for name in _BY_ACTION}
    by_track = _tracks(report["tracks"][:_MOST_TRACKS])
    for table, name in (({"action": [label for label, _ in actions], **by_action}, "actions"), (by_track, "tracks")):
        _log_table(record, table, f"{name}.json", track_set)
    record.log_tags({"raylift.data": report["data"]["digest"], "raylift.model_sha256": model.sha256})
    record.log_json(report, "metrics.json")


def action_rows(tables: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The label and the mean of every action; the label begins with the subject where tables are by subject."""
    for table in tables:
        for action, mean in table["actions"].items():
            yield action if table["subject"] is None else f"{table['subject']} {action}", mean


def _tracks(tracks: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Columns of a table with a row per track: what it is, and its measures."""
    scores = [track["score"] for track in tracks]
    measures = sorted({name for score in scores for name in score["metrics"]})
    return {
        "track": [track["track_id"] for track in tracks],
        "camera": [track["camera"] for track in tracks],
        **{fact: [score[fact] for score in scores] for fact in ("subject", "action", "frames")},
        **{name: [score["metrics"].get(name) for score in scores] for name in measures},
    }


def _log_table(record: runs.Run, table: Mapping[str, Sequence[Any]], name: str, track_set: TrackSet) -> None:
    """Keep a table whose rows also name the set of tracks that they were measured on, as MLflow's search knows it."""
    rows, dataset = len(next(iter(table.values()))), datasets.entity(track_set)
    if rows:
        named = {"dataset": [dataset.name] * rows, "dataset_digest": [dataset.digest] * rows}
        record.log_table({**table, **named}, name)

"""The results of a search: its report, the best model, and the best training as a recipe."""

from collections import Counter
from typing import Any

import yaml

from pipelines.io import json_documents, storage
from pipelines.mlflow_runs import runs
from pipelines.search.space import trial_config
from pipelines.tune import trial_records
from pipelines.tune.search import Search
from pipelines.tune.trial_records import TrialRecord
from schemas import __version__

FORMAT = "raylift.search.report/1"
# Reasons for failed trials in the message of a search without a result.
MOST_REASONS = 3


def write_report(search: Search, data: str, run: runs.Run) -> dict[str, Any]:
    """Write best.pt, best.yaml and report.json, unless no trial is finished; returns the report.

    Args:
        search: The search, each of its trials ended.
        data: The digest of its tracks.
        run: Its MLflow run, which gets the same files.
    """
    search.note_run_ids()
    output, best = search.config.output, _best(search)
    report = {
        "format": FORMAT,
        "version": __version__,
        "output": output,
        "sampler": search.config.sampler,
        "scheduler": search.config.scheduler,
        "epochs": search.config.optimization.epochs,
        "search_space": {path: dimension.document() for path, dimension in search.space.items()},
        "best": best and {name: best.document()[name] for name in ("trial", "validation_mpjpe_mm", "best_epoch")},
        "trials": [search.records[number].document() for number in sorted(search.records)],
        "data": data,
    }
    # The process of a stopped trial may still write checkpoints for a while, so they are removed only now.
    for record in search.records.values():
        if record.state in ("finished", "stopped"):
            trial_records.remove_checkpoints(output, record.number)
    run.log_json(report, "report.json")
    run.log_tags({"raylift.data": data})
    if best is not None:
        _keep_best(search, best, run)
        # Written last: its presence marks a complete output.
        json_documents.write(storage.join(output, "report.json"), report)
    return report


def _keep_best(search: Search, best: TrialRecord, run: runs.Run) -> None:
    output = search.config.output
    files = {
        "best.pt": storage.read_bytes(storage.join(trial_records.trial_folder(output, best.number), "best.pt")),
        "best.yaml": _recipe(search, best).encode(),
    }
    for name, content in files.items():
        storage.write_bytes(storage.join(output, name), content)
        run.log_bytes(content, name)
    run.log_metrics({"best_validation_mpjpe_mm": best.best_mm})
    run.log_tags({"raylift.best_run": best.run_id})


def _best(search: Search) -> TrialRecord | None:
    finished = [record for record in search.records.values() if record.state == "finished"]
    return min(finished, key=lambda record: (record.best_mm, record.number), default=None)


def why_none(report: dict[str, Any]) -> str:
    """The message of a search of which no trial is finished: its reasons, the most frequent first."""
    failed = [trial["reason"] for trial in report["trials"] if trial["state"] == "failed"]
    reasons = Counter(failed).most_common()
    shown = "; ".join(f"{count} × {reason}" for reason, count in reasons[:MOST_REASONS])
    more = f"; and {len(reasons) - MOST_REASONS} other reasons" if len(reasons) > MOST_REASONS else ""
    return f"none of {len(report['trials'])} trials is finished, {len(failed)} failed: {shown}{more}"


def _recipe(search: Search, best: TrialRecord) -> str:
    """The best trial as a recipe of the train job, which uses the whole machine."""
    config = search.config
    trial = trial_config(config, best.parameters, trial_records.trial_folder(config.output, best.number))
    values = trial.model_dump(mode="json", exclude={"output"})
    values |= config.model_dump(mode="json", include={"labeled", "unlabeled"})
    values["resources"] = config.resources.model_dump(mode="json")
    assert best.best_mm is not None
    people = ", ".join(config.data.validation_subjects)
    lines = [
        f"# The best of {len(search.records)} trials of a hyperparameter search.",
        "#",
        f"#   python -m jobs.train {config.output}/best.yaml output={config.output}/best",
        "#",
        f"# Expected: {best.best_mm:.1f} mm MPJPE on the people held out ({people}),",
        f"# as trial {best.name} after epoch {best.best_epoch}; its model is {config.output}/best.pt.",
    ]
    if best.exploited:
        lines.append(
            "# Its values changed while it trained; these are the last ones, and may not reach it by themselves."
        )
    return "\n".join(lines) + "\n" + yaml.safe_dump(values, sort_keys=False, allow_unicode=True)

"""The MLflow runs of a search's trials, and what MLflow lacks of them after its server was away."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipelines.io import json_documents, storage
from pipelines.mlflow_runs.child_runs import ChildRun, begin_child, ended_children
from pipelines.mlflow_runs.runs import Run
from pipelines.search.trial_values import trial_config
from pipelines.tune import trial_records
from pipelines.tune.trial_records import TrialRecord
from schemas.configs.search_space import Space, short_names
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError

# The file in the output of a search that has ended while MLflow's server was away.
UNSENT = "unsent.json"


def begin_run(
    space: Space, parent: Run, record: TrialRecord, settings: Mapping[str, Any], wait: bool = True
) -> ChildRun:
    """Begin or continue the run of a trial.

    Args:
        space: What the search searches.
        parent: Its run.
        record: The trial.
        settings: All settings of its training, or the searched values if these contradict each other.
        wait: Wait some seconds for the id of the run.
    """
    parameters = record.parameters
    # Values are logged under short names too, by which MLflow's charts of parallel coordinates are selected.
    short = {name: parameters[path] for path, name in short_names(space).items() if path in parameters}
    tags = {"raylift.job": "train", "raylift.trial": record.name}
    return begin_child(parent, f"trial {record.name}", {**short, **settings}, tags, record.run_id or None, wait=wait)


def send_ended(config: TuneConfig, space: Space, parent: Run, records: Iterable[TrialRecord]) -> dict[int, ChildRun]:
    """Send what MLflow lacks of trials that have ended: its server was away, or the search was killed.

    Args:
        config: The search.
        space: What it searches.
        parent: Its run.
        records: Its trials.

    Returns:
        The runs of the trials that are sent, by number.
    """
    ended, sent = [record for record in records if record.ended], dict[int, ChildRun]()
    known = ended_children(parent) if ended else set[str]()
    for record in ended:
        # Where nobody knows what the server has, it is sent what it certainly lacks.
        if record.run_id and (known is None or record.run_id in known):
            continue
        run = sent[record.number] = begin_run(space, parent, record, _settings(config, record), wait=False)
        for epoch, score_mm in record.scores_mm.items():
            run.log_metrics({"validation": {config.error_metric: score_mm}}, step=epoch)
        tags = {"raylift.state": record.state, "raylift.reason": record.reason}
        run.log_tags({name: text for name, text in tags.items() if text})
        run.end("FAILED" if record.state == "failed" else "FINISHED")
    return sent


def _settings(config: TuneConfig, record: TrialRecord) -> Mapping[str, Any]:
    folder = trial_records.trial_folder(config.output, record.number)
    try:
        return trial_config(config, record.parameters, folder).model_dump(mode="json")
    except UserError:  # the values contradicted each other, so the trial failed
        return record.parameters


def is_sent(output: str) -> bool:
    """Whether MLflow has got all of a search that has ended, or nobody has noted that it lacks something."""
    return not storage.exists(storage.join(output, UNSENT))


def note_unsent(output: str, entries: int) -> None:
    """Note whether MLflow lacks something of a search that has ended, so that the same command sends it.

    Raises:
        RunFailed: The output cannot be written.
    """
    file = storage.join(output, UNSENT)
    if entries:
        json_documents.write(file, {"entries": entries})
    elif storage.exists(file):
        storage.remove(file)

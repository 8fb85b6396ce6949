"""Finds trainings in MLflow: those of an experiment, or of the search that a registered lifter comes from."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.mlflow_runs import tracking_server
from pipelines.mlflow_runs.lazy import mlflow
from pipelines.mlflow_runs.model_names import REGISTERED
from pipelines.mlflow_runs.model_uris import find_version
from schemas.errors import UserError

if TYPE_CHECKING:
    from mlflow.entities import Run

_EXPERIMENT = re.compile(r"experiments:/(?P<name>.+)")
# The tag of a registered version with the run of its training, and the tag of a trial's run with the run of its search.
_RUN_TAG, _PARENT_TAG = "raylift.run_id", "mlflow.parentRunId"
_PAGE = 500


@dataclass(frozen=True)
class LoggedTraining:
    """A finished training.

    Attributes:
        run_id: Its run.
        params: Its settings by dotted path, as texts.
        scores: The error on held-out people after each epoch, by epoch.
    """

    run_id: str
    params: Mapping[str, str]
    scores: Mapping[int, float]


def names_trainings(address: str) -> bool:
    """Whether an address stands for trainings that MLflow knows, not for an output."""
    return address.startswith(("models:", "experiments:"))


def find_trainings(address: str, data: str, metric: str, apart_from: str | None) -> list[LoggedTraining]:
    """The finished trainings over some tracks, oldest first.

    Args:
        address: `experiments:/name`: all of an experiment. `models:/name@alias` or `models:/name/3`: the trials of the
            search that this lifter comes from, or its training alone if that was no trial.
        data: Digest of the tracks.
        metric: Name of the error on held-out people.
        apart_from: Run of a search whose trials are left out; None: no search's.

    Raises:
        UserError: There is no such experiment or model, or the address is neither.
        RunFailed: The server cannot be used.
    """
    tracking_server.connect(registry=True)
    try:
        runs = [run for run in _runs(address, data) if run.data.tags.get(_PARENT_TAG) != (apart_from or "")]
        return [_training(run, metric) for run in sorted(runs, key=lambda run: run.info.start_time)]
    except mlflow.MlflowException as error:
        raise tracking_server.to_run_failed(error) from error


def _runs(address: str, data: str) -> "Iterator[Run]":
    client, filters = mlflow.MlflowClient(), ["tags.`raylift.job` = 'train'", f"tags.`raylift.data` = '{data}'"]
    if match := _EXPERIMENT.fullmatch(address):
        experiment = client.get_experiment_by_name(match["name"])
        if experiment is None:
            names = ", ".join(other.name for other in client.search_experiments(max_results=10))
            raise UserError(f"{address}: there is no such experiment; experiments: {names}")
        place = experiment.experiment_id
    elif match := REGISTERED.fullmatch(address):
        version = find_version(match["name"], alias=match["alias"], version=match["version"])
        if _RUN_TAG not in version.tags:
            raise UserError(f"{address}: its training is not known; give the output of a search")
        try:
            run = client.get_run(version.tags[_RUN_TAG])
        except mlflow.MlflowException as error:
            if tracking_server.is_missing(error):
                raise UserError(f"{address}: its training was deleted; give the output of a search") from error
            raise
        parent = run.data.tags.get(_PARENT_TAG)
        if parent is None:
            yield from [run] if run.data.tags.get("raylift.data") == data else []
            return
        place = run.info.experiment_id
        filters.append(f"tags.`{_PARENT_TAG}` = '{parent}'")
    else:
        raise UserError(f"{address}: is not models:/name@alias, models:/name/version or experiments:/name")
    token = None
    while True:
        page = client.search_runs([place], " and ".join(filters), max_results=_PAGE, page_token=token)
        yield from (run for run in page if run.info.status == "FINISHED")
        token = page.token
        if not token:
            return


def _training(run: "Run", metric: str) -> LoggedTraining:
    # Version 0.1.0 joined the parts of names with dots.
    name = next((n for n in (f"validation/{metric}", f"validation.{metric}") if n in run.data.metrics), None)
    history = [] if name is None else mlflow.MlflowClient().get_metric_history(run.info.run_id, name)
    return LoggedTraining(run.info.run_id, run.data.params, {entry.step: entry.value for entry in history})

"""The runs and registered models that MLflow holds, as far as they tell what was made from what."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.io import json_documents
from pipelines.mlflow_runs import experiments, tracking_server
from pipelines.mlflow_runs.datasets import TRACKS_SOURCE
from pipelines.mlflow_runs.entries import addresses_in
from pipelines.mlflow_runs.lazy import mlflow
from pipelines.mlflow_runs.logged_models import is_too_old
from pipelines.mlflow_runs.model_names import PARENT_TAG, SHA256_TAG
from schemas.errors import UserError

if TYPE_CHECKING:
    from mlflow.entities import Run

_PAGE = 1000
# The address of a database in a file begins like this.
_FILE = "sqlite:///"


@dataclass(frozen=True)
class Reading:
    """Tracks that a run has read.

    Attributes:
        context: What for, such as "training".
        addresses: Files or folders.
        digest: Identifies the files that were read.
    """

    context: str
    addresses: tuple[str, ...]
    digest: str


@dataclass(frozen=True)
class JobRun:
    """One run of a job.

    Attributes:
        run_id: MLflow's id.
        name: MLflow's name, such as "train lifter".
        job: The job, such as "train".
        params: The config by dotted path, as texts.
        tags: MLflow's tags.
        metrics: The last value of each metric.
        readings: The tracks that it has read.
    """

    run_id: str
    name: str
    job: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    readings: tuple[Reading, ...] = ()

    def addresses(self, param: str) -> list[str]:
        """The addresses in a field of the config; none if it was not given."""
        return addresses_in(self.params.get(param))

    @property
    def output(self) -> str:
        """The folder that it wrote to; empty if it has none."""
        return next(iter(self.addresses("output")), "").rstrip("/")


@dataclass(frozen=True)
class Version:
    """A registered version of a lifter.

    Attributes:
        address: Such as "models:/lifter/3".
        aliases: Such as "champion".
        sha256: Hash of the lifter's file.
        run_id: Of its training; None if unknown.
        parent_sha256: Of the lifter that the training began with; None if it began anew.
    """

    address: str
    aliases: tuple[str, ...]
    sha256: str
    run_id: str | None
    parent_sha256: str | None


@dataclass(frozen=True)
class TrainedModel:
    """A model that a run has trained.

    Attributes:
        sha256: Hash of its file.
        run_id: The run.
        file: Where the run wrote the file, which may lie elsewhere by now.
    """

    sha256: str
    run_id: str
    file: str


@dataclass(frozen=True)
class History:
    """All runs of an experiment, the newest first, all registered lifters, and all models that runs have trained."""

    runs: tuple[JobRun, ...]
    versions: tuple[Version, ...]
    trained: tuple[TrainedModel, ...] = ()


def read_history() -> History:
    """Read what MLflow holds: two or three requests for each thousand runs.

    Raises:
        UserError: There is no experiment yet.
        RunFailed: The server cannot be used.
    """
    place = mlflow.get_tracking_uri()
    nothing = UserError(
        f"MLFLOW_TRACKING_URI: {place} has no experiment {experiments.name()!r}; give the command in the folder of the "
        "other jobs, or set the variable to where their runs are"
    )
    if place.startswith(_FILE) and not Path(place.removeprefix(_FILE)).exists():
        raise nothing  # otherwise MLflow would make an empty database
    tracking_server.connect(registry=True)
    try:
        experiment = mlflow.get_experiment_by_name(experiments.name())
        if experiment is None:
            raise nothing
        place = experiment.experiment_id
        return History(tuple(_runs(place)), tuple(_versions()), tuple(_trained(place)))
    except mlflow.MlflowException as error:
        raise tracking_server.to_run_failed(error) from error


def _runs(experiment_id: str) -> Iterator[JobRun]:
    client, token = mlflow.MlflowClient(), None
    while True:
        page = client.search_runs(
            [experiment_id], max_results=_PAGE, page_token=token, order_by=["attributes.start_time DESC"]
        )
        yield from (_job_run(run) for run in page if "raylift.job" in run.data.tags)
        token = page.token
        if not token:
            return


def _job_run(run: "Run") -> JobRun:
    inputs = run.inputs.dataset_inputs if run.inputs else []
    return JobRun(
        run_id=run.info.run_id,
        name=run.info.run_name or run.info.run_id,
        job=run.data.tags["raylift.job"],
        params=run.data.params,
        tags=run.data.tags,
        metrics=run.data.metrics,
        readings=tuple(_reading(each) for each in inputs if each.dataset.source_type == TRACKS_SOURCE),
    )


def _reading(given: Any) -> Reading:
    context = next((tag.value for tag in given.tags if tag.key == "mlflow.data.context"), "")
    try:
        addresses = tuple(str(uri) for uri in json_documents.parse(given.dataset.source)["uri"])
    except (ValueError, KeyError, TypeError):  # the value was cut by MLflow, or is of another tool
        addresses = ()
    return Reading(context, addresses, given.dataset.digest)


def _trained(experiment_id: str) -> Iterator[TrainedModel]:
    """The models that runs have trained; none where the server knows no logged models."""
    client, token = mlflow.MlflowClient(), None
    while True:
        try:
            page = client.search_logged_models([experiment_id], page_token=token)
        except mlflow.MlflowException as error:
            if is_too_old(error):
                return
            raise
        for model in page:
            if model.source_run_id and SHA256_TAG in model.tags:
                yield TrainedModel(model.tags[SHA256_TAG], model.source_run_id, model.tags.get("raylift.file", ""))
        token = page.token
        if not token:
            return


def _versions() -> Iterator[Version]:
    client, token = mlflow.MlflowClient(), None
    aliases: dict[tuple[str, str], list[str]] = {}
    for model in client.search_registered_models(max_results=_PAGE):
        for alias, number in model.aliases.items():
            aliases.setdefault((model.name, str(number)), []).append(alias)
    while True:
        page = client.search_model_versions(max_results=_PAGE, page_token=token)
        for version in page:
            if SHA256_TAG in version.tags:
                yield Version(
                    address=f"models:/{version.name}/{version.version}",
                    aliases=tuple(aliases.get((version.name, str(version.version)), ())),
                    sha256=version.tags[SHA256_TAG],
                    run_id=version.tags.get("raylift.run_id"),
                    parent_sha256=version.tags.get(PARENT_TAG) or _earlier_parent(version.tags),
                )
        token = page.token
        if not token:
            return


def _earlier_parent(tags: Mapping[str, str]) -> str | None:
    """The parent of a version that was registered when one tag had its whole lineage, as JSON."""
    try:
        return (json_documents.parse(tags.get("raylift.lineage", "{}")).get("training") or {}).get("parent_sha256")
    except (ValueError, AttributeError):
        return None

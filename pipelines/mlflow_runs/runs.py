"""Every job is an MLflow run: flat config, metrics, the digest of its output, artifacts.

The secrets in addresses are replaced, because more people may see a run than may open its videos.

The store is the one that `MLFLOW_TRACKING_URI` names, else MLflow's own default, `sqlite:///mlflow.db`. A run is named
by `run_name` or `MLFLOW_RUN_NAME`, else by its job and the folder of its output.
"""

import json
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pipelines.io.secrets import redact
from pipelines.mlflow_runs import datasets, descriptions, experiments, logged_models, names, tracking_server
from pipelines.mlflow_runs.entries import by_path, exists, flat_params, last_logged_epoch
from pipelines.mlflow_runs.environment import environment, recipe, uncommitted
from pipelines.mlflow_runs.last_lines import LastLines
from pipelines.mlflow_runs.late_start import begin_later
from pipelines.mlflow_runs.lazy import mlflow
from pipelines.mlflow_runs.logged_models import ModelFile, Scores
from pipelines.mlflow_runs.retry_queue import RetryQueue
from pipelines.mlflow_runs.system_metrics import MachineSampler, SystemMetrics
from pipelines.ray_cluster.machines import OtherMachines
from schemas.run_config import RunConfig

Status = Literal["FINISHED", "FAILED", "KILLED"]

_log = logging.getLogger(__name__)


class Run:
    """A run in progress; it takes entries from any thread and never waits for the server.

    Args:
        run_id: MLflow's id of the run; empty as long as the server has not given it one.
        queue: Entries that are not sent yet; a child run shares the queue of its parent.
        experiment_id: The experiment that it is in; empty if nobody has asked for it.

    Attributes:
        logged_step: The last step that an earlier part of the run has logged.
        began_at: When it began, s since 1970.
    """

    def __init__(self, run_id: str = "", queue: RetryQueue | None = None, experiment_id: str = "") -> None:
        self.run_id, self.experiment_id = run_id, experiment_id
        self.queue = queue or RetryQueue()
        self.logged_step = 0
        self.began_at = time.time()

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log every number of nested metrics under its path, unless an earlier part of the run has done so.

        The parts of a path are joined by slashes, by which MLflow's page groups its charts.
        """
        numbers, now = by_path(metrics), int(1000 * time.time())

        def log(run_id: str) -> None:
            if step is None or step > self.logged_step:
                logged_models.log_batch(run_id, numbers, step or 0, now)

        self.send(log)

    def log_system(self, metrics: dict[str, float], seconds: int) -> None:
        """Log how busy machines are; `seconds` is the time since the run began."""
        now = int(1000 * time.time())
        self.send(lambda run_id: logged_models.log_batch(run_id, metrics, seconds, now))

    def log_model(self, model: ModelFile, step: int, scores: Scores | None = None) -> None:
        """Note a lifter that the run has trained, as a model of MLflow's, with its scores on the people held out."""
        self.send(lambda run_id: logged_models.note_made(run_id, model, step, scores))

    def log_scores(self, model: ModelFile, scores: Sequence[Scores]) -> None:
        """Log what a lifter scored, so that the page of its model shows it too."""
        self.send(lambda run_id: logged_models.note_scored(run_id, model, scores))

    def log_used(self, sha256: str) -> None:
        """Note a lifter or aligner that the run uses, by the hash of its file, if the experiment has a model of it."""
        self.send(lambda run_id: logged_models.note_used(run_id, sha256))

    def last_epoch(self) -> int:
        """The last epoch that an earlier part of the run has logged; 0 if there is none, or it is not known yet.

        Raises:
            RunFailed: The server does not answer.
        """
        try:
            return last_logged_epoch(self.run_id) if self.run_id else 0
        except mlflow.MlflowException as error:
            raise tracking_server.to_run_failed(error) from error

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Log texts, such as the digest of the output."""
        for name, value in tags.items():
            self.send(partial(_set_tag, name, redact(value)))

    def describe(self, text: str) -> None:
        """Set the description at the top of the run's page in MLflow.

        Args:
            text: Markdown; links to runs and models are written as `descriptions` says.
        """
        shown = redact(text)
        self.send(lambda run_id: _set_tag(names.DESCRIPTION_TAG, descriptions.with_addresses(shown, run_id), run_id))

    def log_read(self, *reads: datasets.ReadSet) -> None:
        """Note what the run reads, as datasets of MLflow's; sets that hold nothing are left out."""
        if nonempty_sets := [read for read in reads if read]:
            self.send(lambda run_id: datasets.log(run_id, nonempty_sets))

    def log_json(self, value: Mapping[str, Any], name: str) -> None:
        """Keep a document as an artifact."""
        self._log_text(_as_json(value), name)

    def log_report(self, report: Mapping[str, Any], given: Sequence[str] = ()) -> None:
        """Log the report of a job whose output has a digest: its numbers, the digest, and all of it as an artifact.

        Args:
            report: The report.
            given: Its numbers that nobody has measured.
        """
        numbers = {name: value for name, value in report.items() if isinstance(value, int | float)}
        self.log_metrics({name: value for name, value in numbers.items() if name not in given})
        self.log_tags({"raylift.digest": report["digest"]})
        self.log_json(report, "report.json")

    def log_table(self, columns: Mapping[str, Sequence[Any]], name: str) -> None:
        """Keep a table, which MLflow's page compares between runs row by row; `name` ends in .json."""
        data = {column: list(values) for column, values in columns.items()}
        self.send(lambda run_id: mlflow.log_table(data, name, run_id=run_id))

    def log_page(self, html: str, name: str) -> None:
        """Keep an HTML page as an artifact, which MLflow's web interface shows."""
        self._log_text(html, name)

    def log_surroundings(self, recipe_text: str) -> None:
        """Keep what it takes to repeat the run; the sending thread asks git and the packages."""
        self._log_text(recipe_text, "recipe.yaml")
        self.send(lambda run_id: mlflow.log_text(redact(_as_json(environment())), "environment.json", run_id=run_id))
        self.send(lambda run_id: (text := uncommitted()) and mlflow.log_text(redact(text), "uncommitted.diff", run_id))

    def end(self, status: Status) -> None:
        """Record how the run ended."""
        now = int(1000 * time.time())
        self.send(lambda run_id: mlflow.MlflowClient().set_terminated(run_id, status, now))

    def log_bytes(self, content: bytes, name: str, folder: str | None = None) -> None:
        """Keep the content of a file as an artifact; its name may have folders, which lie in `folder` if given."""
        within, _, base = name.rpartition("/")
        place = "/".join(filter(None, (folder, within))) or None

        def upload(run_id: str) -> None:
            with tempfile.TemporaryDirectory() as local:
                Path(local, base).write_bytes(content)
                mlflow.log_artifact(str(Path(local, base)), place, run_id=run_id)

        self.send(upload)

    def log_file(self, path: str, folder: str | None = None) -> None:
        """Keep a file of this machine as an artifact, in a folder of the run if one is named."""
        self.send(lambda run_id: mlflow.log_artifact(path, folder, run_id=run_id))

    def _log_text(self, text: str, name: str) -> None:
        shown = redact(text)
        self.send(lambda run_id: mlflow.log_text(shown, name, run_id=run_id))

    def send(self, entry: Callable[[str], object]) -> None:
        """Send an entry with the id that the run has by then; without one MLflow would log to another run."""
        self.queue.send(lambda: entry(self.run_id) if self.run_id else None)


@contextmanager
def record(job: str, config: RunConfig, run_id: str | None = None, parent: str | None = None) -> Iterator[Run]:
    """Record a job as an MLflow run; an exception within the block marks the run as failed.

    A job that runs within another one's block is part of it. If nobody answers at the server's address, that is logged,
    and the job is recorded once the server is there.

    Args:
        job: Its name.
        config: Becomes the run's parameters.
        run_id: A run of the same config to continue; a new one begins if the store has none of this id.
        parent: The run that this one is part of.

    Raises:
        RunFailed: The tracking store refuses, or its files cannot be written.
    """
    within, lines = mlflow.active_run(), LastLines()
    try:
        tracking_server.connect()
        recorded = _begin(job, config, run_id, parent, within is not None)
    except tracking_server.ServerAway as away:
        _log.warning("%s; the job goes on without it, and sends what it has recorded once it is there", away)
        parent = parent or (within and within.info.run_id)
        recorded, name = Run(queue=RetryQueue(away=True)), names.of_run(job, config, within is not None)
        begin_later(recorded, name, {"raylift.job": job}, flat_params(config.model_dump(mode="json")), run_id, parent)
    recorded.log_surroundings(recipe(job, config))
    status: Status = "FAILED"
    machines = SystemMetrics(recorded.log_system, OtherMachines(MachineSampler).samples, recorded.began_at)
    try:
        with lines:
            yield recorded
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    except Exception as error:
        recorded.log_tags({names.DESCRIPTION_TAG: f"Failed: {error or type(error).__name__}"})
        recorded.log_page(lines.text(error), "last_lines.txt")
        raise
    finally:
        machines.end()
        recorded.end(status)
        recorded.queue.close()
        # MLflow keeps an active run in this process, which ends here too.
        with suppress(*tracking_server.failures()), tracking_server.impatient():
            mlflow.end_run(status)


def _begin(job: str, config: RunConfig, run_id: str | None, parent: str | None, within: bool) -> Run:
    """Begin or continue a run, in which this process then is."""
    try:
        experiments.require_active()
        experiments.use()
        if run_id and exists(run_id):
            run = mlflow.start_run(run_id, nested=within, log_system_metrics=False)
            if config.run_name:
                mlflow.MlflowClient().update_run(run_id, name=redact(config.run_name))
        else:
            name, tags = names.of_run(job, config, within), {"raylift.job": job}
            run = mlflow.start_run(
                run_name=name, tags=tags, parent_run_id=parent, nested=within, log_system_metrics=False
            )
            mlflow.log_params(flat_params(config.model_dump(mode="json")))
    except mlflow.MlflowException as error:
        raise tracking_server.to_run_failed(error) from error
    recorded = Run(run.info.run_id, experiment_id=run.info.experiment_id)
    recorded.began_at = run.info.start_time / 1000 or recorded.began_at
    return recorded


def _set_tag(name: str, value: str, run_id: str) -> None:
    mlflow.MlflowClient().set_tag(run_id, name, value)


def _as_json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), indent=2, ensure_ascii=False, default=str)

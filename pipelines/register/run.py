"""The register job: prepare (find the lifter, check the tracks), survey (what the registry holds), execute.

`execute` makes the lifter a version of a registered model, unless it is one already. With `promote` it then compares
this version with the one that has the alias, and moves the alias if this version scores no worse (see `gate`).
"""

from dataclasses import asdict, dataclass
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

from pipelines.evaluate.plan import choose_device
from pipelines.mlflow_runs import runs, tracking_server
from pipelines.mlflow_runs.model_names import SHA256_TAG
from pipelines.register import gate, version
from pipelines.register.description import PICTURE, describe
from pipelines.register.gate import Listener, Outcome
from pipelines.register.kinds import Contender
from pipelines.register.lineage import lineage_of, require_known_data
from pipelines.register.source import Source, find_source
from schemas import __version__
from schemas.configs.register import RegisterConfig
from schemas.errors import UserError

FORMAT = "raylift.registration/1"


@dataclass(frozen=True)
class RegisterJob:
    """A registration whose config, lifter and tracks have been checked.

    Attributes:
        config: The config.
        source: The lifter or aligner.
        lineage: Its origin, as `lineage_of` gives it.
    """

    config: RegisterConfig
    source: Source
    lineage: dict[str, Any]


@dataclass(frozen=True)
class RegisterWork:
    """What the registry holds.

    Attributes:
        version: Number of the version that is this very lifter; None if there is none yet.
        holder: The version that has the alias to be given, as `models:/name/2`; None if there is none, or `promote` is
            not given.
    """

    version: int | None
    holder: str | None


def prepare(config: RegisterConfig) -> RegisterJob:
    """Find the lifter and check the tracks to compare on; nothing is registered.

    Raises:
        UserError: A field is wrong, there is no such lifter, it does not fit the tracks, or those of its training are
            gone.
        RunFailed: The tracking server cannot be used.
    """
    _check_fields(config)
    choose_device(config.device)
    source = find_source(config)
    if "metric" not in config.model_fields_set:
        config = config.model_copy(update={"metric": source.kind.metric})
    if config.data is not None:
        source.kind.check_tracks(config, source.card)
    try:
        lineage = lineage_of(source)
    except MlflowException as error:
        raise tracking_server.to_run_failed(error) from error
    if config.promote is not None and not (config.force or config.unknown_data):
        require_known_data(source.fetched.name, lineage)
    return RegisterJob(config, source, lineage)


def survey(job: RegisterJob) -> RegisterWork:
    """Find out what the registry holds.

    Raises:
        RunFailed: The tracking server cannot be used.
    """
    config = job.config
    try:
        number = version.find(config, job.source.fetched.sha256)
        holder = None if config.promote is None else version.with_alias(config.name, config.promote)
    except MlflowException as error:
        raise tracking_server.to_run_failed(error) from error
    return RegisterWork(number, holder)


def execute(job: RegisterJob, work: RegisterWork, listener: Listener, record: runs.Run) -> dict[str, Any]:
    """Register the lifter and promote it if the gate permits; returns the report, also an artifact of the MLflow run.

    Args:
        job: The registration.
        work: What the registry holds.
        listener: Follows the progress.
        record: The job's MLflow run.

    Raises:
        UserError: The lifter cannot be registered, or it or the present holder of the alias cannot be scored.
        RunFailed: The tracking server cannot be used.
    """
    config = job.config
    try:
        report = _register(job, work, listener)
        record.log_tags({"raylift.model": report["model"], SHA256_TAG: report["sha256"]})
        if config.promote is not None:
            contender = Contender(report["model"], report["sha256"], job.source.model, job.source.card)
            outcome = _promote(job, report["version"], contender, work.holder, listener, record)
            report["gate"] = asdict(outcome)
            if outcome.verdict != "kept":
                shown = _show(job, record)
                described = describe(job.source, report["lineage"], outcome, shown)
                mlflow.MlflowClient().update_model_version(config.name, str(report["version"]), described)
        record.log_json(report, "registration.json")
    except MlflowException as error:
        raise tracking_server.to_run_failed(error) from error
    return report


def _register(job: RegisterJob, work: RegisterWork, listener: Listener) -> dict[str, Any]:
    """Make the lifter a version unless it is one, and give it its alias; returns the report without the gate."""
    config, source, lineage, number = job.config, job.source, job.lineage, work.version
    if number is None:
        listener.say(f"exporting and uploading {source.fetched.name}")
        number = version.make(config.name, source, lineage)
    alias = config.alias if config.version is None else None
    if alias is not None:
        mlflow.MlflowClient().set_registered_model_alias(config.name, alias, str(number))
    return {
        "format": FORMAT,
        "package_version": __version__,
        "model": f"models:/{config.name}/{number}",
        "name": config.name,
        "version": number,
        "new": work.version is None,
        "alias": alias,
        "kind": source.kind.what,
        "source": source.fetched.name,
        "sha256": source.fetched.sha256,
        "card": source.card.model_dump(mode="json"),
        "training": source.training,
        "lineage": lineage,
        "gate": None,
    }


def _show(job: RegisterJob, record: runs.Run) -> str | None:
    """Keep a picture of poses in the run, if there are tracks to compare on; returns the run's id."""
    config, source = job.config, job.source
    shown = None if config.data is None else source.kind.picture(config, source.model, source.card)
    if shown is None:
        return None
    record.log_bytes(shown, PICTURE)
    return record.run_id


def _promote(
    job: RegisterJob,
    number: int,
    contender: Contender,
    holder: str | None,
    listener: Listener,
    record: runs.Run,
) -> Outcome:
    """Move the alias to the version unless the gate refuses it.

    The version's tags say the verdict, and which run's `registration.json` says why.
    """
    config = job.config
    assert config.promote is not None
    if holder == contender.name:
        return Outcome(config.promote, "kept", config.metric)
    client, outcome = mlflow.MlflowClient(), gate.judge(job.source.kind, config, contender, holder, listener, record)
    tags = {f"raylift.gate.{config.promote}": outcome.verdict, "raylift.gate.run_id": record.run_id}
    if outcome.data is not None:
        tags["raylift.gate.data"] = outcome.data["digest"]
    # The tags are set first, so that a job that is killed in between never leaves an alias without its reason.
    for tag, text in tags.items():
        client.set_model_version_tag(config.name, str(number), tag, text)
    record.log_tags(tags)
    if outcome.verdict != "refused":
        client.set_registered_model_alias(config.name, config.promote, str(number))
    return outcome


def _check_fields(config: RegisterConfig) -> None:
    """Check that the fields fit each other.

    Raises:
        UserError: They do not fit; the message has a line for each mistake.
    """
    given = [name for name in ("model", "run", "version") if getattr(config, name) is not None]
    wrong = []
    if len(given) != 1:
        wrong.append(f"model: give one of model, run and version, found {' and '.join(given) or 'none'}")
    if config.promote is None:
        unused = [name for name in ("data", "subjects", "actions", "cameras") if getattr(config, name) is not None]
        unused += [name for name in ("require", "sets", "unknown_data", "force") if getattr(config, name)]
        wrong += [f"{name}: says how to promote; give promote=champion, or leave it out" for name in unused]
        if config.version is not None:
            wrong.append("version: is registered already; give promote=champion to promote it")
    elif config.data is None and not config.force:
        wrong.append(
            f"data: is required with promote={config.promote}; give the tracks to compare on, or force=true to "
            "promote without comparing"
        )
    elif config.data is None and (config.require or config.sets):
        wrong.append("data: is required with require and sets; give the tracks to compare on")
    elif unknown := [of for _, of in config.requirements() if of and of not in config.sets]:
        wrong.append(
            f"require: names {unknown[0]}, which is not among {', '.join(['test (data)', *config.sets])}; give "
            f"sets={{{unknown[0]}: TRACKS}}"
        )
    elif config.promote == config.alias:
        wrong.append(f"alias={config.alias}: is what promote gives; leave it out, or alias=null")
    if wrong:
        raise UserError("\n".join(wrong))

"""Registering from start to end: find the lifter, make it a version once, name it, let it past the gate or not."""

import json
from dataclasses import asdict
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

from pipelines.evaluate.plan import choose_device
from pipelines.mlflow_runs import runs, tracking_server
from pipelines.mlflow_runs.model_uris import SHA256_TAG
from pipelines.register import gate, version
from pipelines.register.gate import Contender, Listener, Outcome
from pipelines.register.lineage import lineage_of
from pipelines.register.source import Source, find_source
from schemas import __version__
from schemas.configs.register import RegisterConfig
from schemas.errors import UserError

FORMAT = "raylift.registration/1"


def check(config: RegisterConfig) -> None:
    """Hold fields against each other.

    Raises:
        UserError: Every mistake, a line each.
    """
    given = [name for name in ("model", "run", "version") if getattr(config, name) is not None]
    wrong = []
    if len(given) != 1:
        wrong.append(f"model: give one of model, run and version, found {' and '.join(given) or 'none'}")
    if config.promote is None:
        unused = [name for name in ("data", "subjects", "actions", "cameras") if getattr(config, name) is not None]
        unused += ["force"] * config.force
        wrong += [f"{name}: says how to promote; give promote=champion, or leave it out" for name in unused]
        if config.version is not None:
            wrong.append("version: is registered already; give promote=champion to promote it")
    elif config.data is None and not config.force:
        wrong.append(
            f"data: is required with promote={config.promote}; give the tracks to compare on, or force=true to "
            "promote without comparing"
        )
    elif config.promote == config.alias:
        wrong.append(f"alias={config.alias}: is what promote gives; leave it out, or alias=null")
    if wrong:
        raise UserError("\n".join(wrong))


def register(config: RegisterConfig, listener: Listener) -> dict[str, Any]:
    """Do the job; the report, also an artifact of its MLflow run.

    Raises:
        UserError: A field is wrong, the lifter cannot be registered, or it does not go with the tracks.
        RunFailed: The tracking server cannot be used.
    """
    check(config)
    choose_device(config.device)
    source = find_source(config)
    if config.data is not None:
        gate.check_tracks(config, source.card)
    with runs.record("register", config) as record:
        try:
            report = _register(config, source, listener)
            record.log_tags({"raylift.model": report["model"], SHA256_TAG: report["sha256"]})
            if config.promote is not None:
                contender = Contender(report["model"], source.model, source.card)
                report["gate"] = asdict(_promote(config, report["version"], contender, listener, record))
            record.log_json(report, "registration.json")
        except MlflowException as error:
            raise tracking_server.to_run_failed(error) from error
    return report


def _register(config: RegisterConfig, source: Source, listener: Listener) -> dict[str, Any]:
    lineage, number = lineage_of(source), version.find(config, source.fetched.sha256)
    is_new = number is None
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
        "new": is_new,
        "alias": alias,
        "source": source.fetched.name,
        "sha256": source.fetched.sha256,
        "card": source.card.model_dump(mode="json"),
        "training": source.training,
        "lineage": lineage,
        "gate": None,
    }


def _promote(
    config: RegisterConfig, number: int, contender: Contender, listener: Listener, record: runs.Run
) -> Outcome:
    """Move the alias unless the gate refuses; what it found is kept on the version too."""
    assert config.promote is not None
    client, holder = mlflow.MlflowClient(), gate.holder_of(config.name, config.promote)
    if holder == contender.name:
        return Outcome(config.promote, "kept", config.metric)
    outcome = gate.judge(config, contender, holder, listener, record)
    tags = {f"raylift.gate.{config.promote}": outcome.verdict, "raylift.gate": json.dumps(asdict(outcome))}
    if outcome.data is not None:
        tags["raylift.gate.data"] = outcome.data["digest"]
    # Told before it is done: an alias without its reason is worse than a reason without its alias.
    for tag, text in tags.items():
        client.set_model_version_tag(config.name, str(number), tag, text)
    record.log_tags(tags)
    if outcome.verdict != "refused":
        client.set_registered_model_alias(config.name, config.promote, str(number))
    return outcome

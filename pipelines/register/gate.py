"""Decides whether a version gets an alias: it and the version that has the alias now are scored on the same tracks."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from pipelines.evaluate import records
from pipelines.evaluate.report import notes_of_training
from pipelines.mlflow_runs import model_uris, runs
from pipelines.mlflow_runs.child_runs import child
from pipelines.mlflow_runs.datasets import TrackSet
from pipelines.register import requirements
from pipelines.register.kinds import Contender, Kind, Watch
from pipelines.register.requirements import Requirement
from schemas.configs.register import RegisterConfig
from schemas.errors import UserError

HIGHER_IS_BETTER = ("pck_150mm", "auc_150mm", "kendalls_tau")


@dataclass(frozen=True)
class Listener:
    """Follows the progress.

    Attributes:
        say: Called with a line of text when a step begins.
        watch: Returns a context manager whose function passes tracks on and shows how many were read.
    """

    say: Callable[[str], None]
    watch: Watch


@dataclass(frozen=True)
class Outcome:
    """The result of the comparison.

    Attributes:
        alias: The alias that was asked for.
        verdict: passed: the version is no worse. refused: it is worse, or does not meet a condition. forced: the same,
            or it was not compared, and it gets the alias because of `force`. kept: it had the alias already.
        metric: The metric that was compared.
        value: The version's value; None if it was not scored.
        holder: The version that had the alias, as `models:/name/2`; None if there was none.
        holder_value: The holder's value; None if there was none or it could not be scored.
        data: The tracks, as in `metrics.json`, with the digests of their files and of MLflow's dataset; None if none
            were given.
        note: A remark for the user; None if there is none.
        requirements: The conditions of `require`, measured.
    """

    alias: str
    verdict: Literal["passed", "refused", "forced", "kept"]
    metric: str
    value: float | None = None
    holder: str | None = None
    holder_value: float | None = None
    data: dict[str, Any] | None = None
    note: str | None = None
    requirements: tuple[Requirement, ...] = ()


def judge(
    kind: Kind, config: RegisterConfig, contender: Contender, holder: str | None, listener: Listener, record: runs.Run
) -> Outcome:
    """Compare a version with the holder of the alias.

    Args:
        kind: What they are.
        config: The config, with `promote`.
        contender: The version.
        holder: The version that has the alias, as `models:/name/2`; None: there is none.
        listener: Follows the progress.
        record: The MLflow run, in which the metrics of both are logged.

    Raises:
        UserError: The tracks do not fit one of them, or the metric is not measured on them.
        RunFailed: The holder cannot be downloaded.
    """
    assert config.promote is not None
    outcome = Outcome(config.promote, "passed", config.metric, holder=holder)
    if config.data is None:
        return replace(outcome, verdict="forced", note="not compared: no tracks were given")
    other, note = _other(kind, config, holder)
    listener.say(f"scoring {contender.name}")
    file = kind.file(contender.name, contender.sha256, contender.card)
    record.log_scores(file, [])  # the run is the candidate's; what scored what stands in the parts
    reports = {
        name: _score(kind, config, contender, listener, record, "candidate", name) for name in ("", *config.sets)
    }
    report = reports[""]
    outcome = replace(outcome, value=_value(report, config.metric), data=report["data"])
    trained = notes_of_training(contender.card.subjects, kind.check_tracks(config, contender.card), kind.what)
    outcome = replace(outcome, note="; ".join([*([note] if note else []), *trained]) or None)
    values = {name: _metrics(report) for name, report in reports.items()}
    digests = {name: report["data"]["dataset_digest"] for name, report in reports.items()}
    outcome = replace(outcome, requirements=requirements.measured(config, values, digests))
    if requirements.unmet(outcome.requirements):
        outcome = replace(outcome, verdict="forced" if config.force else "refused")
    if holder is None:
        return outcome
    if other is None:
        return replace(outcome, verdict="forced")
    listener.say(f"scoring {other.name}, the present {config.promote}")
    # An alias may be called "candidate" too.
    role = f"present {config.promote}" if config.promote.startswith("candidate") else config.promote
    others = _score(kind, config, other, listener, record, role)
    if differing := _other_tracks(contender, report, other, others):
        if not config.force:
            raise UserError(f"{differing}; force=true promotes without comparing")
        return replace(outcome, verdict="forced", note="; ".join(filter(None, (outcome.note, differing))))
    value = _value(others, config.metric)
    assert outcome.value is not None
    worse = is_worse(config.metric, outcome.value, value)
    verdict = outcome.verdict if not worse else "forced" if config.force else "refused"
    return replace(outcome, holder_value=value, verdict=verdict)


def is_worse(metric: str, value: float, than: float) -> bool:
    """Whether a value of a metric is worse than another; NaN always is."""
    return not (value >= than if metric in HIGHER_IS_BETTER else value <= than)


def _other(kind: Kind, config: RegisterConfig, holder: str | None) -> tuple[Contender | None, str | None]:
    """Load the holder; returns None and the reason if it cannot be scored on the tracks, an error without `force`."""
    if holder is None:
        return None, None
    try:
        fetched = model_uris.fetch(holder, kind.what)
        contender = Contender(holder, fetched.sha256, *kind.load(fetched, config.trust))
        kind.check_tracks(config, contender.card)
    except UserError as error:
        reason = f"the present {config.promote}, {holder}, cannot be scored: {error}"
        if not config.force:
            raise UserError(f"{reason}; force=true promotes without comparing") from error
        return None, reason
    return contender, None


def _score(
    kind: Kind,
    config: RegisterConfig,
    contender: Contender,
    listener: Listener,
    record: runs.Run,
    role: str,
    name: str = "",
) -> dict[str, Any]:
    """Score a model on data, or on another set of tracks; returns the report.

    The run has the metrics by role and set, such as `candidate_fast/mpjpe_mm`. An evaluation that is a part of it says
    which model scored what on which tracks.
    """
    address = config.sets.get(name)
    on = name or ("data" if "test" in config.sets else "test")
    chosen = {field: getattr(config, field) for field in ("subjects", "actions", "cameras")} if address is None else {}
    params = {"model": contender.name, "data": address or config.data, "flip": config.flip, **chosen}
    with child(record, f"evaluate {role} on {on}", params, {"raylift.job": "evaluate"}) as part:
        tracks, report = kind.measure(config, contender, listener.watch, address)
        track_set = TrackSet("testing", report["data"]["uri"], tracks)
        report["data"]["dataset_digest"] = track_set.digest
        for reader in (record, part):
            reader.log_read(track_set)
        records.log(part, report, kind.file(contender.name, contender.sha256, contender.card), track_set)
    record.log_metrics({"_".join([*role.split(), *([name] if name else [])]): _metrics(report)})
    return report


def _other_tracks(contender: Contender, report: dict[str, Any], other: Contender, others: dict[str, Any]) -> str | None:
    """What is wrong if two models were scored on different tracks, such as files that changed meanwhile, else None."""
    digests = [each["data"]["dataset_digest"] for each in (report, others)]
    if digests[0] == digests[1]:
        return None
    named = f"{contender.name} was scored on dataset digest {digests[0]}, {other.name} on {digests[1]}"
    return f"data: are not the same tracks for both: {named}"


def _metrics(report: dict[str, Any]) -> dict[str, float]:
    """The metrics of the labeled tracks; if all tracks are unlabeled, theirs."""
    return (report["average"] or report["unlabeled"])["metrics"]


def _value(report: dict[str, Any], metric: str) -> float:
    metrics = _metrics(report)
    if metric not in metrics:
        raise UserError(
            f"metric={metric}: is not measured of {report['model']} on these tracks; there are: "
            f"{', '.join(sorted(metrics))}"
        )
    return metrics[metric]

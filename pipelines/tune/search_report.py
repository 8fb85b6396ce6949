"""The results of a search: its report, and the best model."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import mean, stdev
from typing import Any

from pipelines.io import json_documents, storage
from pipelines.mlflow_runs import runs, tracking_server
from pipelines.search.conditions import outside
from pipelines.search.optuna_journal import journal
from pipelines.search.optuna_study import ended_trial
from pipelines.search.trial_values import own_values
from pipelines.tune import trial_records, verdict
from pipelines.tune.best_files import write_best, write_front
from pipelines.tune.held_out_test import score_test
from pipelines.tune.ranking import Ranking
from pipelines.tune.search import Search
from pipelines.tune.trial_records import SEED, TrialRecord
from pipelines.tune.warm_start import ending_of
from schemas import __version__
from schemas.configs.search_metrics import METRIC_NAMES
from schemas.configs.search_space import Space
from schemas.configs.tune import TuneConfig
from schemas.errors import RunFailed

FORMAT = "raylift.search.report/1"
# The name of the file for optuna-dashboard.
JOURNAL = "optuna.log"
# The message of a search without a result names at most this many reasons for failed trials.
MOST_REASONS = 3


def compose(
    config: TuneConfig,
    space: Space,
    records: Iterable[TrialRecord],
    data: str,
    run: runs.Run,
    device: str | None = None,
) -> dict[str, Any]:
    """The report of the trials so far; all of it but the test.

    Args:
        config: The search.
        space: What is searched.
        records: Its trials.
        data: The digest of its tracks.
        run: Its MLflow run.
        device: Where lifting was measured, in words.
    """
    ranking = Ranking(config, own_values(config, space), records)
    best = ranking.best
    return {
        "format": FORMAT,
        "version": __version__,
        "output": config.output,
        "verdict": _verdict(config, ranking, {}),
        "metric": config.error_metric,
        "metrics": config.metrics,
        "constraints": config.constraints,
        "lifted_on": device,
        "front": [record.name for record in ranking.front] if len(config.metrics) > 1 else [],
        "sampler": config.sampler,
        "scheduler": config.scheduler,
        "epochs": config.optimization.epochs,
        "search_space": {path: dimension.document() for path, dimension in space.items()},
        "best": best and {name: best.document()[name] for name in ("trial", "error_mm", "best_epoch")},
        "repeats": [_repeats(ranking, trial) for trial in ranking.best_first if ranking.repeats_of(trial)],
        "test": None,
        "trials": [record.document() for record in ranking.records],
        "data": data,
        "runs_page": tracking_server.runs_page(run.experiment_id),
    }


def optuna_journal(config: TuneConfig, space: Space, records: Iterable[TrialRecord]) -> str:
    """The proposed trials that have ended as the content of a file that optuna-dashboard opens."""
    ended = (record for record in records if record.ended and record.repeats is None)
    inside = (record for record in ended if not outside(space, record.parameters))
    trials = (ended_trial(space, r.parameters, ending_of(config, r), r.name) for r in inside)
    return journal(config.metrics, trials)


def write_report(search: Search, data: str, run: runs.Run) -> dict[str, Any]:
    """Write best.pt, best.yaml and report.json, unless no trial is finished; returns the report.

    Args:
        search: The search, which trains nothing any more.
        data: The digest of its tracks.
        run: Its MLflow run, which gets the same files.
    """
    search.note_run_ids()
    search.measure_in_quiet()
    output, ranking = search.config.output, search.ranking
    report = compose(
        search.config, search.space, search.records.values(), data, run, search.costs and search.costs.device
    )
    if search.config.test_subjects and ranking.winner is not None:
        scores_mm = _test(search.config, ranking)
        report["test"] = {
            "subjects": list(search.config.test_subjects),
            "error_mm": {search.records[number].name: score_mm for number, score_mm in scores_mm.items()},
        }
        report["verdict"] = _verdict(search.config, ranking, scores_mm)
    # The process of a stopped trial may still write for a while, so its files are removed only here.
    ended = {number: record for number, record in search.records.items() if record.state != "running"}
    for number in ended:
        trial_records.remove_checkpoints(output, number)
    trial_records.remove_models(output, ended.keys() - ranking.kept)
    shown = optuna_journal(search.config, search.space, ranking.proposed)
    storage.write_bytes(storage.join(output, JOURNAL), shown.encode())
    run.log_json(report, "report.json")
    run.log_tags({"raylift.data": data, "raylift.verdict": report["verdict"]})
    if ranking.best is not None:
        files = write_best(search.config, ranking) | write_front(search.config, ranking)
        for name, content in files.items():
            run.log_bytes(content, name)
        run.log_metrics({"validation": {f"best_{search.config.error_metric}": ranking.best.best_mm}})
        run.log_tags({"raylift.best_run": ranking.best.run_id})
        # The report is written last: its presence marks a complete output.
        json_documents.write(storage.join(output, "report.json"), report)
    return report


def _judged(ranking: Ranking) -> tuple[Sequence[TrialRecord], Sequence[TrialRecord]]:
    """The trainings that judge the config's own values and the winner's; none for the winner if both are equal."""
    default, winner = ranking.default, ranking.winner
    own = ranking.models_of(default) if default else []
    return own, ranking.models_of(winner) if winner and winner != default else []


def _test(config: TuneConfig, ranking: Ranking) -> dict[int, float]:
    """The errors on the test's subjects of the trainings that the verdict is about, by number of the trial."""
    own, best = _judged(ranking)
    return {record.number: score_test(config, record.number) for record in [*own, *best]}


def _verdict(config: TuneConfig, ranking: Ranking, test_mm: dict[int, float]) -> str:
    people = f"the people that trials were compared by ({', '.join(config.data.validation_subjects)})"
    if test_mm:
        people = f"people not used to choose ({', '.join(config.test_subjects)})"
    own, best = ([test_mm.get(r.number, r.best_mm or 0.0) for r in records] for records in _judged(ranking))
    sentence = verdict.sentence(own, best, people)
    if ranking.winner is not None and (broken := ranking.broken(ranking.winner)):
        return f"No finished trial keeps to {', '.join(limit.text for limit in broken)}. {sentence}"
    if len(config.metrics) == 1:
        return sentence
    names, count = ", ".join(METRIC_NAMES[name] for name in config.metrics), len(ranking.front)
    on_it = "One trial is" if count == 1 else f"{count or 'No'} trials are"
    by_error = f"By {METRIC_NAMES[config.error_metric]} alone: {sentence[0].lower()}{sentence[1:]}"
    return f"{on_it} on the front of {names}. {by_error}"


def _repeats(ranking: Ranking, trial: TrialRecord) -> dict[str, Any]:
    """The errors of a trial's values with other seeds."""
    records = ranking.repeats_of(trial)
    errors_mm = [record.best_mm or 0.0 for record in records]
    return {
        "trial": trial.name,
        "repeats": [record.name for record in records],
        "seeds": [record.parameters[SEED] for record in records],
        "mean_mm": mean(errors_mm),
        "sd_mm": stdev(errors_mm) if len(errors_mm) > 1 else None,
    }


def require_finished_trial(config: TuneConfig, report: dict[str, Any]) -> None:
    """Refuse a search of which no trial is finished.

    Raises:
        RunFailed: No trial is finished; the message names the most frequent reasons.
    """
    if report["best"] is None:
        raise RunFailed(why_none(config, report))


def why_none(config: TuneConfig, report: dict[str, Any]) -> str:
    """The message of a search of which no trial is finished: its reasons, the most frequent first."""
    states = Counter(trial["state"] for trial in report["trials"])
    reasons = Counter(trial["reason"] for trial in report["trials"] if trial["state"] == "failed").most_common()
    shown = "; ".join(f"{count} × {reason}" for reason, count in reasons[:MOST_REASONS])
    more = f"; and {len(reasons) - MOST_REASONS} other reasons" if len(reasons) > MOST_REASONS else ""
    budgets = [name for name in ("budget", "budget_trials_h") if getattr(config, name) is not None]
    within = f" within {budgets[0]}={getattr(config, budgets[0])}: give more, or" if budgets else ":"
    begun = f", {states['running']} not yet ended{within} run the same command again" if states["running"] else ""
    failed = f", {states['failed']} failed: {shown}{more}" if reasons else ""
    return f"no trial of {len(report['trials'])} is finished{begun}{failed}"

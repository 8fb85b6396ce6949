"""Estimates the remaining time of a search from the time that its trials have taken so far."""

from collections.abc import Mapping
from statistics import fmean

from pipelines.tune.ranking import Ranking
from schemas.configs.tune import TuneConfig


def time_left_s(config: TuneConfig, ranking: Ranking, trials: int, running_s: Mapping[int, float]) -> float | None:
    """Seconds until the last trial has ended, unless a budget ends the search before.

    Trials that were stopped early count with the time that they took, so the next ones are expected to be stopped as
    often. Repeats train to their end.

    Args:
        config: The search.
        ranking: Its trials so far.
        trials: Number of its trials, without repeats.
        running_s: How long each running trial has been running, by its number.

    Returns:
        None before the first trial has ended.
    """
    proposed = [record for record in ranking.proposed if record.ended and record.number not in running_s]
    if not proposed:
        return None
    usual_s = fmean(record.seconds for record in proposed)
    whole_s = _whole_trial_s(ranking) or usual_s
    left_s = usual_s * (trials - len(proposed) - sum(r.number in running_s for r in ranking.proposed))
    for record in ranking.records:
        if record.number in running_s:
            left_s += max(0.0, (usual_s if record.repeats is None else whole_s) - running_s[record.number])
    left_s += whole_s * _repeats_to_come(config, ranking)
    left_s = max(0.0, left_s)
    if config.budget_trials_h is not None:
        spent_s = sum(running_s.values()) + sum(r.seconds for r in ranking.records if r.number not in running_s)
        left_s = min(left_s, max(0.0, 3600 * config.budget_trials_h - spent_s))
    return left_s / max(1, len(running_s))


def time_of_repeats_s(config: TuneConfig, ranking: Ranking) -> float:
    """Seconds that the repeats that have not begun will take, one after another; 0 before a trial is finished."""
    return _whole_trial_s(ranking) * _repeats_to_come(config, ranking)


def _whole_trial_s(ranking: Ranking) -> float:
    """Mean time of the trials that trained to their last epoch, s; 0 if there is none."""
    return fmean([record.seconds for record in ranking.proposed if record.state == "finished"] or [0.0])


def _repeats_to_come(config: TuneConfig, ranking: Ranking) -> int:
    """Number of repeats that have not begun."""
    if not config.repeat_best:
        return 0
    begun = sum(record.repeats is not None for record in ranking.records)
    # The config's own values are repeated besides the best ones.
    return max(0, (config.repeat_best + 1) * config.seeds - begun)

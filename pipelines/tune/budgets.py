"""When the time that a search may take is used up."""

import time
from collections.abc import Sequence

from pipelines.tune.trial_records import TrialRecord
from schemas.configs.tune import TuneConfig, seconds
from schemas.errors import UserError

# The repeats of the best trials get at most this share of a budget, because there must be trials to choose from.
LARGEST_SHARE_OF_REPEATS = 0.5


class Budgets:
    """The time that this command and all trials of its output may take.

    Args:
        config: The search. Its `budget` begins now.
    """

    def __init__(self, config: TuneConfig) -> None:
        self._command_s = None if config.budget is None else seconds(config.budget)
        self._trials_s = None if config.budget_trials_h is None else 3600 * config.budget_trials_h
        self._began_at = time.monotonic()

    @property
    def given(self) -> bool:
        """Whether there is a budget at all."""
        return self._command_s is not None or self._trials_s is not None

    def used_up(self, in_trials_s: float, repeats_s: float, at_a_time: int) -> bool:
        """Whether one of the budgets is used up, apart from what the repeats of the best trials will need of it.

        Args:
            in_trials_s: Time of all trials so far, those side by side each, s.
            repeats_s: Time that the repeats will take, one after another, s.
            at_a_time: How many trials run side by side.
        """
        now = time.monotonic()
        return any(
            budget_s is not None and spent_s > budget_s - min(reserved_s, LARGEST_SHARE_OF_REPEATS * budget_s)
            for budget_s, spent_s, reserved_s in (
                (self._command_s, now - self._began_at, repeats_s / at_a_time),
                (self._trials_s, in_trials_s, repeats_s),
            )
        )


def require_time(config: TuneConfig, records: Sequence[TrialRecord]) -> None:
    """Refuse a budget in which no trial can end, as far as earlier ones tell.

    Args:
        config: The search.
        records: Its trials so far.

    Raises:
        UserError: The budget is too short.
    """
    shortest_s = min((record.seconds for record in records if record.ended and record.seconds), default=0.0)
    begun = any(not record.ended for record in records)  # interrupted trials may need little time
    if config.budget is not None and not begun and seconds(config.budget) < shortest_s:
        raise UserError(
            f"budget={config.budget}: the shortest of the trials so far took {shortest_s:.0f} s; give more, or "
            "finish=true to conclude"
        )

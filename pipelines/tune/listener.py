"""What follows the progress of a search, such as the display of the job."""

from typing import Protocol

from pipelines.tune.trial_records import TrialRecord


class SearchListener(Protocol):
    """Follows the progress of a search."""

    def began(self, trial: TrialRecord) -> None:
        """A trial starts, or continues after the search was interrupted."""
        ...

    def epoch(self, trial: TrialRecord) -> None:
        """A trial has ended an epoch."""
        ...

    def exploited(self, trial: TrialRecord) -> None:
        """A trial continues from the weights of another one, with changed values."""
        ...

    def failed(self, trial: TrialRecord, reason: str) -> None:
        """A trial has failed and is retried."""
        ...

    def interrupted(self, trial: TrialRecord) -> None:
        """The search ends, or goes on to its repeats, before a trial has ended."""
        ...

    def ended(self, trial: TrialRecord) -> None:
        """A trial is finished, stopped, or has failed for good."""
        ...

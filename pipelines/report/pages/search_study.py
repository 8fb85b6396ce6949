"""The trials of a search as an Optuna study whose parameters are named and escaped for a page."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import TrialState

from pipelines.report.document import escape
from pipelines.search import optuna_study
from schemas.configs.search_space import Dimension, Space, short_names

Trial = Mapping[str, Any]


def shown_study(space: Space, trials: Sequence[Trial]) -> optuna.Study:
    """The trials as an Optuna study that numbers them as the search does; each one's error is its lowest.

    Parameters have their short names. Texts are escaped, because Plotly renders HTML in labels.
    """
    shown = {name: _escaped(space[path]) for path, name in short_names(space).items()}
    by_number = {int(trial["trial"]): trial for trial in trials}
    study = optuna.create_study(direction="minimize")
    for number in range(max(by_number) + 1):
        trial = by_number.get(number)
        if trial is None:
            study.add_trial(optuna.trial.create_trial(state=TrialState.FAIL))  # no chart draws failed trials
            continue
        values = {
            name: escape(shown_value(trial["parameters"][path]))
            if space[path].kind == "choice"
            else trial["parameters"][path]
            for path, name in short_names(space).items()
            if path in trial["parameters"]
        }
        # Version 0.1.0 did not write the warm-up.
        warmup = trial.get("warmup_epochs", 0)
        scores_mm = {int(epoch): mm for epoch, mm in trial["scores_mm"].items() if int(epoch) > warmup}
        study.add_trial(optuna_study.ended_trial(shown, values, optuna_study.Ending("finished", scores_mm)))
    return study


def _escaped(dimension: Dimension) -> Dimension:
    if dimension.kind != "choice":
        return dimension
    return Dimension("choice", tuple(escape(shown_value(value)) for value in dimension.values))


def shown_value(value: Any) -> str:
    """A value of a parameter, as tables show it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)

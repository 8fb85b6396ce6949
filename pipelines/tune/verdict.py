"""The gain of a search over the config's own values, and whether it is more than chance."""

import math
from collections.abc import Sequence
from statistics import mean, stdev

from scipy.stats import ttest_ind

# The level of the confidence interval that is given with a gain.
CONFIDENCE = 0.95


def gain(default_mm: Sequence[float], best_mm: Sequence[float]) -> tuple[float, float | None]:
    """How much smaller the mean error of the best config is than that of the default, mm.

    Args:
        default_mm: Errors of the default, one for each seed.
        best_mm: Errors of the best config.

    Returns:
        The gain, and half the width of its 95 % confidence interval (Welch's, for unequal variances); None with one
        seed only.
    """
    gained = mean(default_mm) - mean(best_mm)
    if min(len(default_mm), len(best_mm)) < 2:
        return gained, None
    if stdev(default_mm) == stdev(best_mm) == 0:
        return gained, 0.0
    low, high = ttest_ind(default_mm, best_mm, equal_var=False).confidence_interval(CONFIDENCE)
    return gained, (high - low) / 2


def sentence(default_mm: Sequence[float], best_mm: Sequence[float], people: str) -> str:
    """The first sentence of a search's report.

    Args:
        default_mm: Errors of the config's own values, one for each seed; empty if they are not finished.
        best_mm: Errors of the best trial's values, likewise; empty if they are the config's own.
        people: On whom both are scored.
    """
    if not default_mm:
        return "No trial with the config's own values is finished, so there is nothing to compare with."
    if not best_mm:
        return f"No trial is better than the config's own values on {people}."
    gained, uncertain = gain(default_mm, best_mm)
    if uncertain is None:
        compared = f"{abs(gained):.1f} mm {'better' if gained > 0 else 'worse'} than the config's own values"
        return f"{compared} on {people}, with one seed each, which can be chance; repeat_best=3 would tell."
    interval = f"{gained:.1f} ± {uncertain:.1f} mm, {len(best_mm)} seeds"
    if math.isfinite(uncertain) and abs(gained) > uncertain:
        return f"{'Better' if gained > 0 else 'Worse'} than the config's own values by {interval}, on {people}."
    return f"No difference from the config's own values that {len(best_mm)} seeds can show ({interval}), on {people}."

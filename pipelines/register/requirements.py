"""What a version must reach to be promoted, besides being no worse than the present holder of the alias."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.configs.register import RegisterConfig
from schemas.errors import UserError


@dataclass(frozen=True)
class Requirement:
    """A condition of `require`, measured.

    Attributes:
        condition: As it was given, such as "fast.mpjpe_mm<=95".
        value: The version's value.
        met: Whether the value keeps to the bound.
        dataset_digest: The tracks that it was measured on, by the digest of MLflow's dataset.
    """

    condition: str
    value: float
    met: bool
    dataset_digest: str


def measured(
    config: RegisterConfig, values: Mapping[str, Mapping[str, float]], digests: Mapping[str, str]
) -> tuple[Requirement, ...]:
    """The conditions of a config with the version's values.

    Args:
        config: The config.
        values: Metrics by set of tracks; that of `data` has the empty name.
        digests: The digests of these sets, as MLflow's datasets.

    Raises:
        UserError: A metric is not measured on these tracks.
    """
    requirements = []
    for limit, tracks_name in config.requirements():
        if limit.metric not in values[tracks_name]:
            raise UserError(
                f"require={limit.text}: {limit.metric} is not measured on {tracks_name or 'data'}; there are: "
                f"{', '.join(sorted(values[tracks_name]))}"
            )
        value = values[tracks_name][limit.metric]
        # NaN fulfils no condition.
        met = not math.isnan(value) and limit.excess(values[tracks_name]) <= 0
        requirements.append(Requirement(limit.text, value, met, digests[tracks_name]))
    return tuple(requirements)


def unmet(requirements: Iterable[Requirement]) -> list[str]:
    """The conditions that are not met, with the values."""
    return [f"{each.condition} (it is {each.value:.2f})" for each in requirements if not each.met]

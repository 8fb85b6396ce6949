"""The table of samplers: how the values of a search's trials are chosen. A new one is a row here and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal


@dataclass(frozen=True)
class SamplerKind:
    """A sampler of Optuna's, and what a search has to know of it.

    Attributes:
        optuna_class: Its class in `optuna.samplers`.
        options: What that class is given beside a seed.
        learns: Whether it chooses by the results of earlier trials.
        has_memory: Whether its choice also depends on which trials it has proposed itself, such as generations.
        is_sequence: Whether all trials take the points of one sequence, which has one seed.
        finds_fronts: Whether it can learn from several metrics.
        is_exhaustive: Whether it tries every combination of the search space.
        fewest_numbers: Number of searched fields at least that hold numbers in every trial.
    """

    optuna_class: str
    options: Mapping[str, Any] = field(default_factory=dict)
    learns: bool = True
    has_memory: bool = False
    is_sequence: bool = False
    finds_fronts: bool = True
    is_exhaustive: bool = False
    fewest_numbers: int = 0


# These samplers choose some fields independently of the others, and would log a warning in each trial.
_QUIET = {"warn_independent_sampling": False}

SAMPLERS: Mapping[str, SamplerKind] = MappingProxyType(
    {
        # Running trials count as bad ones (`constant_liar`), so that those started together differ. Optuna would begin
        # with 10 random trials, half of a small search; with 5 good values are found sooner (benchmarks/samplers.py).
        "tpe": SamplerKind("TPESampler", {"constant_liar": True, "n_startup_trials": 5}),
        "gp": SamplerKind("GPSampler", {"n_startup_trials": 5, **_QUIET}),
        "cmaes": SamplerKind("CmaEsSampler", _QUIET, has_memory=True, finds_fronts=False, fewest_numbers=2),
        # Optuna's default generations of 50 trials would make most searches entirely random.
        "nsga2": SamplerKind("NSGAIISampler", {"population_size": 16}, has_memory=True),
        "random": SamplerKind("RandomSampler", learns=False),
        "qmc": SamplerKind("QMCSampler", {"scramble": True, **_QUIET}, learns=False, has_memory=True, is_sequence=True),
        "grid": SamplerKind("BruteForceSampler", learns=False, is_exhaustive=True),
    }
)

if TYPE_CHECKING:
    SamplerName = str
else:  # so that `--help` and the check of a command line know the names of the table
    SamplerName = Literal[tuple(SAMPLERS)]

"""The lifter that every trial of a search starts from."""

from pipelines.io import storage
from pipelines.train.initial_weights import INITIAL_FILE, Start, read_start
from schemas.configs.tune import TuneConfig


def start_of(config: TuneConfig) -> tuple[TuneConfig, Start | None]:
    """The config, in which that lifter's own values stand for those that are not given; and the lifter.

    Trials start from one copy in the output: a registered lifter may be another one tomorrow.

    Raises:
        UserError: There is no such lifter, or it cannot be read.
        RunFailed: MLflow's server cannot be reached.
    """
    if config.weights is None:
        return config, None
    start = read_start(config.weights, config.lifter.name)
    copied = {"weights": storage.join(config.output, INITIAL_FILE)}
    return start.complete(config).model_copy(update=copied), start

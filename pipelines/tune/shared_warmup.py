"""The warm-up of semi-supervised trainings, which is trained once for all trials that begin with the same one.

Until the warm-up ends, a training sees no unlabeled tracks. Trials that differ only in what those tracks do have the
same weights then, to the bit. The first of them leaves its state in the output, and the others continue from it.
"""

import hashlib
import json
from collections.abc import Callable

from pipelines.io import storage
from pipelines.training import checkpoints
from pipelines.training.checkpoints import STATE_FILE
from schemas.configs.search_space import Space
from schemas.configs.train import TrainConfig
from schemas.configs.tune import TuneConfig
from schemas.job_config import flatten

# The folder in the output with the shared states, which is removed when the search ends.
WARMUPS = "warmups"
# These fields of a training have no effect before the warm-up ends, as tests/tune/test_shared_warmup.py shows.
AFTER_WARMUP = frozenset(
    {
        "objective.reprojection",
        "objective.bone_length",
        "objective.confidence_weighted",
        "data.unlabeled_subjects",
        "data.pool_frames",
    }
)
# These fields of a trial do not affect its training.
_OUTSIDE = ("output", "resources")


def trials_share_warmups(config: TuneConfig, space: Space) -> bool:
    """Whether several trials of a search will probably begin with the same warm-up, so that its state is worth keeping.

    Not if a field that acts from the first step on has any number of values: then each trial begins otherwise.
    """
    if config.unlabeled is None or config.scheduler == "pbt" or config.resources.num_workers > 1:
        return False
    before = [dimension for path, dimension in space.items() if path not in AFTER_WARMUP]
    return len(before) < len(space) and all(dimension.size is not None for dimension in before)


def warmup_file(search_output: str, config: TrainConfig) -> str | None:
    """The address of the state after a trial's warm-up; None if it has no warm-up."""
    if not config.warmup_epochs:
        return None
    values = flatten(config.model_dump(mode="json", exclude=set(_OUTSIDE)))
    beginning = {path: value for path, value in values.items() if path not in AFTER_WARMUP}
    digest = hashlib.sha256(json.dumps(beginning, sort_keys=True).encode()).hexdigest()[:16]
    return storage.join(search_output, WARMUPS, f"{digest}.pt")


def keep_warmup(config: TrainConfig, file: str) -> Callable[[int], None]:
    """A callback for a training, called after the checkpoint of each epoch, which keeps the warm-up's state."""

    def on_saved(epoch: int) -> None:
        if epoch == config.warmup_epochs and not storage.exists(file):
            state = checkpoints.find(config.output)[-1].file(STATE_FILE)
            storage.write_bytes(file, storage.read_bytes(state, unparsed=True))

    return on_saved


def remove_warmups(search_output: str) -> None:
    """Remove the kept states; a search that continues later trains its warm-ups again."""
    storage.remove_folder(storage.join(search_output, WARMUPS))

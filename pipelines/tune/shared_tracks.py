"""Large sets of tracks, which trials share: they are read once, and each machine holds them in memory once.

Small ones are read by each process of the search for itself, which takes less time than to ask for them.
"""

import warnings
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
import ray
import torch
from ray.exceptions import RayError

from pipelines.ray_cluster import session
from pipelines.sampling.sequences import Sequences
from pipelines.train.data import SETS_OF_A_TRAINING, TrackSet

# From this size on tracks are shared. A process needs about a second to read as much.
SHARED_FROM_BYTES = 50 * 10**6
# The largest part of a machine's object store that one set may take, or others would be written to disk.
LARGEST_SHARE = 0.25
# Views of the inputs, which have their memory.
_VIEWS = ("keypoints", "scores")


@ray.remote(num_cpus=0)
class TrackSets:
    """Owns what has been read, as long as the search goes on."""

    def __init__(self) -> None:
        self._read: dict[TrackSet, Any] = {}

    def reference(self, tracks: TrackSet) -> list[Any]:
        """The reference to a set of tracks in a list, so that Ray does not send the tracks themselves."""
        if tracks not in self._read:
            self._read[tracks] = _read.remote(tracks)
        return [self._read[tracks]]


@ray.remote(num_cpus=0)
def _read(tracks: TrackSet) -> dict[str, Any]:
    """The fields of the sequences; Ray shares NumPy's arrays between processes, and copies PyTorch's tensors."""
    sequences = tracks.load()
    views = _VIEWS if tracks.features == 3 else _VIEWS[:1]
    values = {field.name: getattr(sequences, field.name) for field in fields(sequences) if field.name not in views}
    return {name: value.numpy() if isinstance(value, torch.Tensor) else value for name, value in values.items()}


def start_track_sets() -> Any:
    """Start the actor that trials ask."""
    return TrackSets.options(scheduling_strategy=session.here()).remote()


class SharedTracks:
    """Gives the trials of a process their tracks.

    Args:
        track_sets: The search's `TrackSets`.

    Attributes:
        load: Returns the sequences of a `TrackSet`; the last ones are kept. Nobody may change them in place.
    """

    def __init__(self, track_sets: Any) -> None:
        self._track_sets = track_sets
        self.load = lru_cache(maxsize=SETS_OF_A_TRAINING)(self._load)

    def _load(self, tracks: TrackSet) -> Sequences:
        if not SHARED_FROM_BYTES <= tracks.size_bytes <= LARGEST_SHARE * _smallest_store_bytes():
            return tracks.load()
        on_cpu = replace(tracks, device=torch.device("cpu"))
        try:
            (reference,) = ray.get(self._track_sets.reference.remote(on_cpu))
            values: Any = ray.get(reference)
        except RayError:
            # Whatever is wrong with the tracks is then said as in any training.
            return tracks.load()
        return _sequences(values).to(tracks.device)


def _sequences(values: dict[str, Any]) -> Sequences:
    with warnings.catch_warnings():
        # PyTorch warns of shared memory that cannot be written.
        warnings.simplefilter("ignore", UserWarning)
        values = {n: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for n, v in values.items()}
    inputs = values["inputs"]
    return Sequences(**{"keypoints": inputs[..., :2], "scores": inputs[..., -1], **values})


def _smallest_store_bytes() -> float:
    return min(
        (node["Resources"].get("object_store_memory", 0.0) for node in ray.nodes() if node["Alive"]), default=0.0
    )

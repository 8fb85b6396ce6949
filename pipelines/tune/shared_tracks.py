"""Lets trials share large sets of tracks: they are read once, and each machine holds them in memory once.

Small sets are read by each process of the search itself, which takes less time than requesting them.
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
from pipelines.ray_cluster.machines import machine_resources
from pipelines.sampling.sequences import Sequences
from pipelines.train.data import SETS_OF_A_TRAINING, TrackSet

# Sets from this size on, bytes, are shared. A process needs about a second to read as much.
SHARED_FROM_BYTES = 50 * 10**6
# One set may take at most this share of a machine's object store; otherwise other sets would be written to disk.
LARGEST_SHARE = 0.25
# These arrays are views of the inputs and share their memory.
_VIEWS = ("keypoints", "scores")


@ray.remote(num_cpus=0)
class TrackSets:
    """Owns the tracks that have been read while the search runs."""

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
    """Provides the trials of a process with their tracks.

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
            # Without the actor, the tracks are read here, so that faults of the tracks are reported as in any training.
            return tracks.load()
        return _sequences(values).to(tracks.device)


def _sequences(values: dict[str, Any]) -> Sequences:
    with warnings.catch_warnings():
        # PyTorch warns of shared memory that is read-only.
        warnings.simplefilter("ignore", UserWarning)
        values = {n: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for n, v in values.items()}
    inputs = values["inputs"]
    return Sequences(**{"keypoints": inputs[..., :2], "scores": inputs[..., -1], **values})


def _smallest_store_bytes() -> float:
    return min((machine.get("object_store_memory", 0.0) for machine in machine_resources()), default=0.0)

"""Groups recordings of the same action, and measures how well their embeddings follow the order of time."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import permutations

import numpy as np
import torch
from scipy.stats import kendalltau

from pipelines.aligners.base import AlignerNetwork, embed
from pipelines.aligners.sequences import Sequence as Person
from pipelines.aligners.sequences import of_keypoints
from pipelines.tracks.keypoint_reader import TrackInfo, read_rows
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.configs.train_aligner import PairsOf

Groups = Mapping[str, Sequence[TrackInfo]]
Recordings = Mapping[str, Sequence[Person]]
# Recordings below this length, s, are left out, because too little happens in them.
SHORTEST_S = 1.0
# At most this many recordings of a group are compared with each other, each cut to this length, s.
_COMPARED, _COMPARED_S = 4, 8.0


def group_tracks(tracks: Sequence[TrackInfo], pairs: PairsOf, shortest_s: float = SHORTEST_S) -> Groups:
    """Tracks of one action or one take, by its name; groups of one track and short tracks are left out."""
    groups: dict[str, list[TrackInfo]] = {}
    for track in tracks:
        if track.action is None or track.frames < shortest_s * (track.fps or 30):
            continue
        name = track.action.split(" ")[0] if pairs == "action" else f"{track.subject} {track.action}"
        groups.setdefault(name, []).append(track)
    return {name: group for name, group in groups.items() if len(group) > 1}


def read_groups(
    groups: Groups, watched: Callable[[Iterable[KeypointTrack]], Iterable[KeypointTrack]] = iter
) -> dict[str, list[Person]]:
    """The recordings of each group, in memory.

    Args:
        groups: Their tracks.
        watched: Passes the tracks on as they are read.

    Raises:
        UserError: A recording cannot be compared: it has no frame rate, or its trunk is never seen.
    """
    tracks = [track for group in groups.values() for track in group]
    people = {(track.track_id): of_keypoints(track) for track in watched(read_rows(tracks, labels=False))}
    return {name: [people[track.track_id] for track in group] for name, group in groups.items()}


def kendalls_tau(network: AlignerNetwork, recordings: Recordings) -> float:
    """Kendall's tau of the nearest frames, over all ordered pairs of some recordings of each group.

    It is 1 where the frames of one recording find those of another in order, and says nothing of motion that repeats.

    Args:
        network: In evaluation mode, on the CPU.
        recordings: Two or more of each group; those that are shorter than what the network sees are left out.
    """
    taus = []
    for group in recordings.values():
        parts = [person.part(None, person.start_s + _COMPARED_S) for person in group[:_COMPARED]]
        embedded = [embed(network, part) for part in parts if len(part) >= network.window]
        for first, second in permutations(embedded, 2):
            nearest = torch.cdist(first, second).argmin(1)
            taus.append(kendalltau(np.arange(len(nearest)), nearest.numpy())[0])
    return float(np.nanmean(taus)) if taus else math.nan

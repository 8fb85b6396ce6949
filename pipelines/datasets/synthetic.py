"""Tracks that a detector found in synthetic videos, labeled with the true positions of the person they follow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from pipelines.datasets.pose_source import PoseSourceConfig
from pipelines.io import storage
from pipelines.pose.middles import joints_from
from pipelines.synthetic.truth import Truth, load_truth
from pipelines.tracks.keypoint_reader import read_tracks, tracks_files
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.selection import take
from schemas.errors import UserError
from schemas.job_config import Address
from schemas.layouts import JointLayout, layout, shared_joints

TRUE_LAYOUT = layout("h36m17")


class Synthetic:
    """The tracks of raylift label in the videos of raylift synthesize.

    A track belongs to the person whose joints are nearest to it in most frames. It is cut to the longest range of
    frames in which it follows that person and nobody else.
    """

    class Config(PoseSourceConfig):
        """Options of the source."""

        tracks: Address = Field(min_length=1)
        """Tracks of the videos: the tracks/ folder of an output of raylift label."""

        truth: Address = Field(min_length=1)
        """The output folder of raylift synthesize whose videos were labeled."""

        layout: Literal["h36m17", "limbs14"] = "h36m17"
        """Joints of the positions: h36m17, or limbs14 as triangulate writes them."""

        max_error: float = Field(default=0.2, gt=0)
        """Mean distance of the shared joints up to which a detection is of a person, as a share of their height."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.notes: list[str] = []

    def inputs(self) -> Mapping[str, Sequence[str]]:
        """All tracks files and all files of the truth."""
        truth = storage.list_folder(storage.join(self._config.truth, "truth"), ".parquet")
        return {"tracks": tracks_files(self._config.tracks, "source.tracks"), "truth": truth}

    def tracks(self) -> Iterator[KeypointTrack]:
        """The tracks that follow a person, labeled and calibrated; the others are listed in `notes`.

        Raises:
            UserError: The files cannot be read or have another format, or the tracks are of other videos.
        """
        config = self._config
        people: dict[str, list[Truth]] = {}
        for truth in load_truth(config.truth):
            people.setdefault(storage.absolute(storage.join(config.truth, truth.video)), []).append(truth)
        known = False
        for track in read_tracks(config.tracks):
            known = known or track.video in people
            labeled = label_track(track, people.get(track.video, []), config.max_error, layout(config.layout))
            if labeled is None:
                self.notes.append(f"track {track.track_id[:8]} of {track.video}: follows nobody in the truth")
            else:
                yield labeled
        if not known:
            raise UserError(
                f"source.tracks={config.tracks}: no track is of a video in {config.truth}; "
                f"give the tracks of: raylift label videos={storage.join(config.truth, 'manifest.csv')}"
            )


def label_track(
    track: KeypointTrack, people: Sequence[Truth], max_error: float, positions: JointLayout = TRUE_LAYOUT
) -> KeypointTrack | None:
    """The part of a track that follows one of the people, with their positions; None if it follows nobody.

    Args:
        track: A detected track.
        people: The true people of its video.
        max_error: Share of a person's height in the image, as in `Synthetic.Config`.
        positions: Joints of the positions, which can be had of those of the truth.
    """
    if not people:
        return None
    # All people of a video have the same timestamps.
    times = people[0].timestamps_s
    nearest = np.abs(track.timestamps_s[:, None] - times).argmin(1)
    in_time = np.abs(track.timestamps_s - times[nearest]) < 0.5 / people[0].fps
    errors = np.stack([_error(track, truth, nearest) for truth in people])
    followed = np.where(in_time & ~track.interpolated & (errors.min(0) < max_error), errors.argmin(0), -1)
    if (followed < 0).all():
        return None
    person = int(np.bincount(followed[followed >= 0]).argmax())
    frames = _longest_stretch(followed, person, in_time)
    truth, part = people[person], take(track, frames)
    matrix = joints_from(TRUE_LAYOUT, positions)
    assert matrix is not None, f"{positions.name} cannot be had of {TRUE_LAYOUT.name}"
    return replace(
        part,
        **{name: getattr(truth, name) for name in ("subject", "action")},
        camera=truth.view.name,
        intrinsics=truth.view.intrinsics,
        intrinsics_provenance="calibrated",
        up=truth.view.up.astype(np.float32),
        positions=(matrix @ truth.positions[nearest[frames]]).astype(np.float32),
        positions_layout=positions.name,
    )


def _error(track: KeypointTrack, truth: Truth, frames: Int[np.ndarray, " frames"]) -> Float[np.ndarray, " frames"]:
    """Mean distance of the joints that both name, as a share of the person's height in the image."""
    pairs = np.array(shared_joints(layout(track.layout), TRUE_LAYOUT))
    true_px = truth.keypoints[frames]
    distance_px = np.linalg.norm(track.keypoints[:, pairs[:, 0]] - true_px[:, pairs[:, 1]], axis=2).mean(1)
    return distance_px / np.maximum(np.ptp(true_px[..., 1], axis=1), 1)


def _longest_stretch(followed: Int[np.ndarray, " frames"], person: int, in_time: np.ndarray) -> slice:
    """The longest stretch that begins and ends on the person, in which no frame follows another one or has no truth."""
    cuts = np.flatnonzero(((followed >= 0) & (followed != person)) | ~in_time)
    bounds = np.concatenate([[-1], cuts, [len(followed)]])
    best = slice(0, 0)
    for before, after in pairwise(bounds.tolist()):
        own = before + 1 + np.flatnonzero(followed[before + 1 : after] == person)
        if len(own) and own[-1] + 1 - own[0] > best.stop - best.start:
            best = slice(int(own[0]), int(own[-1]) + 1)
    return best

"""What a job makes of an input before it computes: the facts that rows of the table compare."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from jobs.command_line.arguments import read_config
from pipelines.datasets.body_measures import Body
from pipelines.datasets.pose_source import PoseSourceConfig, Shot
from pipelines.import_poses import run as import_poses
from pipelines.io.npz import read_npz
from pipelines.label.video_files import LeftOut
from pipelines.label.video_sources import find_videos
from pipelines.ray_cluster.surroundings import require_cluster
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.video.cuts import find_cuts
from pipelines.video.probe import probe
from pipelines.video.reader import VideoReader
from pipelines.video.thumbnails import thumbnails
from schemas.cameras import Intrinsics
from schemas.configs.import_poses import ImportPosesConfig
from schemas.configs.label import LabelConfig
from schemas.configs.train import TrainConfig
from schemas.layouts import layout

Facts = Mapping[str, Any]
Question = Callable[[], Facts]


def label(*arguments: str) -> Question:
    """What a command line of `label` says."""

    def ask() -> Facts:
        config = read_config(LabelConfig, ["videos=v", "output=o", *arguments], resolve=str)
        return {"videos": config.videos, "output": config.output, "max_side": config.decode.max_side}

    return ask


def train(*arguments: str) -> Question:
    """What a command line of `train` says."""

    def ask() -> Facts:
        config = read_config(TrainConfig, ["labeled=a", "output=o", *arguments], resolve=str)
        options = config.optimization
        return {
            **{"output": config.output, "subjects": config.data.subjects, "rate": options.learning_rate},
            **{"amsgrad": options.amsgrad, "epochs": options.epochs},
        }

    return ask


def videos(inputs: str, output: str | None = None, fps: float | None = None) -> Question:
    """The videos that `videos=` names, and why others are left out."""

    def ask() -> Facts:
        left_out = LeftOut()
        sources = find_videos(inputs, output, left_out, fps)
        return {
            "names": [source.uri.rsplit("/", 1)[1] for source in sources],
            "subjects": [source.subject for source in sources],
            "cameras": [source.camera for source in sources],
            "left_out": sorted(left_out.paths),
        }

    return ask


def camera_of(width: int, height: int) -> Question:
    """The calibration that m.csv gives for a picture of that size."""

    def ask() -> Facts:
        (source,) = find_videos("m.csv")
        intrinsics = source.intrinsics_at(width, height)
        return {} if intrinsics is None else {name: round(getattr(intrinsics, name)) for name in ("fx", "cx", "cy")}

    return ask


def imported(*fields: str, source: str = "mocap17") -> Question:
    """What an import gives."""

    def ask() -> Facts:
        defaults = (
            ["source.positions=mocap.npz", "source.views=1"] if source == "mocap17" else ["source.file=poses.npz"]
        )
        config = read_config(ImportPosesConfig, [f"source={source}", *defaults, "output=out", *fields])
        job = import_poses.prepare(config)
        work = import_poses.survey(job)
        tracks = list(work.tracks or ())
        positions = tracks[0].positions
        assert positions is not None
        return {
            "frames": [len(track) for track in tracks],
            "stature": round(Body(positions.astype(np.float64), layout("h36m17")).stature(), 1),
            "said": [note.split(":")[0] for note in job.source.notes],
        }

    return ask


def probed(name: str) -> Question:
    """What is in a video."""

    def ask() -> Facts:
        info = probe(name)
        return {
            **{"frames": info.frame_count, "fps": round(info.fps), "noted": info.note is not None},
            "damage": info.damage,
            "told": "another recording begins at byte" in (info.damage or ""),
        }

    return ask


def decoded(name: str) -> Question:
    """What comes out of a video: how many frames, of another shape, and where it is cut."""

    def ask() -> Facts:
        with VideoReader(name) as reader:
            frames = reader.read(0, reader.info.frame_count)
        cuts = find_cuts(thumbnails(frames.images), frames.timestamps_s).tolist()
        return {"frames": len(frames.images), "damage": frames.damage, "cuts": cuts}

    return ask


def cluster(address: str) -> Question:
    """Whether a cluster answers."""

    def ask() -> Facts:
        require_cluster(address)
        return {}

    return ask


class OneCamera:
    """A source of the keypoints and positions of poses.npz, which the first camera of `moving_people` has seen."""

    class Config(PoseSourceConfig):
        """Its option."""

        file: str = Field(min_length=1)
        """The npz."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.notes: list[str] = []

    def inputs(self) -> Mapping[str, Sequence[str]]:
        """The file."""
        return {"file": [self._config.file]}

    def tracks(self) -> Iterator[KeypointTrack]:
        """One track."""
        values, h36m = read_npz(self._config.file), layout("h36m17")
        shot = Shot("odd", "S1", "walk", "C0", 1000, 1000, 50.0, Intrinsics(fx=1100, fy=1100, cx=570, cy=490))
        yield shot.track(h36m, values["keypoints"], positions=values["positions"], positions_layout=h36m)


@dataclass(frozen=True)
class Refused:
    """A line with which an input is refused.

    Attributes:
        line: What it contains.
    """

    line: str

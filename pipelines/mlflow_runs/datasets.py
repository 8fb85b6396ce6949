"""Tracks, videos and other files as MLflow's datasets: what a run has read, as its page shows it."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pipelines.io.secrets import redact
from pipelines.mlflow_runs.lazy import mlflow
from pipelines.tracks.keypoint_reader import TrackInfo, digest
from schemas.formats.tracks import TRACKS
from schemas.formats.videos import VideoSource
from schemas.job_config import listed

if TYPE_CHECKING:
    from mlflow.entities import Dataset, Run

Learning = Literal["training", "unlabeled", "validation", "testing"]
Making = Literal["labeling", "importing", "lifting", "curating", "triangulating", "embedding", "aligning"]
Context = Learning | Making | Literal["searching", "measuring"]
# What files hold that are neither tracks nor videos: annotated people, poses of lift, embeddings, or files of other
# programs.
FileKind = Literal["people", "poses", "embeddings", "files"]
# MLflow's names for the kinds of a dataset's source.
TRACKS_SOURCE, VIDEOS_SOURCE = "raylift", "raylift.videos"
# Tag of what a run reads, with what for.
CONTEXT_TAG = "mlflow.data.context"
# MLflow keeps at most this many characters of a dataset's source.
_LONGEST_SOURCE = 60_000
# Sets of at most this many people are named after them, because tables of scores have a column for each set.
_MOST_NAMES = 3


@dataclass(frozen=True)
class TrackSet:
    """Some of the tracks in some files.

    Attributes:
        context: What a run did with them.
        source: Where they are: files or folders (any URI).
        tracks: The tracks.
    """

    context: Context
    source: str | Sequence[str] | None
    tracks: Sequence[TrackInfo]
    source_type: ClassVar[str] = TRACKS_SOURCE

    def __len__(self) -> int:
        """Number of tracks."""
        return len(self.tracks)

    @property
    def columns(self) -> dict[str, str]:
        """The type of each of its columns by name."""
        return {column.name: str(column.type) for column in TRACKS}

    @cached_property
    def digest(self) -> str:
        """Identifies the tracks: the files that they are in, and which of their rows they are."""
        files = {track.file for track in self.tracks}
        rows = sorted((track.file.rsplit("/", 1)[-1], track.row) for track in self.tracks)
        return hashlib.sha256(repr((digest(files), rows)).encode()).hexdigest()[:32]

    @property
    def people(self) -> str:
        """The people in the set: their names if they are few."""
        names = sorted({track.subject for track in self.tracks if track.subject})
        return ", ".join(names) if len(names) <= _MOST_NAMES else f"{len(names)} people"

    def profile(self) -> dict[str, Any]:
        """What is in the set, in numbers and names."""
        tracks = self.tracks
        rates = sorted({round(track.fps, 2) for track in tracks if track.fps is not None and math.isfinite(track.fps)})
        return {
            "tracks": len(tracks),
            "frames": sum(track.frames for track in tracks),
            "people": len({track.subject for track in tracks if track.subject}),
            "cameras": len({track.camera for track in tracks if track.camera}),
            "frames_per_s": rates,
            "layouts": sorted({track.layout for track in tracks}),
            "labeled_as": sorted({track.positions_layout for track in tracks if track.positions_layout}),
        }


@dataclass(frozen=True)
class VideoSet:
    """Some videos.

    Attributes:
        context: What a run did with them.
        source: Where they are, as the config says: files, folders, globs or a manifest.
        videos: The videos.
    """

    context: Context
    source: str | Sequence[str] | None
    videos: Sequence[VideoSource]
    source_type: ClassVar[str] = VIDEOS_SOURCE

    def __len__(self) -> int:
        """Number of videos."""
        return len(self.videos)

    @property
    def people(self) -> str:
        """Empty, because sets of videos are named by their folder."""
        return ""

    @property
    def columns(self) -> dict[str, str]:
        """Empty, because videos have no columns."""
        return {}

    @property
    def digest(self) -> str:
        """Identifies the videos by their addresses and by the facts in the inputs, not by their content."""
        facts = sorted(json.dumps(video.facts(), sort_keys=True) for video in self.videos)
        return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]

    def profile(self) -> dict[str, Any]:
        """What is in the set, in numbers."""
        videos = self.videos
        return {
            "videos": len(videos),
            "people": len({video.subject for video in videos if video.subject}),
            "cameras": len({video.camera for video in videos if video.camera}),
            "with_known_camera": sum(video.intrinsics is not None or video.fov_deg is not None for video in videos),
        }


@dataclass(frozen=True)
class FileSet:
    """Files that are neither tracks nor videos.

    Attributes:
        context: What a run did with them.
        source: Where they are: files or folders (any URI).
        kind: What they hold.
        digest: Identifies their content.
        counts: What is in them, in numbers and names; may be empty.
    """

    context: Context
    source: str | Sequence[str] | None
    kind: FileKind
    digest: str
    counts: Mapping[str, Any] = field(default_factory=dict)
    people: ClassVar[str] = ""
    columns: ClassVar[Mapping[str, str]] = {}

    def __len__(self) -> int:
        """Number of addresses."""
        return len(listed(self.source))

    @property
    def source_type(self) -> str:
        """What MLflow calls the kind of its source."""
        return f"raylift.{self.kind}"

    def profile(self) -> dict[str, Any]:
        """What is in the set, in numbers and names."""
        return dict(self.counts)


ReadSet = TrackSet | VideoSet | FileSet


def addresses_of(options: Mapping[str, Any]) -> list[str]:
    """The addresses among the options of a plug-in: they are absolute, unlike its words and units."""
    given = (value for value in options.values() if isinstance(value, str | list | tuple))
    return [uri for value in given for uri in listed(value) if "/" in str(uri)]


def log(run_id: str, reads: Sequence[ReadSet]) -> None:
    """Note in a run what it has read, in one request.

    Raises:
        mlflow.MlflowException: The store cannot be used.
    """
    from mlflow.entities import DatasetInput, InputTag  # here: importing MLflow takes a second

    inputs = [DatasetInput(entity(read), [InputTag(CONTEXT_TAG, read.context)]) for read in reads]
    mlflow.MlflowClient().log_inputs(run_id, inputs)


def read_by(run: "Run") -> "Iterator[tuple[str, Dataset]]":
    """What for, and which datasets a run has read, by their names; those of a trial stand in the run of its search.

    Raises:
        mlflow.MlflowException: The store cannot be used.
    """
    parent, inputs = run.data.tags.get("mlflow.parentRunId"), run.inputs
    if parent and not (inputs and inputs.dataset_inputs):
        inputs = mlflow.get_run(parent).inputs
    for each in sorted(inputs.dataset_inputs if inputs else (), key=lambda given: given.dataset.name):
        yield next((tag.value for tag in each.tags if tag.key == CONTEXT_TAG), "read"), each.dataset


def entity(read: ReadSet) -> "Dataset":
    """The set as MLflow's dataset; scores over it are found by its name and digest."""
    from mlflow.entities import Dataset

    source = redact(json.dumps({"uri": listed(read.source)}))[:_LONGEST_SOURCE]
    columns = [{"name": name, "type": kind} for name, kind in read.columns.items()]
    name = " ".join(filter(None, (_short_name(listed(read.source)), read.people)))
    return Dataset(
        name=redact(name),
        digest=read.digest,
        source_type=read.source_type,
        source=source,
        schema=json.dumps({"mlflow_colspec": columns}),  # MLflow's page shows only this form
        profile=json.dumps(read.profile()),
    )


def _short_name(uris: Sequence[str]) -> str:
    """The last folders of the addresses, without the tracks/ that every job writes to."""
    names = [uri.rstrip("/").removesuffix("/tracks").rsplit("/", 1)[-1] for uri in uris]
    return ", ".join(names)[:400]

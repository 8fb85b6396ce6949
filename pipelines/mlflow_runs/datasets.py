"""Sets of tracks as MLflow's datasets: what a run has read, in the column and filter that its page has for it."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.io.secrets import redact
from pipelines.mlflow_runs.lazy import mlflow
from pipelines.tracks.keypoint_reader import TrackInfo, digest
from schemas.job_config import listed

Context = Literal["training", "unlabeled", "validation", "testing", "lifting"]
# MLflow keeps at most this many characters of a dataset's source.
_LONGEST_SOURCE = 60_000


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

    @property
    def digest(self) -> str:
        """Identifies the files that the tracks are in."""
        return digest({track.file for track in self.tracks})

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


def log(run_id: str, track_set: TrackSet) -> None:
    """Note in a run that it has read some tracks.

    Raises:
        mlflow.MlflowException: The store cannot be used.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag  # here: importing MLflow takes a second

    source = redact(json.dumps({"uri": listed(track_set.source)}))[:_LONGEST_SOURCE]
    dataset = Dataset(
        name=redact(_short_name(listed(track_set.source))),
        digest=track_set.digest,
        source_type="raylift",
        source=source,
        schema=json.dumps({"layouts": track_set.profile()["layouts"]}),
        profile=json.dumps(track_set.profile()),
    )
    tag = InputTag("mlflow.data.context", track_set.context)
    mlflow.MlflowClient().log_inputs(run_id, [DatasetInput(dataset, [tag])])


def _short_name(uris: Sequence[str]) -> str:
    """The last folders of the addresses, without the tracks/ that every job writes to."""
    names = [uri.rstrip("/").removesuffix("/tracks").rsplit("/", 1)[-1] for uri in uris]
    return ", ".join(names)[:500]

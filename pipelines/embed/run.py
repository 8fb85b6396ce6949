"""The embed job from start to end.

1. `prepare`: tracks and aligner are found, addresses resolved.
2. `survey`: which files of tracks are embedded already.
3. `execute`: the others are embedded, then the report is written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from pipelines.aligners.base import AlignerNetwork
from pipelines.aligners.checkpoint import load_aligner
from pipelines.aligners.sequences import RATE
from pipelines.embed.embedding import embed_file, embeddings_uri
from pipelines.io import json_documents, storage
from pipelines.io.manifest import REPORT
from pipelines.mlflow_runs import model_uris
from pipelines.tracks import keypoint_reader
from pipelines.tracks.keypoint_reader import TrackInfo, by_file
from pipelines.tracks.normalised import LIMBS
from schemas.configs.embed import EmbedConfig
from schemas.job_config import listed
from schemas.layouts import joint_indices, layout
from schemas.progress import Progress

FORMAT = "raylift.embed/1"


@dataclass(frozen=True)
class Job:
    """An embedding that is known to be possible.

    Attributes:
        config: Its config, with absolute addresses.
        tracks: All tracks.
        network: The aligner.
        name: Its name: "models:/squats/3" for a registered one.
        sha256: Hash of the aligner's file.
        refused: Files among those of the tracks that hold none, with the reasons.
    """

    config: EmbedConfig
    tracks: Sequence[TrackInfo]
    network: AlignerNetwork
    name: str
    sha256: str
    refused: Mapping[str, str]

    @cached_property
    def files(self) -> dict[str, int]:
        """The files of tracks, with the number of tracks in each."""
        return {file: len(of) for file, of in by_file(self.tracks).items()}


@dataclass(frozen=True)
class Work:
    """What the output of a job lacks.

    Attributes:
        missing: The files of tracks that are not embedded.
        reported: Whether its report is there.
    """

    missing: Sequence[str]
    reported: bool

    @property
    def nothing_to_do(self) -> bool:
        """Whether the output is complete."""
        return self.reported and not self.missing


def prepare(config: EmbedConfig) -> Job:
    """Find tracks and aligner.

    Raises:
        UserError: There are no tracks or no aligner, or the tracks' joints are not those of people.
        RunFailed: MLflow's server, which has the aligner, cannot be reached.
    """
    config = config.model_copy(
        update={
            "tracks": tuple(map(storage.absolute, listed(config.tracks))),
            "output": storage.absolute(config.output),
        }
    )
    refused: dict[str, str] = {}
    tracks = keypoint_reader.survey(config.tracks, refused=refused, field="tracks")
    joint_indices(layout(tracks[0].layout), LIMBS)
    fetched = model_uris.fetch(config.aligner, "aligner")
    network, _, sha256 = load_aligner(fetched.file, config.trust, fetched.sha256)
    return Job(config, tracks, network, fetched.name, sha256, refused)


def survey(job: Job) -> Work:
    """Find out what the output holds."""
    output = job.config.output
    missing = [file for file in job.files if not storage.exists(embeddings_uri(output, file, job.sha256))]
    return Work(missing, storage.exists(storage.join(output, REPORT)))


def execute(job: Job, work: Work, on_progress: Callable[[Progress], None]) -> dict[str, Any]:
    """Embed what is missing; returns the report, which is also written to `report.json`.

    Raises:
        RunFailed: The output cannot be written.
    """
    output = job.config.output
    if work.missing:
        from pipelines.ray_cluster.files import each_file  # here: it loads Ray, which a finished job never needs

        embed_it = partial(embed_file, network=job.network, sha256=job.sha256, output=output)
        done, total = 0, sum(job.files[file] for file in work.missing)
        on_progress(Progress("embed", done, total, "tracks"))
        for tracks in each_file(work.missing, embed_it):
            done += tracks
            on_progress(Progress("embed", min(done, total), total, "tracks"))
    files = [embeddings_uri(output, file, job.sha256) for file in job.files]
    for outdated in set(storage.list_folder(storage.join(output, "embeddings"), ".parquet")) - set(files):
        storage.remove(outdated)
    rows = [row for file in files for row in storage.read_table(file, ["track_id", "frames", "error"]).to_pylist()]
    failed = dict(job.refused) | {row["track_id"]: row["error"] for row in rows if row["error"] is not None}
    report = {
        "format": FORMAT,
        "output": output,
        "aligner": job.name,
        "aligner_sha256": job.sha256,
        "frames_per_s": RATE,
        "tracks": len(rows),
        "frames": sum(row["frames"] for row in rows),
        "failed": failed,
        "digest": keypoint_reader.digest(files),
    }
    json_documents.write(storage.join(output, REPORT), report)
    return report

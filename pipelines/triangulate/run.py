"""The triangulate job from start to end.

1. `prepare`: addresses are resolved, sessions found, the calibration read.
2. `survey`: which sessions the output holds, and which it lacks.
3. `execute`: missing sessions are triangulated, then the report is written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.calibration.camera import Camera
from pipelines.calibration.read import read_cameras
from pipelines.io import json_documents, storage
from pipelines.io.manifest import Settings, require_same_settings
from pipelines.tracks.keypoint_reader import digest
from pipelines.triangulate import pipeline
from pipelines.triangulate.joint_places import read_places
from pipelines.triangulate.plan import SESSION, Session, sessions_of
from pipelines.triangulate.session import document_uri
from schemas.configs.triangulate import TriangulateConfig
from schemas.earlier_versions import values_if_absent
from schemas.job_config import listed
from schemas.progress import Progress

FORMAT = "raylift.triangulate/1"
REPORT = "report.json"


@dataclass(frozen=True)
class Job:
    """A triangulation that is known to be possible.

    Attributes:
        config: Its config, with absolute addresses.
        sessions: The sessions of its tracks.
        settings: What they depend on; an output never mixes two of them.
    """

    config: TriangulateConfig
    sessions: Sequence[Session]
    settings: Settings


@dataclass(frozen=True)
class Work:
    """What the output of a job holds and lacks.

    Attributes:
        done: What came of the sessions that it holds.
        missing: The sessions that it lacks.
        reported: Whether its report says so.
    """

    done: Sequence[Mapping[str, Any]]
    missing: Sequence[Session]
    reported: bool

    @property
    def nothing_to_do(self) -> bool:
        """Whether the output is complete."""
        return self.reported and not self.missing


def prepare(config: TriangulateConfig) -> Job:
    """Find the sessions, and check the calibration that they share.

    Raises:
        UserError: The tracks or the calibration cannot be read, or no two videos are views of one session.
    """
    config = config.model_copy(
        update={
            "tracks": tuple(map(storage.absolute, listed(config.tracks))),
            "calibration": storage.absolute(config.calibration),
            "output": storage.absolute(config.output),
        }
    )
    cameras: list[Camera] = [] if SESSION in config.calibration else read_cameras(config.calibration, config.unit_m)
    values = {
        "cameras": _described(cameras),
        "unit_m": config.unit_m,
        "sync_window_s": config.sync_window_s,
        "joint_map": None if config.joint_map is None else read_places(config.joint_map),
    }
    return Job(config, sessions_of(config.tracks, cameras), Settings(values, values_if_absent(TriangulateConfig)))


def _described(cameras: Sequence[Camera]) -> dict[str, Any]:
    """The facts about the shared cameras that the labels depend on."""
    return {
        camera.name: {
            "rotation": camera.rotation.round(9).ravel().tolist(),
            "translation": camera.translation.round(9).tolist(),
            "intrinsics": camera.intrinsics.model_dump(),
        }
        for camera in cameras
    }


def survey(job: Job) -> Work:
    """Compare the sessions with what the output holds.

    Raises:
        UserError: The output holds sessions with other settings.
    """
    output, done, missing = job.config.output, [], []
    settings = job.settings.as_read()
    for session in job.sessions:
        uri = document_uri(output, session.name)
        document = json_documents.read(uri, settings=dict, file=str) if storage.exists(uri) else None
        if document is not None:
            require_same_settings(output, document["settings"], settings)
        if document is None or document.get("data") != session.data:
            missing.append(session)
        elif storage.exists(storage.join(output, "tracks", document["file"])):
            done.append(document)
        else:
            missing.append(session)
    return Work(done, missing, storage.exists(storage.join(output, REPORT)))


def execute(job: Job, work: Work, on_progress: Callable[[Progress], None]) -> dict[str, Any]:
    """Triangulate what is missing; returns the report, which is also written to `report.json`.

    Raises:
        RunFailed: The output cannot be written.
    """
    documents = list(work.done)
    for number, document in enumerate(pipeline.run_sessions(work.missing, job.config, job.settings), start=1):
        documents.append(document)
        on_progress(Progress("triangulate", number, len(work.missing), "sessions"))
    output = job.config.output
    good = [document for document in documents if document["error"] is None]
    kept = {document["file"] for document in good}
    for file in storage.list_folder(storage.join(output, "tracks"), ".parquet"):
        if file.rpartition("/")[2] not in kept:
            storage.remove(file)
    files = storage.list_folder(storage.join(output, "tracks"), ".parquet")
    report = {
        "format": FORMAT,
        "output": output,
        "settings": job.settings,
        "sessions": len(documents),
        "failed": {document["session"]: document["error"] for document in documents if document["error"]},
        "people": sum(len(document["people"]) for document in good),
        "tracks": sum(document["tracks"] for document in good),
        "frames": sum(document["frames"] for document in good),
        "residual_px": _mean([document["residual_px"] for document in good]),
        "digest": digest(files),
        "notes": [f"{document['session']}: {note}" for document in good for note in document["notes"]],
    }
    json_documents.write(storage.join(output, REPORT), report)
    return report


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 2) if known else None

"""Which tracks a run has read, made anew and written, as MLflow has it."""

from collections.abc import Sequence

from pipelines.io import storage
from pipelines.mlflow_runs.history import JobRun, Reading

# Jobs that write tracks, and the folder of their output that holds them.
_WRITERS = {"label": "", "import_poses": "", "import_keypoints": "", "triangulate": "", "curate": "", "lift": "labels"}
# Jobs that make tracks of others, and the field that names these.
_REMAKERS = {"import_poses": "source.tracks", "triangulate": "tracks", "curate": "tracks"}
# Jobs that make a lifter or an aligner.
TRAININGS = ("train", "tune", "train_aligner")
# Fields in which jobs name videos.
VIDEOS = ("videos", "video")


def folder_of(address: str) -> str:
    """The output that tracks belong to: jobs write them to its folder tracks/."""
    folder = address.rpartition("/")[0] if address.endswith(".parquet") else address.rstrip("/")
    return folder.removesuffix("/tracks")


def readings(run: JobRun) -> Sequence[Reading]:
    """The tracks that a run has read; for the trials of a search, only the config tells them."""
    if run.readings or run.job not in TRAININGS:
        return run.readings
    given = (("training", "labeled"), ("unlabeled", "unlabeled"))
    return [Reading(context, tuple(read), "") for context, field in given if (read := run.addresses(field))]


def remade(run: JobRun) -> list[str]:
    """The tracks from which a run has made other tracks."""
    return run.addresses(_REMAKERS.get(run.job, ""))


def written_by(run: JobRun) -> str | None:
    """Where a run wrote tracks; None if it wrote none."""
    if run.job not in _WRITERS or not run.output or (run.job == "lift" and not run.addresses("video")):
        return None
    return storage.join(run.output, _WRITERS[run.job]) if _WRITERS[run.job] else run.output

"""Follows models, tracks and poses to what they were made from, and to what was made from them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from pipelines.io import storage
from pipelines.mlflow_runs.history import History, JobRun, Reading, Version
from pipelines.tracks.keypoint_reader import tracks_files
from schemas.errors import UserError
from schemas.job_config import SHIPPED_LIFTERS

# Jobs that write tracks, and the folder of their output that holds them.
_TRACKS = {"label": "", "import_poses": "", "import_keypoints": "", "triangulate": "", "curate": "", "lift": "labels"}
# Jobs that make a lifter or an aligner, and the fields in which jobs name one.
_TRAININGS, _MODELS = ("train", "tune", "train_aligner"), ("model", "weights", "aligner")
# What jobs make with a model, besides scores and other models.
_MADE = {"lift": "poses", "embed": "embeddings", "align": "alignment"}
# This many digits of a run's id or a digest are shown.
_SHORT = 12


@dataclass(frozen=True)
class Node:
    """A thing of a lineage.

    Attributes:
        kind: videos, file, tracks, run, model, scores, poses, embeddings or alignment.
        name: Its address, or the name of the run.
        note: What else is known of it; may be empty.
        run_id: The MLflow run that it is, or that made it; None if unknown.
        children: What it was made from, or what was made from it.
    """

    kind: str
    name: str
    note: str = ""
    run_id: str | None = None
    children: tuple["Node", ...] = ()


@dataclass(frozen=True)
class Lineage:
    """The result.

    Attributes:
        of: What was asked for.
        kind: What it is: model, tracks, poses or video.
        made_from: Its origins.
        made_with: What was made from it.
        notes: What could not be read any more.
    """

    of: str
    kind: str
    made_from: tuple[Node, ...]
    made_with: tuple[Node, ...]
    notes: tuple[str, ...] = ()


def trace(of: str, history: History) -> Lineage:
    """The lineage of a model (models:/…, a file, everyday), an output of lift, a folder of tracks, or a video.

    Args:
        of: As it was typed: of a video the end of its address is enough.
        history: What MLflow holds.

    Raises:
        UserError: No run in MLflow has read or written it.
    """
    tracer = _Tracer(history)
    if of.startswith("models:") or of in SHIPPED_LIFTERS:
        return tracer.of_model(of)
    address = storage.absolute(of)
    if address.endswith(".pt"):
        return tracer.of_model(address)
    if any(run.job == "lift" and run.output == address.rstrip("/") for run in history.runs):
        return tracer.of_poses(address)
    if tracer.knows_tracks(address):
        return Lineage(address, "tracks", tuple(tracer.writers(address)), tuple(tracer.readers(address)))
    return tracer.of_video(of, address)


class _Tracer:
    """Walks over the runs; everything that was reached once is not visited again."""

    def __init__(self, history: History) -> None:
        self._runs, self._versions = history.runs, history.versions
        self._walked: set[tuple[str, str]] = set()

    def of_model(self, model: str) -> Lineage:
        version = self._version(model)
        training = self._training(model, version)
        if version is None and training is None and not self._users(model, None):
            registered = ", ".join(each.address for each in self._versions[:10]) or "none"
            raise UserError(f"of={model}: no run has trained, registered or used it; registered are: {registered}")
        return Lineage(
            of=_version_name(version) if version else model,
            kind="model",
            made_from=() if training is None else (self._run(training),),
            made_with=tuple(self._made_with_model(model, version)),
        )

    def of_poses(self, output: str) -> Lineage:
        run = next(run for run in self._runs if run.job == "lift" and run.output == output.rstrip("/"))
        return Lineage(output, "poses", tuple(self._origins(run)), ())

    def of_video(self, video: str, address: str) -> Lineage:
        nodes, notes = [], []
        for folder in self._folders():
            try:
                if _shows(folder, {video, address}):
                    nodes.append(Node("tracks", folder, children=tuple(self.readers(folder))))
            except (UserError, OSError, ValueError) as error:
                notes.append(f"{folder}: cannot be read any more: {error}")
        if not nodes and not notes:
            raise UserError(
                f"of={video}: is no model, no output of lift, no tracks, and no video of any tracks that runs in "
                "MLflow have read or written; give the address as its tracks have it"
            )
        return Lineage(video, "video", (), tuple(nodes), tuple(notes))

    def knows_tracks(self, address: str) -> bool:
        """Whether some run has read or written tracks there."""
        return _folder(address) in self._folders()

    def writers(self, address: str) -> Iterator[Node]:
        """The newest run that wrote tracks, with its origins."""
        for run in self._runs:
            if _written_by(run) == _folder(address):
                yield self._run(run)
                return

    def readers(self, address: str) -> Iterator[Node]:
        """What was made from tracks: lifters, scores, poses, other tracks."""
        folder = _folder(address)
        for run in self._runs:
            contexts = [r.context for r in _readings(run) if folder in map(_folder, r.addresses)]
            if run.job in _TRAININGS and contexts:
                if self._first_time("train", run.run_id):
                    note = f"read as {' and '.join(dict.fromkeys(contexts))}"
                    yield Node("run", run.name, note, run.run_id, tuple(self._models_of(run)))
            elif run.job == "evaluate" and contexts:
                yield _scores(run)
            elif run.job in _MADE and (contexts or _written_by(run) == folder):
                yield Node(_MADE[run.job], run.output, run_id=run.run_id)
            elif folder in map(_folder, _remade(run)) and self._first_time("tracks", run.output):
                yield Node("tracks", run.output, run_id=run.run_id, children=tuple(self.readers(run.output)))

    def _run(self, run: JobRun) -> Node:
        children = tuple(self._origins(run)) if self._first_time("origins", run.run_id) else ()
        return Node("run", run.name, run_id=run.run_id, children=children)

    def _origins(self, run: JobRun) -> Iterator[Node]:
        """What a run has read."""
        for param in ("videos", "video"):
            yield from (Node("videos", address) for address in run.addresses(param))
        for name, value in run.params.items():
            # A source has other options too, such as its unit; addresses are recognised because they are absolute.
            if name.startswith("source.") and name != "source.tracks" and "/" in value:
                yield Node("file", value, name)
        if run.job == "triangulate":
            yield from (Node("file", address, "calibration") for address in run.addresses("calibration"))
        for address in _remade(run):
            yield self._tracks(address, "")
        for reading in _readings(run):
            for address in reading.addresses:
                digest = f", digest {reading.digest[:_SHORT]}" if reading.digest else ""
                yield self._tracks(address, f"{reading.context}{digest}")
        for param in _MODELS:
            for address in run.addresses(param):
                version = self._version(run.tags.get("raylift.model", address) if param != "weights" else address)
                training = self._training(address, version)
                children = () if training is None else (self._run(training),)
                yield Node("model", _version_name(version) if version else address, children=children)

    def _tracks(self, address: str, note: str) -> Node:
        return Node("tracks", address, note, children=tuple(self.writers(address)))

    def _models_of(self, training: JobRun) -> Iterator[Node]:
        """The lifters of a training: registered versions, and its file where that is used directly."""
        versions = [version for version in self._versions if version.run_id == training.run_id]
        for version in versions:
            uses = tuple(self._made_with_model(version.address, version))
            yield Node("model", _version_name(version), run_id=training.run_id, children=uses)
        file = f"{training.output}/best.pt"
        if uses := tuple(self._made_with_model(file, None)):
            yield Node("model", file, run_id=training.run_id, children=uses)

    def _made_with_model(self, model: str, version: Version | None) -> Iterator[Node]:
        key = version.address if version else model
        if not self._first_time("model", key):
            return
        for run in self._users(model, version):
            if run.job in _MADE:
                yield Node(_MADE[run.job], run.output, run_id=run.run_id)
            elif run.job == "evaluate":
                yield _scores(run)
            elif run.job in _TRAININGS:
                yield Node("run", run.name, "began with it", run.run_id, tuple(self._models_of(run)))

    def _users(self, model: str, version: Version | None) -> list[JobRun]:
        """The runs that have used a lifter: by its hash, its registered name or its address."""
        names = {model} if version is None else {model, version.address, *_aliased(version)}
        return [
            run
            for run in self._runs
            if (version is not None and run.tags.get("raylift.model_sha256") == version.sha256)
            or run.tags.get("raylift.model") in names
            or (
                "raylift.model" not in run.tags
                and names & {address for param in _MODELS for address in run.addresses(param)}
            )
        ]

    def _version(self, model: str) -> Version | None:
        """The registered version of an address; None if the address names no registered version."""
        return next((each for each in self._versions if model in (each.address, *_aliased(each))), None)

    def _training(self, model: str, version: Version | None) -> JobRun | None:
        """The run that trained a lifter; None if it is not known."""
        if version is not None:
            return next((run for run in self._runs if run.run_id == version.run_id), None)
        folder = model.rpartition("/")[0]
        return next((run for run in self._runs if run.job in _TRAININGS and run.output == folder), None)

    def _folders(self) -> list[str]:
        """Every folder of tracks that a run has read or written."""
        written = [folder for run in self._runs if (folder := _written_by(run))]
        read = [_folder(address) for run in self._runs for r in _readings(run) for address in r.addresses]
        return list(dict.fromkeys([*written, *read]))

    def _first_time(self, kind: str, key: str) -> bool:
        new = (kind, key) not in self._walked
        self._walked.add((kind, key))
        return new


def _folder(address: str) -> str:
    """The output that tracks belong to: jobs write them to its folder tracks/."""
    folder = address.rpartition("/")[0] if address.endswith(".parquet") else address.rstrip("/")
    return folder.removesuffix("/tracks")


def _readings(run: JobRun) -> Sequence[Reading]:
    """The tracks that a run has read; for the trials of a search, only the config tells them."""
    if run.readings or run.job not in _TRAININGS:
        return run.readings
    given = (("training", "labeled"), ("unlabeled", "unlabeled"))
    return [Reading(context, tuple(read), "") for context, field in given if (read := run.addresses(field))]


def _remade(run: JobRun) -> list[str]:
    """The tracks from which a run has made other tracks."""
    return run.addresses(
        {"import_poses": "source.tracks", "triangulate": "tracks", "curate": "tracks"}.get(run.job, "")
    )


def _written_by(run: JobRun) -> str | None:
    """Where a run wrote tracks; None if it wrote none."""
    if run.job not in _TRACKS or not run.output or (run.job == "lift" and not run.addresses("video")):
        return None
    return storage.join(run.output, _TRACKS[run.job]) if _TRACKS[run.job] else run.output


def _shows(folder: str, names: Collection[str]) -> bool:
    """Whether tracks belong to a video, which is named by its whole address or by the end of it."""
    inner = storage.join(folder, "tracks")
    return any(
        video in names or video.endswith(tuple(f"/{name}" for name in names))
        for file in tracks_files(inner if storage.exists(inner) else folder)
        for video in storage.read_table(file, ["video"])["video"].unique().to_pylist()
    )


def _scores(run: JobRun) -> Node:
    # Version 0.1.0 called this metric average.mpjpe_mm.
    error_mm = run.metrics.get("test/mpjpe_mm", run.metrics.get("average.mpjpe_mm"))
    return Node("scores", run.name, "" if error_mm is None else f"MPJPE {error_mm:.1f} mm", run.run_id)


def _aliased(version: Version) -> list[str]:
    name = version.address.removeprefix("models:/").rpartition("/")[0]
    return [f"models:/{name}@{alias}" for alias in version.aliases]


def _version_name(version: Version) -> str:
    return version.address + (f" ({', '.join(version.aliases)})" if version.aliases else "")

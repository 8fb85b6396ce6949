"""Follows models, tracks and poses to what they were made from, and to what was made from them."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.io import storage
from pipelines.io.addresses import require_no_web_server
from pipelines.lineage.run_tracks import TRAININGS, VIDEOS, folder_of, readings, remade, written_by
from pipelines.mlflow_runs.history import History, JobRun, Version
from pipelines.tracks.keypoint_reader import tracks_files
from schemas.errors import UserError
from schemas.job_config import SHIPPED_LIFTERS

# The fields in which jobs name a lifter or an aligner.
_MODELS = ("model", "weights", "aligner")
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
    return tracer.of_video(of, address.rstrip("/"))


class _Tracer:
    """Walks over the runs; everything that was reached once is not visited again."""

    def __init__(self, history: History) -> None:
        self._runs, self._versions, self._trained = history.runs, history.versions, history.trained
        self._walked: set[tuple[str, str]] = set()

    def of_model(self, model: str) -> Lineage:
        version, training = self._version(model), self._training(model)
        if version is None and training is None and not any(self._users(model)):
            registered = ", ".join(each.address for each in self._versions[:10]) or "none"
            raise UserError(f"of={model}: no run has trained, registered or used it; registered are: {registered}")
        return Lineage(
            of=_version_name(version) if version else model,
            kind="model",
            made_from=() if training is None else (self._run(training),),
            made_with=tuple(self._made_with_model(version.address if version else model)),
        )

    def of_poses(self, output: str) -> Lineage:
        run = next(run for run in self._runs if run.job == "lift" and run.output == output.rstrip("/"))
        return Lineage(output, "poses", tuple(self._origins(run)), ())

    def of_video(self, video: str, address: str) -> Lineage:
        nodes, notes = [], []
        given = {
            written_by(run)
            for run in self._runs
            if address in [each for name in VIDEOS for each in run.addresses(name)]
        }
        for folder in self._folders():
            try:
                if folder in given or _shows(folder, video, address):
                    nodes.append(Node("tracks", folder, children=tuple(self.readers(folder))))
            except (UserError, OSError, ValueError) as error:
                notes.append(f"{folder}: cannot be read any more: {error}")
        if not nodes and not notes:
            raise UserError(
                f"of={video}: is no model, no output of lift, no tracks, and no video of any tracks that runs in "
                "MLflow have read or written; give the address as its tracks have it, or what label was given"
            )
        return Lineage(video, "video", (), tuple(nodes), tuple(notes))

    def knows_tracks(self, address: str) -> bool:
        """Whether some run has read or written tracks there."""
        return folder_of(address) in self._folders()

    def writers(self, address: str) -> Iterator[Node]:
        """The newest run that wrote tracks, with its origins."""
        for run in self._runs:
            if written_by(run) == folder_of(address):
                yield self._run(run)
                return

    def readers(self, address: str) -> Iterator[Node]:
        """What was made from tracks: lifters, scores, poses, other tracks."""
        folder = folder_of(address)
        for run in self._runs:
            contexts = [r.context for r in readings(run) if folder in map(folder_of, r.addresses)]
            if run.job in TRAININGS and contexts:
                if self._first_time("train", run.run_id):
                    note = f"read as {' and '.join(dict.fromkeys(contexts))}"
                    yield Node("run", run.name, note, run.run_id, tuple(self._models_of(run)))
            elif run.job == "evaluate" and contexts:
                yield _scores(run)
            elif run.job in _MADE and (contexts or written_by(run) == folder):
                yield Node(_MADE[run.job], run.output, run_id=run.run_id)
            elif folder in map(folder_of, remade(run)) and self._first_time("tracks", run.output):
                yield Node("tracks", run.output, run_id=run.run_id, children=tuple(self.readers(run.output)))

    def _run(self, run: JobRun) -> Node:
        children = tuple(self._origins(run)) if self._first_time("origins", run.run_id) else ()
        return Node("run", run.name, run_id=run.run_id, children=children)

    def _origins(self, run: JobRun) -> Iterator[Node]:
        """What a run has read."""
        for param in VIDEOS:
            yield from (Node("videos", address) for address in run.addresses(param))
        for name, value in run.params.items():
            # A source has other options too, such as its unit; addresses are recognised because they are absolute.
            if name.startswith("source.") and name != "source.tracks" and "/" in value:
                yield Node("file", value, name)
        if run.job == "triangulate":
            yield from (Node("file", address, "calibration") for address in run.addresses("calibration"))
        for address in remade(run):
            yield self._tracks(address, "")
        for reading in readings(run):
            for address in reading.addresses:
                digest = f", digest {reading.digest[:_SHORT]}" if reading.digest else ""
                yield self._tracks(address, f"{reading.context}{digest}")
        for param in _MODELS:
            for address in run.addresses(param):
                used = param != "weights"
                version = self._version(run.tags.get("raylift.model", address) if used else address)
                sha256 = run.tags.get("raylift.model_sha256") if used else None
                training = self._training(version.address if version else address, sha256)
                children = () if training is None else (self._run(training),)
                yield Node("model", _version_name(version) if version else address, children=children)

    def _tracks(self, address: str, note: str) -> Node:
        return Node("tracks", address, note, children=tuple(self.writers(address)))

    def _models_of(self, training: JobRun) -> Iterator[Node]:
        """The lifters of a training: registered versions, and its files where these are used directly."""
        versions = [version for version in self._versions if version.run_id == training.run_id]
        for version in versions:
            uses = tuple(self._made_with_model(version.address))
            yield Node("model", _version_name(version), run_id=training.run_id, children=uses)
        files = {f"{training.output}/{name}" for name in ("best.pt", "last.pt")}
        files |= {each.file for each in self._trained if each.run_id == training.run_id}
        for file in sorted(files):
            if uses := tuple(self._made_with_model(file)):
                yield Node("model", file, run_id=training.run_id, children=uses)

    def _made_with_model(self, model: str) -> Iterator[Node]:
        if not self._first_time("model", self._sha256(model) or model):
            return
        for run in self._users(model):
            if run.job in _MADE:
                yield Node(_MADE[run.job], run.output, run_id=run.run_id)
            elif run.job == "evaluate":
                yield _scores(run)
            elif run.job in TRAININGS:
                yield Node("run", run.name, "began with it", run.run_id, tuple(self._models_of(run)))

    def _users(self, model: str) -> Iterator[JobRun]:
        """The runs that have used a lifter: by its hash, wherever the file was by then; else by its name or address."""
        names, sha256 = {model}, self._sha256(model)
        if sha256 is not None:
            names |= {each.file for each in self._trained if each.sha256 == sha256}
            same = [each for each in self._versions if each.sha256 == sha256]
            names |= {name for each in same for name in (each.address, *_aliased(each))}
        for run in self._runs:
            used, name = run.tags.get("raylift.model_sha256"), run.tags.get("raylift.model")
            given = {address for param in _MODELS for address in run.addresses(param)} if name is None else {name}
            if used == sha256 if used and sha256 else names & given:
                yield run

    def _version(self, model: str) -> Version | None:
        """The registered version of an address; None if the address names no registered version."""
        return next((each for each in self._versions if model in (each.address, *_aliased(each))), None)

    def _sha256(self, model: str) -> str | None:
        """The hash of a lifter's file; None if MLflow does not have it."""
        version = self._version(model)
        trained = next((each.sha256 for each in self._trained if each.file == model), None)
        return trained if version is None else version.sha256

    def _training(self, model: str, sha256: str | None = None) -> JobRun | None:
        """The run that trained a lifter, of which the hash may be known; None if it is not known."""
        version, sha256 = self._version(model), sha256 or self._sha256(model)
        trained = {each.run_id for each in self._trained if each.sha256 == sha256}
        if version is not None:
            trained = {version.run_id}
        if trained:
            return next((run for run in self._runs if run.run_id in trained and run.job in TRAININGS), None)
        folder = model.rpartition("/")[0]
        return next((run for run in self._runs if run.job in TRAININGS and run.output == folder), None)

    def _folders(self) -> list[str]:
        """Every folder of tracks that a run has read or written."""
        written = [folder for run in self._runs if (folder := written_by(run))]
        read = [folder_of(address) for run in self._runs for r in readings(run) for address in r.addresses]
        return list(dict.fromkeys([*written, *read]))

    def _first_time(self, kind: str, key: str) -> bool:
        new = (kind, key) not in self._walked
        self._walked.add((kind, key))
        return new


def _shows(folder: str, video: str, address: str) -> bool:
    """Whether tracks belong to a video, named by its whole address or by the end of it, or to one of a folder.

    Raises:
        UserError: The tracks cannot be read, or are on a web server.
    """
    require_no_web_server(folder, "a run")
    inner = storage.join(folder, "tracks")
    return any(
        each in (video, address) or each.endswith((f"/{video}", f"/{address}")) or each.startswith(f"{address}/")
        for file in tracks_files(inner if storage.exists(inner) else folder)
        for each in storage.read_table(file, ["video"])["video"].unique().to_pylist()
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

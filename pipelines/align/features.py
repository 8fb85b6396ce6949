"""What frames are compared by: poses and velocities, or the embeddings of an aligner."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from scipy.spatial.distance import pdist

from pipelines.aligners.sequences import RATE, Sequence
from pipelines.io import json_documents, storage
from pipelines.io.columns import misfit, text_of
from pipelines.io.parquet import ParquetTable
from schemas import FORMAT_KEY, WEIGHTS_KEY
from schemas.errors import UserError
from schemas.formats.embeddings import EMBEDDINGS, FORMAT

Vectors = Float32[np.ndarray, "frames features"]


class Compared(NamedTuple):
    """The features of a recording.

    Attributes:
        track_id: Of the recording.
        start_s: When its first frame is shown, s of its video.
        vectors: Of each frame.
    """

    track_id: str
    start_s: float
    vectors: Vectors

    def time_s(self, frame: int) -> float:
        """When a frame is shown, s of the video."""
        return self.start_s + frame / RATE


@dataclass(frozen=True)
class Features:
    """What frames are compared by, such that distances can be compared with the bounds of the job.

    Attributes:
        vectors: The features of a recording.
        unit: The distance that counts as 1: a trunk size, or the mean one between frames of the reference.
        sha256: Hash of the aligner's file; None without one.
        dimensions: How many numbers a frame has; None without an aligner.
    """

    vectors: Callable[[Sequence], Vectors] = Sequence.features
    unit: float = 1.0
    sha256: str | None = None
    dimensions: int | None = None

    def __call__(self, person: Sequence) -> Vectors:
        """The features of a recording."""
        return self.vectors(person) / np.float32(self.unit)

    def of(self, person: Sequence) -> Compared:
        """The same, with its name and time."""
        return Compared(person.track_id, person.start_s, self(person))


def features_of(aligner: str | None, reference: Sequence, trust: str | None = None) -> Features:
    """The features to compare frames by: the embeddings of an aligner, or without one poses and velocities.

    Args:
        aligner: Its address.
        reference: Joints count by how much they move in it, so that a waving hand is not lost among joints at rest.
            With an aligner, the mean distance of its frames from each other is 1.
        trust: The class outside this package that the aligner may name.

    Raises:
        UserError: There is no such aligner, or the poses are lifted, or there are too few for it.
        RunFailed: MLflow's server, which has the aligner, cannot be reached.
    """
    if aligner is None:
        weights = reference.moving()
        return Features(lambda person: person.features(weights))
    from pipelines.aligners.base import embed  # here: it loads PyTorch
    from pipelines.aligners.checkpoint import load_aligner
    from pipelines.mlflow_runs import model_uris

    fetched = model_uris.fetch(aligner, "aligner")
    network, _, sha256 = load_aligner(fetched.file, trust, fetched.sha256)
    embedded = embed(network, reference).numpy()
    unit = max(1e-6, float(pdist(embedded).mean()))
    return Features(lambda person: embed(network, person).numpy(), unit, sha256, embedded.shape[1])


def corpus_files(address: str) -> list[str]:
    """The files of embeddings in an output of the embed job, or in the folder embeddings/ of one.

    Raises:
        UserError: There are no files of embeddings.
    """
    inner = storage.join(address, "embeddings")
    files = storage.list_folder(inner, ".parquet") or storage.list_folder(address, ".parquet")
    if not files:
        raise UserError(f"corpus={address}: holds no embeddings; write some with raylift embed")
    return files


def read_corpus(address: str, features: Features) -> Iterator[Compared]:
    """Recordings that were embedded before, one file in memory at a time.

    Args:
        address: Output of the embed job, or the folder embeddings/ in it.
        features: Those of the same aligner.

    Raises:
        UserError: There are no embeddings, or another aligner made them.
    """
    for file in corpus_files(address):
        with json_documents.damage(f"corpus={file}"), storage.open_table(file) as opened:
            recordings = list(_recordings(address, file, opened, features))
        yield from recordings


def _recordings(address: str, file: str, opened: ParquetTable, features: Features) -> Iterator[Compared]:
    """The recordings in an open file of embeddings."""
    metadata = opened.schema.metadata
    if text_of(metadata, FORMAT_KEY) != FORMAT:
        raise UserError(f"corpus={address}: {file} holds no embeddings; give an output of raylift embed")
    if wrong := misfit(opened.schema, EMBEDDINGS, EMBEDDINGS.names):
        raise UserError(f"corpus={address}: {file} {wrong}; embed it again")
    made_by = text_of(metadata, WEIGHTS_KEY)
    if made_by != features.sha256:
        raise UserError(
            f"corpus={address}: was embedded by another aligner (SHA-256 {made_by[:12]}…) than this one "
            f"({str(features.sha256)[:12]}…); embed it again, or give that aligner"
        )
    table = opened.read(["track_id", "frames", "times_s", "vectors"])
    for index, frames in enumerate(table["frames"].to_pylist()):
        if frames:
            flat = table["vectors"][index].values.to_numpy(zero_copy_only=False).astype(np.float32)
            start_s = table["times_s"][index][0].as_py()
            if not len(flat):
                raise ValueError("a track has frames and no vectors")
            vectors = flat.reshape(frames, -1) / np.float32(features.unit)
            if features.dimensions not in (None, vectors.shape[1]):
                raise ValueError(f"a frame has {vectors.shape[1]} numbers, the aligner makes {features.dimensions}")
            yield Compared(table["track_id"][index].as_py(), start_s, vectors)

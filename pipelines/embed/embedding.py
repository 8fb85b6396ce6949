"""Embeds the tracks of a file, and keeps the embeddings in a file of its own."""

from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pipelines.aligners.checkpoint import load_aligner
from pipelines.aligners.network import Aligner
from pipelines.aligners.sequences import of_keypoints
from pipelines.io import storage
from pipelines.io.shards import FINISHED, digest, shard_metadata
from pipelines.tracks.keypoint_reader import TrackInfo, survey
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.normalised import LIMBS
from pipelines.tracks.read_one_by_one import read_one_by_one
from schemas import WEIGHTS_KEY
from schemas.errors import UserError
from schemas.formats.embeddings import EMBEDDINGS, FORMAT


def embeddings_uri(output: str, file: str, sha256: str) -> str:
    """Where the embeddings of a tracks file are kept; another aligner, or another file, has another address."""
    fs, path = storage.filesystem(file)
    name = digest([FORMAT, sha256, storage.absolute(file), fs.size(path)])
    return storage.join(output, "embeddings", f"{FINISHED}{name}.parquet")


def embed_file(file: str, aligner: str, output: str) -> int:
    """Embed all tracks of a file and write the embeddings; returns the number of tracks.

    Raises:
        UserError: There is no such aligner.
        RunFailed: They cannot be written.
    """
    model, sha256 = _loaded(aligner)
    rows = [_row(model, info, track) for info, track in read_one_by_one(survey(file))]
    metadata = shard_metadata(FORMAT, {}, LIMBS.name) | {WEIGHTS_KEY: sha256.encode()}
    table = pa.Table.from_pylist(rows, schema=EMBEDDINGS.with_metadata(metadata))
    storage.write_table(embeddings_uri(output, file, sha256), table)
    return len(rows)


@cache
def _loaded(aligner: str) -> tuple[Aligner, str]:
    """Once in each process, on one thread, as Ray runs a process on each CPU."""
    torch.set_num_threads(1)
    return load_aligner(aligner)


def _row(model: Aligner, info: TrackInfo, track: KeypointTrack | str) -> dict[str, Any]:
    failed = {"track_id": info.track_id, "video": "", "frames": 0, "times_s": [], "vectors": []}
    if isinstance(track, str):
        return failed | {"error": track}
    try:
        person = of_keypoints(track)
        vectors = model.embed(person).numpy().astype(np.float16)
    except UserError as error:
        return failed | {"video": track.video, "error": str(error)}
    times = [person.time_s(frame) for frame in range(len(person))]
    known = {"video": track.video, "frames": len(person), "times_s": times, "vectors": vectors.ravel()}
    return failed | known | {"error": None}

"""Embeds the tracks of a file, and keeps the embeddings in a file of its own."""

from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pipelines.aligners.base import AlignerNetwork, embed
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


def embed_file(file: str, network: AlignerNetwork, sha256: str, output: str) -> int:
    """Embed all tracks of a file and write the embeddings; returns the number of tracks.

    Args:
        file: The file.
        network: The aligner, in evaluation mode.
        sha256: Hash of the aligner's file.
        output: Output of the job.

    Raises:
        RunFailed: The embeddings cannot be written.
    """
    torch.set_num_threads(1)  # because Ray runs one process per CPU
    rows = [_row(network, info, track) for info, track in read_one_by_one(survey(file))]
    metadata = shard_metadata(FORMAT, {}, LIMBS.name) | {WEIGHTS_KEY: sha256.encode()}
    table = pa.Table.from_pylist(rows, schema=EMBEDDINGS.with_metadata(metadata))
    storage.write_table(embeddings_uri(output, file, sha256), table)
    return len(rows)


def _row(network: AlignerNetwork, info: TrackInfo, track: KeypointTrack | str) -> dict[str, Any]:
    failed = {"track_id": info.track_id, "video": "", "frames": 0, "times_s": [], "vectors": []}
    if isinstance(track, str):
        return failed | {"error": track}
    try:
        person = of_keypoints(track)
        vectors = embed(network, person).numpy().astype(np.float16)
    except UserError as error:
        return failed | {"video": track.video, "error": str(error)}
    times = [person.time_s(frame) for frame in range(len(person))]
    known = {"video": track.video, "frames": len(person), "times_s": times, "vectors": vectors.ravel()}
    return failed | known | {"error": None}

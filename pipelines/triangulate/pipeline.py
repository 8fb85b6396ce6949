"""The triangulation of many sessions on Ray. The only file of this folder that knows Ray."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import ray
from ray.data import DataContext

from pipelines.ray_cluster import session as ray_session
from pipelines.ray_cluster.pools import rows_or_failure
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.triangulate.plan import Session
from pipelines.triangulate.session import triangulate_session
from schemas.configs.triangulate import TriangulateConfig
from schemas.errors import RunFailed

# This size is above that of the rows that a session returns to the driver.
BLOCK_BYTES = 1_000_000
MAX_BLOCKS = 10_000
_ROW = pa.schema([("document", pa.string()), ("run_failed", pa.string())])


def run_sessions(
    sessions: Sequence[Session], config: TriangulateConfig, settings: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Triangulate sessions; yields the result of each once it is on disk.

    Raises:
        RunFailed: The output cannot be written.
    """
    if len(sessions) == 1:  # starting Ray would take longer than the work
        yield triangulate_session(sessions[0], config, settings)
        return
    ray_session.connect()
    DataContext.get_current().target_max_block_size = BLOCK_BYTES
    items = ray.data.from_items(
        [{"session": json.dumps(asdict(session))} for session in sessions],
        override_num_blocks=min(len(sessions), MAX_BLOCKS),
    )
    values, shared = config.model_dump(), dict(settings)

    def work(batch: pa.Table) -> pa.Table:
        rows = []
        for item in batch.to_pylist():
            try:
                document = triangulate_session(_session(item["session"]), TriangulateConfig(**values), shared)
                rows.append({"document": json.dumps(document), "run_failed": None})
            except RunFailed as error:
                rows.append({"document": None, "run_failed": str(error)})
        return pa.Table.from_pylist(rows, schema=_ROW)

    # Each session gets one CPU, because it is arithmetic in one process.
    done = items.map_batches(work, batch_size=1, batch_format="pyarrow", num_cpus=1)
    for row in rows_or_failure(done):
        yield json.loads(row["document"])


def _session(text: str) -> Session:
    values = json.loads(text)
    tracks = {camera: [TrackInfo(**track) for track in of] for camera, of in values["tracks"].items()}
    return Session(values["name"], tracks)

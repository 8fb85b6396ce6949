"""The label stages, called as Ray calls them, where a store is lost: the job ends, and no video is blamed for it."""

import hashlib

import pyarrow as pa
import pytest
from cluster.store_proxy import BUCKET

from pipelines.io import storage
from pipelines.label.decode import DecodeClips
from pipelines.label.plan import PlanClips
from pipelines.label.write import WriteDetections
from pipelines.video.isolated import READER
from schemas.configs.label import DecodeConfig
from schemas.formats.detections import DETECTIONS, PLANNED, TRANSIT_FIELDS
from schemas.formats.videos import VideoSource

VIDEO = f"s3://{BUCKET}/lost/v.mp4"
GONE = "has failed for 1 s"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path / "cache"))


def plan(*uris, done=None):
    """Rows of the plan stage."""
    sources = [VideoSource(uri=uri).model_dump_json() for uri in uris]
    columns = {"source": pa.array(sources), "done": pa.array([done] * len(uris), pa.list_(pa.int32()))}
    tables = PlanClips(DecodeConfig(), READER)(pa.table(columns))
    return [row for table in tables for row in table.to_pylist()]


def test_a_video_that_is_missing_is_an_error_row_also_where_its_first_clip_is_done(s3):
    [row] = plan(VIDEO, done=[0])
    assert (row["video"], row["error"], row["run_failed"]) == (VIDEO, "not found", None)


def test_a_lost_store_is_not_an_error_of_the_video_that_is_planned(s3, tmp_path):
    s3.close()
    lost, also_lost, missing = plan(VIDEO, f"{VIDEO}2", f"{tmp_path}/missing.mp4")
    assert all(GONE in row["run_failed"] and row["error"] is None for row in (lost, also_lost))
    assert missing["run_failed"] is None
    assert "no such file" in missing["error"].lower()


def test_a_lost_store_is_not_an_error_of_the_clip_that_is_decoded(s3):
    s3.close()
    row = dict.fromkeys(PLANNED.names) | {"clip_id": "0", "video": VIDEO, "timestamps_s": [0.0, 0.1]}
    row |= {"clip_index": 0, "clip_count": 1, "start_frame": 0, "stop_frame": 2}
    [table] = DecodeClips(DecodeConfig(), READER)(pa.Table.from_pylist([row], schema=PLANNED))
    [decoded_row] = table.to_pylist()
    assert GONE in decoded_row["run_failed"]
    assert (decoded_row["error"], decoded_row["decoded"]) == (None, [False, False])


def test_finished_clips_are_written_though_others_of_their_batch_lost_the_store(tmp_path):
    known = {"weights_sha256": hashlib.sha256(b"").hexdigest(), "layout": "coco17", "user_error": None}
    rows = []
    for number, reason in enumerate((None, "the store is gone", None)):
        row = dict.fromkeys([*DETECTIONS.names, *(field.name for field in TRANSIT_FIELDS)])
        row |= {"clip_id": str(number), "video": "v.mp4", "clip_index": number, "clip_count": 3, "start_frame": 0}
        row |= {"stop_frame": 0, "timestamps_s": [], "decoded": [], "people": [], "detections": 0, "run_failed": reason}
        rows.append(row | known)
    reason = [pa.field(name, pa.string()) for name in known]
    batch = pa.Table.from_pylist(rows, schema=pa.schema([*DETECTIONS, *TRANSIT_FIELDS, *reason]))
    result = WriteDetections(str(tmp_path), {})(batch)
    assert result["run_failed"].to_pylist() == [None, "the store is gone", None]
    [file] = storage.list_folder(str(tmp_path), ".parquet")
    assert storage.read_table(file)["clip_id"].to_pylist() == ["0", "2"]

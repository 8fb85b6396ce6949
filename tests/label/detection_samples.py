"""Detections as the label job writes them, made by hand."""

import hashlib

import pyarrow as pa

from pipelines.io.shards import digest
from pipelines.label.ledger import SHARDS
from schemas.formats.detections import DETECTIONS
from schemas.formats.videos import VideoSource

SETTINGS = {"detector": "by_hand"}
_TRANSIT = [pa.field("weights_sha256", pa.string()), pa.field("layout", pa.string())]


def person(left: float, score: float = 0.9, size: float = 40.0) -> dict:
    """Somebody who stands at `left`, px."""
    points = [left + size * n / 16 for n in range(17) for _ in range(2)]
    box = [left, left, left + size, left + size]
    return {"box": box, "score": score, "keypoints": points, "keypoint_scores": [score] * 17}


def clip(video: str, index: int, count: int = 10, people: list | None = None, **changes) -> dict:
    """A row of detections: a finished clip of four frames, nobody in it, unless the arguments say else."""
    frames, people = 4, people or [[]] * 4
    start = index * frames
    return (
        dict.fromkeys(DETECTIONS.names)
        | {
            "clip_id": digest([video, start, start + frames]),
            "video": video,
            "clip_index": index,
            "clip_count": count,
            "start_frame": start,
            "stop_frame": start + frames,
            "timestamps_s": [number / 10 for number in range(start, start + frames)],
            "width": 640,
            "height": 360,
            "fps": 10.0,
            "decoder": "pyav",
            "decoded": [True] * frames,
            "people": people,
            "detections": sum(map(len, people)),
        }
        | changes
    )


def write_shard(folder, rows) -> None:
    """Write rows as one batch of the job."""
    known = [row | {"weights_sha256": hashlib.sha256(b"a").hexdigest(), "layout": "coco17"} for row in rows]
    table = pa.Table.from_pylist(known, schema=pa.schema([*DETECTIONS, *_TRANSIT]))
    SHARDS.write(str(folder), table, SETTINGS)


def sources(*uris: str) -> list[VideoSource]:
    """Videos of which no more is known."""
    return [VideoSource(uri=uri) for uri in uris]

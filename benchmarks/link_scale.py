"""Linking 10,000 tracks: seconds, tracks/s of one core, peak memory.

python benchmarks/link_scale.py [videos] [clips of each]

2,000 videos of 3 clips (138 frames) in which five people walk about, so 10,000 tracks; planned into shards and linked
one shard after the other in a fresh process of one thread, as each worker of the job does. `8 196` is one shard about
as full as it may be. Peak memory is that of the process (`ru_maxrss`), imports included. Prints one JSON line.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.io import storage
from pipelines.io.shards import digest
from pipelines.label.ledger import SHARDS, read_ledger
from pipelines.label.link import link_videos
from pipelines.label.link_shards import MAX_WEIGHT, plan_link_shards
from pipelines.label.report import count_rows
from schemas.configs.link import LinkConfig
from schemas.formats.detections import DETECTIONS

PEOPLE, FRAMES, FPS = 5, 46, 30
JOINTS = 17
SHARD = 32
ROOT = Path(__file__).parents[1]
SETTINGS = {"detector": "synthetic"}


def walk(rng: np.random.Generator, clips: int) -> pa.Array:
    """The people of all frames of a video: list<list<person>>, a list a clip."""
    times_s = np.arange(clips * FRAMES)[:, None] / FPS
    height = rng.uniform(80, 200, PEOPLE)
    start, speed = rng.uniform(0, 1280, PEOPLE), rng.uniform(-100, 100, PEOPLE)
    x = start + speed * times_s + rng.normal(0, 1, (len(times_s), PEOPLE))
    y = np.linspace(100, 500, PEOPLE) + rng.normal(0, 1, x.shape)
    boxes = np.stack([x, y, x + height / 3, y + height], -1)
    joints = rng.uniform(0, 1, (1, PEOPLE, JOINTS, 2)) * (boxes[..., None, 2:] - boxes[..., None, :2])
    keypoints = joints + boxes[..., None, :2] + rng.normal(0, 1, (*x.shape, JOINTS, 2))
    many = x.size
    person = DETECTIONS.field("people").type.value_type.value_type
    struct = pa.StructArray.from_arrays(
        [
            pa.FixedSizeListArray.from_arrays(pa.array(boxes.ravel(), pa.float32()), 4),
            pa.array(rng.uniform(0.6, 1, many), pa.float32()),
            _lists(pa.array(keypoints.ravel(), pa.float32()), many),
            _lists(pa.array(rng.uniform(0.3, 1, many * JOINTS), pa.float32()), many),
        ],
        fields=list(person),
    )
    return _lists(_lists(struct, clips * FRAMES), clips)


def write_detections(folder: str, videos: int, clips: int) -> None:
    """Shards of as many clips as the job writes, and whole videos at least."""
    rng, shard = np.random.default_rng(0), list[pa.Table]()
    for number in range(videos):
        rows = [_clip(f"/videos/{number:06d}.mp4", index, clips) for index in range(clips)]
        video = pa.Table.from_pylist(rows, schema=DETECTIONS)
        people = walk(rng, clips).cast(DETECTIONS.field("people").type)
        shard.append(video.set_column(DETECTIONS.get_field_index("people"), DETECTIONS.field("people"), people))
        if len(shard) * clips >= SHARD or number == videos - 1:
            batch = pa.concat_tables(shard)
            for name, value in (("weights_sha256", "0" * 64), ("layout", "coco17")):
                batch = batch.append_column(name, pa.array([value] * len(batch)))
            SHARDS.write(folder, batch, SETTINGS)
            shard.clear()


def link(folder: str) -> None:
    """Plan and link all; print what it took."""
    before_gib = _peak_gib()
    started, cpu_s = time.perf_counter(), time.process_time()
    ledger = read_ledger(f"{folder}/detections", SETTINGS)
    shards = plan_link_shards(f"{folder}/tracks", ledger, [], {})
    planned_s = time.perf_counter() - started
    tracks = sum(link_videos(shard, LinkConfig(), None) for shard in shards)
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
    files = storage.list_folder(f"{folder}/tracks")
    assert count_rows(files) == tracks
    figures = {
        "tracks": tracks,
        "people_in_frames": int(ledger.videos["detections"].to_numpy().sum()),
        "frames": int(ledger.videos["frames"].to_numpy().sum()),
        "files": len(files),
        "planned_s": planned_s,
        "seconds": seconds,
        "cpu_s": cpu_s,
        "tracks_per_s": tracks / seconds,
        "tracks_per_cpu_s": tracks / cpu_s,
        "frames_per_cpu_s": int(ledger.videos["frames"].to_numpy().sum()) / cpu_s,
        "peak_gib": _peak_gib(),
        "imports_gib": before_gib,
        "most_weight": MAX_WEIGHT,
    }
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _lists(values: pa.Array, count: int) -> pa.ListArray:
    """Values in `count` lists of one length."""
    return pa.ListArray.from_arrays(pa.array(np.linspace(0, len(values), count + 1), pa.int32()), values)


def _clip(video: str, index: int, clips: int) -> dict[str, object]:
    start, stop = index * FRAMES, (index + 1) * FRAMES
    return {
        **{"clip_id": digest([video, start, stop]), "video": video, "clip_index": index, "clip_count": clips},
        **{"start_frame": start, "stop_frame": stop, "timestamps_s": [n / FPS for n in range(start, stop)]},
        **{"width": 1280, "height": 720, "fps": FPS, "decoded": [True] * FRAMES, "people": [[]] * FRAMES},
        "detections": PEOPLE * FRAMES,
    }


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--link"]:
        link(sys.argv[2])
        return
    videos, clips = map(int, sys.argv[1:] or (2000, 3))
    with tempfile.TemporaryDirectory() as folder:
        write_detections(f"{folder}/detections", videos, clips)
        command = [sys.executable, __file__, "--link", folder]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    print(json.dumps({"benchmark": "link_scale", "videos": videos, "clips": clips, **json.loads(done.stdout)}))


if __name__ == "__main__":
    main()

"""Planning and resuming `label` over a catalogue of a million clips, which nobody can wait to see labeled.

python benchmarks/label_scale.py [videos] [clips of each]

Writes a manifest and the shards that the job itself would have written (32 clips each, 46 frames a clip, nobody in
them), none, every second one, then all; before each a fresh process surveys the output as the job does: it reads the
manifest and the ledger and finds what is left. At the end it also writes the report, and `status` looks at the output.
Peak memory is that of the process (`ru_maxrss`). Prints one JSON line. A million clips need 2 GB of disk.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.command_line.arguments import read_config
from pipelines.io import storage
from pipelines.io.shards import digest
from pipelines.label import report, run
from pipelines.label.ledger import SHARDS
from pipelines.label.pipeline import to_blocks
from pipelines.label.status import status
from schemas.configs.label import LabelConfig
from schemas.formats.detections import DETECTIONS
from schemas.formats.tracks import TRACKS

FRAMES, FPS = 46, 30
ROOT = Path(__file__).parents[1]


def config_of(folder: str) -> LabelConfig:
    """The job over the manifest of a folder."""
    return read_config(LabelConfig, [f"videos={folder}/manifest.parquet", f"output={folder}/out"])


def write_manifest(folder: str, videos: int) -> list[str]:
    """A manifest of videos with subjects and cameras; returns their addresses."""
    uris = [f"{folder}/videos/part-{number // 1000:04d}/video-{number:08d}.mp4" for number in range(videos)]
    camera = {name: [1000.0] * videos for name in ("fx", "fy", "cx", "cy")}
    subjects = [f"S{number % 100}" for number in range(videos)]
    pq.write_table(pa.table({"uri": uris, "subject": subjects, **camera}), f"{folder}/manifest.parquet")
    return uris


def batches(uris: list[str], clips: int, size: int) -> Iterator[pa.Table]:
    """Detections of all clips, in batches as the job writes them."""
    schema = pa.schema([*DETECTIONS, pa.field("weights_sha256", pa.string()), pa.field("layout", pa.string())])
    row = dict.fromkeys(schema.names) | {
        **{"subject": "S1", "clip_count": clips, "timestamps_s": [n / FPS for n in range(FRAMES)], "width": 1280},
        **{"height": 720, "fps": FPS, "codec": "h264", "plan_s": 0.001, "decoder": "decord", "decode_s": 0.2},
        **{"decoded": [True] * FRAMES, "people": [[]] * FRAMES, "detections": 0, "detect_s": 0.8},
        **{"clip_id": "", "video": "", "clip_index": 0, "start_frame": 0, "stop_frame": 0},
        **{"weights_sha256": "0" * 64, "layout": "coco17"},
    }
    alike = pa.Table.from_pylist([row] * size, schema=schema)
    for start in range(0, len(uris) * clips, size):
        numbers = np.arange(start, min(start + size, len(uris) * clips))
        videos = [uris[number // clips] for number in numbers]
        starts = numbers % clips * FRAMES
        stops = starts + FRAMES
        own = {
            "clip_id": [digest([u, int(a), int(b)]) for u, a, b in zip(videos, starts, stops, strict=True)],
            "video": videos,
            "clip_index": numbers % clips,
            "start_frame": starts,
            "stop_frame": stops,
        }
        batch = alike.slice(0, len(numbers))
        for name, values in own.items():
            field = schema.field(name)
            batch = batch.set_column(schema.get_field_index(name), field, pa.array(values, field.type))
        yield batch


def write_shards(folder: str, uris: list[str], clips: int, odd: bool) -> None:
    """Every second shard of the output."""
    config = config_of(folder)
    job = run.prepare(config)
    for number, batch in enumerate(batches(uris, clips, config.workers.clips_per_file)):
        if number % 2 == odd:
            SHARDS.write(job.detections, batch, job.settings)


def write_tracks(folder: str) -> None:
    """A file without tracks for every shard, as linking writes it where nobody was found."""
    config = config_of(folder)
    for shard in run.survey(run.prepare(config)).unlinked:
        storage.write_table(shard.uri, TRACKS.empty_table())


def survey(folder: str, finish: bool) -> None:
    """What the job does before its first clip, and after its last; print what it took."""
    config = config_of(folder)
    times_s = [time.perf_counter()]

    def lap() -> float:
        times_s.append(time.perf_counter())
        return times_s[-1] - times_s[-2]

    cpu_s = time.process_time()
    job = run.prepare(config)
    figures = {"manifest_s": lap()}
    work = run.survey(job)
    figures |= {"survey_s": lap(), "todo_videos": len(work.videos), "unlinked_files": len(work.unlinked)}
    figures |= {"blocks": sum(1 for _ in to_blocks(work.videos, work.ledger)), "to_blocks_s": lap()}
    figures["seconds"] = times_s[-1] - times_s[0]
    if finish:
        report.write_report(job, work.ledger, report.Tally(), report.Clock(0, 0, 0), 0.0)
        figures["report_s"] = lap()
    figures |= {
        "cpu_s": time.process_time() - cpu_s,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    print(json.dumps(figures))


def look(folder: str) -> None:
    """What `status` does; print what it took."""
    started, cpu_s = time.perf_counter(), time.process_time()
    progress = status(f"{folder}/out")
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"clips": progress["clips"], "seconds": seconds, "cpu_s": cpu_s, "peak_gib": peak_gib}))


def in_a_process(step: str, folder: str) -> dict[str, float]:
    """Run one step in a process of its own; returns what it printed."""
    done = subprocess.run(
        [sys.executable, __file__, "--step", step, folder], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return {name: round(value, 2) for name, value in json.loads(done.stdout).items()}


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--step"]:
        _, step, folder = sys.argv[1:]
        look(folder) if step == "status" else survey(folder, finish=step == "finish")
        return
    videos, clips = map(int, sys.argv[1:] or (100_000, 10))
    with tempfile.TemporaryDirectory() as folder:
        uris = write_manifest(folder, videos)
        result: dict[str, object] = {"benchmark": "label_scale", "videos": videos, "clips": videos * clips}
        result["none"] = in_a_process("survey", folder)
        write_shards(folder, uris, clips, odd=False)
        result["half"] = in_a_process("survey", folder)
        write_shards(folder, uris, clips, odd=True)
        write_tracks(folder)
        result["all"] = in_a_process("finish", folder)
        result["status"] = in_a_process("status", folder)
    print(json.dumps(result))


if __name__ == "__main__":
    main()

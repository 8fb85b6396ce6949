"""The label pipeline on an embedded Ray: what a user sees of a folder of videos, good and bad."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from jobs.command_line.arguments import read_config
from pipelines.io import storage
from pipelines.label import run
from pipelines.label.pipeline import PLANNER, WRITER, clips_per_run, size_pools
from pipelines.label.status import status
from pipelines.ray_cluster.pools import Capacity, Pool
from pipelines.video.isolated import READER
from schemas.configs.label import LabelConfig, WorkersConfig
from schemas.errors import RunFailed, UserError
from schemas.formats.detections import DETECTIONS
from schemas.formats.tracks import TRACKS

pytestmark = pytest.mark.ray

# Eight frames of 160x120 to a clip: small videos of many clips.
FIELDS = ["detector=bright_spot:BrightSpot", "decode.clip_mb=0.5", "workers.clips_per_file=3", "link.min_track_s=0.2"]


def label(videos, output, *fields, reader=READER):
    """Run the job's work; returns its report."""
    config = read_config(LabelConfig, [f"videos={videos}", f"output={output}", *FIELDS, *fields])
    job, progress = replace(run.prepare(config), reader=reader), []
    report = run.execute(job, run.survey(job), progress.append)
    assert all(0 <= p.done <= p.total + 1e-6 for p in progress)
    return report


def rows(output, kind):
    files = storage.list_folder(f"{output}/{kind}", ".parquet")
    return pa.concat_tables(storage.read_table(file) for file in files).to_pylist()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, make_video):
    folder = tmp_path_factory.mktemp("corpus")
    make_video(folder / "a.mp4", frames=40, fps=20)
    make_video(folder / "b.mp4", frames=25, fps=10, start=50)
    make_video(folder / "nobody.mp4", frames=20, square=0)
    return folder


@pytest.fixture(scope="module")
def labeled(corpus, tmp_path_factory, embedded_ray):
    output = tmp_path_factory.mktemp("labeled") / "out"
    return output, label(corpus, output)


def test_every_frame_of_every_video_is_in_the_detections(labeled, corpus):
    output, report = labeled
    result = rows(output, "detections")
    assert len({row["clip_id"] for row in result}) == len(result) == report["clips"] == 5 + 4 + 3
    assert sum(len(row["timestamps_s"]) for row in result) == report["frames"] == 85
    assert all(row["error"] is None and row["decoder"] in ("decord", "pyav") for row in result)
    schema = storage.read_schema(storage.list_folder(f"{output}/detections")[0])
    assert schema.remove_metadata().equals(DETECTIONS.remove_metadata())
    assert schema.metadata[b"raylift.layout"] == b"coco17"
    assert schema.metadata[b"raylift.format"] == b"raylift.detections/1"
    assert {b"raylift.version", b"raylift.weights_sha256", b"raylift.settings"} < schema.metadata.keys()


def test_each_person_is_one_track_in_full_size_pixels(labeled, corpus):
    output, report = labeled
    assert report["tracks"] == 2
    first, second = sorted(rows(output, "tracks"), key=lambda row: row["video"])
    assert first["video"] == str(corpus / "a.mp4")
    assert (first["frames"], first["start_frame"], first["width"], first["height"]) == (40, 0, 160, 120)
    assert first["fps"] == pytest.approx(20)
    assert first["timestamps_s"] == pytest.approx(np.arange(40) / 20)
    boxes = np.reshape(first["boxes"], (40, 4))
    truth = np.array([[10, 40, 40, 70]]) + np.arange(40)[:, None] * [[2, 0, 2, 0]]
    assert np.abs(boxes - truth).max() < 3, "chroma subsampling blurs an edge by two pixels"
    assert (first["layout"], first["intrinsics_provenance"], first["positions"]) == ("coco17", "none", None)
    assert second["fps"] == pytest.approx(10)
    schema = storage.read_schema(storage.list_folder(f"{output}/tracks")[0])
    assert schema.remove_metadata().equals(TRACKS.remove_metadata())


def test_a_clip_without_people_is_done_not_failed(labeled, corpus):
    output, report = labeled
    empty = [row for row in rows(output, "detections") if row["video"].endswith("nobody.mp4")]
    assert len(empty) == 3
    assert all(row["detections"] == 0 and row["error"] is None for row in empty)
    assert report["videos_failed"] == 0


def test_the_report_counts_what_was_done(labeled):
    output, report = labeled
    assert json.loads((output / "report.json").read_text()) == report
    assert report["videos"] == 3
    assert report["people_in_frames"] == 65
    assert sum(report["decoders"].values()) == 3
    assert report["run"]["frames"] == 85
    assert set(report["run"]["stages"]) == {"plan", "decode", "detect", "write", "link"}
    assert report["run"]["stages"]["decode"]["frames_per_s"] > 0
    assert report["run"]["peak_memory_mb"] > 50


def test_the_output_tells_its_status(labeled):
    output, report = labeled
    result = status(str(output))
    assert (result["state"], result["stage"], result["failures"]) == ("finished", None, [])
    assert result["videos"] == {"planned": 3, "finished": 3, "failed": 0, "in_progress": 0, "settled": 3.0}
    assert result["tracks"] == {"linked": True, "files": 1, "tracks": report["tracks"]}
    assert (result["clips"], result["frames"], result["people_in_frames"]) == (12, 85, 65)


def test_the_second_time_there_is_nothing_to_do(labeled, corpus):
    output, _ = labeled
    config = read_config(LabelConfig, [f"videos={corpus}", f"output={output}", *FIELDS])
    assert run.survey(run.prepare(config)).nothing_to_do


def test_only_what_is_missing_is_done_and_the_result_is_the_same(labeled, corpus, tmp_path):
    output, _ = labeled
    whole = {f.name: f.read_bytes() for f in (output / "tracks").iterdir()}
    partial = tmp_path / "out"
    (partial / "detections").mkdir(parents=True)
    for number, file in enumerate(sorted((output / "detections").glob("*.parquet"))):
        if number % 2:
            (partial / "detections" / file.name).write_bytes(file.read_bytes())
    (partial / "detections" / ".tmp-77-part-x.parquet").write_bytes(b"half a file of a killed job")
    before = len(rows(partial, "detections"))
    report = label(corpus, partial)
    assert report["run"]["clips"] == 12 - before
    ids = [row["clip_id"] for row in rows(partial, "detections")]
    assert len(ids) == len(set(ids)) == 12
    assert {f.name: f.read_bytes() for f in (partial / "tracks").iterdir()} == whole
    assert not list((partial / "detections").glob(".tmp*"))


def test_videos_may_be_added_and_corrected_without_losing_others(labeled, corpus, tmp_path, embedded_ray):
    output = tmp_path / "out"
    label(corpus / "a.mp4", output)
    manifest = tmp_path / "m.csv"
    manifest.write_text(f"uri,subject,fx,fy,cx,cy\n{corpus}/b.mp4,S1,100,100,80,60\n")
    assert label(manifest, output)["run"]["frames"] == 25
    tracks = {row["video"][-5:]: row for row in rows(output, "tracks")}
    assert set(tracks) == {"a.mp4", "b.mp4"}
    assert tracks["b.mp4"]["intrinsics_provenance"] == "calibrated"
    assert (tracks["b.mp4"]["subject"], tracks["b.mp4"]["intrinsics"]["fx"]) == ("S1", 100)
    manifest.write_text(f"uri,subject,fx,fy,cx,cy\n{corpus}/b.mp4,S2,100,100,80,60\n")
    assert label(manifest, output, "assumed_fov_deg=60")["run"]["frames"] == 0
    tracks = {row["video"][-5:]: row for row in rows(output, "tracks")}
    assert tracks["b.mp4"]["subject"] == "S2"
    assert tracks["a.mp4"]["intrinsics_provenance"] == "assumed_fov"
    assert tracks["a.mp4"]["intrinsics"]["fx"] == pytest.approx(80 / np.tan(np.radians(30)))


def test_settings_are_never_mixed_in_one_output(labeled, corpus):
    output, _ = labeled
    with pytest.raises(UserError, match=r"was begun with decode.max_side=640, now decode.max_side=100; give the same"):
        label(corpus, output, "decode.max_side=100")


def test_weights_are_never_mixed_in_one_output(labeled, corpus, tmp_path, make_video):
    output, _ = labeled
    more = make_video(tmp_path / "more.mp4")
    with pytest.raises(UserError, match=r"detector.weights: SHA-256 is .*, the output was begun with"):
        label(more, output, "detector.weights=b")


def test_files_that_are_no_videos_become_rows_with_a_reason(corpus, tmp_path, embedded_ray):
    videos, output = tmp_path / "videos", tmp_path / "out"
    videos.mkdir()
    (videos / "a.mp4").write_bytes((corpus / "a.mp4").read_bytes())
    (videos / "text.mp4").write_text("not a video")
    (videos / "empty.mp4").write_bytes(b"")
    report = label(videos, output)
    assert report["videos_failed"] == 2
    assert [f["video"].rsplit("/", 1)[1] for f in report["failures"]] == ["empty.mp4", "text.mp4"]
    assert "0 bytes" in report["failures"][0]["reason"]
    assert report["tracks"] == 1
    # Mended, it is done by the same command; its old failure is gone.
    (videos / "text.mp4").write_bytes((corpus / "b.mp4").read_bytes())
    (videos / "empty.mp4").unlink()
    report = label(videos, output)
    assert (report["videos_failed"], report["tracks"], report["run"]["frames"]) == (0, 2, 25)


@pytest.mark.parametrize(
    ("reader", "reason"),
    [("hostile:Aborts", "the decoder crashed (SIGABRT), 2 times"), ("hostile:Hangs", "took longer than 1 s")],
)
def test_a_decoder_that_crashes_or_hangs_is_an_error_row(reader, reason, corpus, tmp_path, embedded_ray):
    report = label(corpus, tmp_path / "out", "decode.timeout_s=1", reader=reader)
    assert report["videos_failed"] == 1
    failures = [f for f in report["failures"] if f["video"].endswith("b.mp4")]
    assert len(failures) == 1
    assert reason in failures[0]["reason"]
    assert report["tracks"] == 1, "the other videos are labeled"


def test_a_full_disk_ends_the_job_with_one_line_and_no_half_file(corpus, tmp_path, embedded_ray):
    import subprocess

    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        with pytest.raises(RunFailed, match=r"No space left on device; what is finished is kept") as error:
            label(corpus, disk)
        assert len(str(error.value).splitlines()) == 1
        assert not list(disk.rglob(".tmp*"))
        for file in (disk / "detections").iterdir():
            storage.read_table(str(file))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_remote_videos_pass_through_the_cache(corpus, tmp_path, embedded_ray, monkeypatch):
    import functools
    import http.server
    import threading

    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(corpus))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        report = label(f"http://127.0.0.1:{server.server_port}/a.mp4", tmp_path / "out")
    finally:
        server.shutdown()
    assert (report["frames"], report["tracks"]) == (40, 1)


@pytest.mark.parametrize("cpus", [1, 2, 3, 8, 64])
@pytest.mark.parametrize(
    ("gpus", "fields"),
    [(0, {}), (0, {"detectors": 100}), (1, {"gpus_per_detector": 0.5}), (8, {"gpus_per_detector": 1, "decoders": 30})],
)
def test_all_processes_fit_the_machine_at_once(cpus, gpus, fields):
    """Otherwise two stages could wait for each other for ever."""
    detectors, decoders = size_pools(WorkersConfig(**fields), Capacity(cpus, gpus))
    assert (decoders is None) == (gpus == 0), "on CPUs each detector decodes its own clips"
    reserved_cpus = sum(pool.size * pool.cpus for pool in (detectors, decoders, PLANNER, WRITER) if pool)
    assert reserved_cpus <= cpus + 1e-9


def test_the_default_fills_the_machine():
    assert size_pools(WorkersConfig(), Capacity(64))[0].size == 64
    detectors, decoders = size_pools(WorkersConfig(gpus_per_detector=0.5), Capacity(32, 4))
    assert (detectors.size, detectors.gpus) == (8, 0.5)
    assert decoders is not None
    assert decoders.size == 24
    assert size_pools(WorkersConfig(gpus_per_detector=0.3), Capacity(32, 8))[0].size == 24, "3 on each GPU, not 26"
    assert size_pools(WorkersConfig(gpus_per_detector=2), Capacity(32, 5))[0].size == 2


def test_gpus_are_refused_where_the_detector_would_leave_them_idle(tmp_path):
    config = read_config(LabelConfig, [f"videos={tmp_path}", f"output={tmp_path}/out", "workers.gpus_per_detector=1"])
    with pytest.raises(UserError, match=r"^workers.gpus_per_detector=1: detector=blazepose computes on CPUs alone"):
        run.prepare(config)


@pytest.mark.parametrize(("videos", "run"), [(1, 1), (2, 2), (8, 2), (32, 4), (10_000, 8)])
def test_with_few_videos_runs_of_clips_are_short(videos, run):
    """At the end of a corpus the processes wait for the last run."""
    assert clips_per_run(videos, Pool(2, 1.0)) == run


def test_on_gpus_decoding_and_detecting_are_stages_of_their_own_with_the_same_result(labeled, corpus, tmp_path):
    output, _ = labeled
    assert label(corpus, tmp_path / "out", "workers.gpus_per_detector=0.5", "workers.decoders=1")["tracks"] == 2
    assert rows(tmp_path / "out", "tracks") == rows(output, "tracks")

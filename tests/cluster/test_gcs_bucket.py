"""Label, train and lift entirely in a bucket of Google's kind, through faults and a kill."""

from collections import Counter

import numpy as np
import pytest
from cluster.bucket_jobs import filled, start_in
from cluster.gcs_process import ERRORS, KIND, gcs_environment, running_gcs
from cluster.store_proxy import BUCKET, Proxy
from running_jobs import finish, kill_once, wait_for
from train.training_samples import person, write

from pipelines.io import storage
from pipelines.io.stores.gcs import GcsStore
from pipelines.tracks.lifted_reader import read_lifted
from schemas.errors import UserError

# Two processes with a Ray each, one after another: on a busy machine each start takes a minute.
# What it shows of jobs, tests/cluster/test_object_store.py shows in every run with an S3 store.
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

INPUTS = f"gs://{BUCKET}/inputs"
OUTPUT = f"gs://{BUCKET}/out"
VIDEOS = 2
LABEL = [
    *("label", f"videos={INPUTS}/videos", f"output={OUTPUT}/labels", "detector=bright_spot:BrightSpot"),
    *("detector.delay_s=0.02", "decode.max_side=160", "decode.clip_mb=0.4", "workers.clips_per_file=2"),
    "assumed_fov_deg=60",
]
TRAIN = [
    *("train", f"labeled={INPUTS}/labeled", f"unlabeled={OUTPUT}/labels/tracks", f"output={OUTPUT}/lifter"),
    *("lifter.filter_widths=[3,3]", "lifter.channels=16", "optimization.epochs=3"),
    *("optimization.batch_size=64", "resources.cpus_per_worker=1"),
]
LIFT = [
    *("lift", f"model={OUTPUT}/lifter/last.pt", f"tracks={OUTPUT}/labels/tracks", f"output={OUTPUT}/poses"),
    "export=npz",
]


@pytest.fixture
def server(tmp_path, make_video, plugin_path):
    """A server with videos and labeled tracks in its bucket; this process speaks to it too."""
    folder = tmp_path / "inputs"
    for number in range(VIDEOS):
        make_video(folder / "videos" / f"{number}.mp4", frames=60, fps=30, size=(640, 360), square=120, speed=4.0)
    write(folder / "labeled", person("a", 200, layout="coco17"))
    with running_gcs() as address, filled(INPUTS, folder, GcsStore, gcs_environment(address)):
        yield address


def clip_ids():
    files = storage.list_folder(f"{OUTPUT}/labels/detections", ".parquet")
    return Counter(clip for file in files for clip in storage.read_table(file, ["clip_id"])["clip_id"].to_pylist())


def now_and_then(number, method, path):
    """Every ninth request meets one kind of fault after another."""
    return None if number % 9 else ("busy", "reset", "lost", "short", "cut", 1.0)[number // 9 % 6]


def test_a_killed_job_goes_on_in_a_bucket_that_fails_now_and_then(server, tmp_path):
    proxy = Proxy(server, now_and_then, ERRORS, KIND)
    try:
        job = start_in(tmp_path / "jobs", proxy.address, LABEL, environment=gcs_environment)
        wait_for(job, lambda: storage.list_folder(f"{OUTPUT}/labels/detections"))
        refused = rf"output={OUTPUT}/labels: another job is writing here \(.*, process {job.pid}\)"
        with pytest.raises(UserError, match=refused):
            storage.sole_writer(f"{OUTPUT}/labels").__enter__()
        kill_once(job, lambda: True)
        begun = clip_ids()
        steps = LABEL, TRAIN, LIFT
        text = finish(start_in(tmp_path / "jobs", proxy.address, *steps, *steps, environment=gcs_environment))
    finally:
        proxy.close()
    assert begun
    assert begun.keys() < clip_ids().keys(), "killed half way, and gone on with"
    assert set(clip_ids().values()) == {1}, "none twice"
    poses = [row for file in storage.list_folder(f"{OUTPUT}/poses", ".parquet") for row in read_lifted(file)]
    assert len(poses) == len({row.track_id for row in poses}) == VIDEOS
    assert all(np.isfinite(row.positions).all() for row in poses)
    assert len(storage.list_folder(f"{OUTPUT}/poses/npz")) == VIDEOS
    for job, what in (("label", f"{VIDEOS} videos are labeled"), ("train", ""), ("lift", f"{VIDEOS} tracks are")):
        assert f"{job}: nothing to do: " in text
        assert what in text
    assert {"busy", "reset", "lost", "short", "cut", 1.0} <= proxy.done.keys(), proxy.done
    for folder in ("labels", "lifter", "poses"):
        assert not storage.exists(f"{OUTPUT}/{folder}/.lock")

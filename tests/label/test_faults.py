"""Kill tests: SIGKILL to the driver, a detector, a decoder. After a relaunch nothing is lost and nothing is twice."""

import os
from collections import Counter

import psutil
import pytest
from mlflow_store import new_store
from running_jobs import Job, finish, processes_below, wait_for

from pipelines.io import storage

pytestmark = pytest.mark.ray


def start(corpus, output):
    """Start the job."""
    fields = (f"videos={corpus}", f"output={output}", "detector=bright_spot:BrightSpot", "detector.delay_s=0.02")
    return Job(["label", *fields, "decode.max_side=160", "decode.clip_mb=0.4", "workers.clips_per_file=2"])


def first_file(output):
    return lambda: storage.list_folder(f"{output}/detections", ".parquet")


def clip_ids(output):
    files = storage.list_folder(f"{output}/detections", ".parquet")
    return Counter(clip for file in files for clip in storage.read_table(file, ["clip_id"])["clip_id"].to_pylist())


def tracks(output):
    return {f.name: storage.read_table(str(f)) for f in (output / "tracks").glob("*.parquet")}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, make_video):
    folder = tmp_path_factory.mktemp("faults")
    for number in range(3):
        # Large frames, scaled down while decoding: decoding takes long enough to be interrupted.
        make_video(folder / f"{number}.mp4", frames=100, fps=30, size=(1280, 720), square=240, speed=5.0)
    return folder


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory, plugin_path):
    folder = tmp_path_factory.mktemp("undisturbed")
    os.environ["MLFLOW_TRACKING_URI"] = new_store(folder)
    finish(start(corpus, folder / "out"))
    return folder / "out"


def assert_same(output, undisturbed):
    assert clip_ids(output) == clip_ids(undisturbed), "no clip lost, none twice"
    assert set(clip_ids(output).values()) == {1}
    assert tracks(output) == tracks(undisturbed)


def test_the_driver_is_killed_half_way(corpus, undisturbed, tmp_path):
    output = tmp_path / "out"
    job = start(corpus, output)
    wait_for(job, first_file(output))
    working = processes_below(job.pid, "ray::MapWorker") + processes_below(job.pid, "pipelines.video.child")
    assert working
    job.kill()
    job.wait()
    assert psutil.wait_procs(working, timeout=30)[1] == [], "no worker outlives the job"
    done = sum(clip_ids(output).values())
    assert 0 < done < sum(clip_ids(undisturbed).values())
    finish(start(corpus, output))
    assert_same(output, undisturbed)
    assert "nothing to do: all 3 videos are labeled" in finish(start(corpus, output))


@pytest.mark.parametrize("who", ["detector actor", "its decoding child"])
def test_a_worker_is_killed_half_way(who, corpus, undisturbed, tmp_path):
    output = tmp_path / "out"
    job = start(corpus, output)
    wait_for(job, first_file(output))
    actor = processes_below(job.pid, "ray::MapWorker", "DecodeAndDetect")[0]
    victim = actor if who == "detector actor" else actor.children()[0]
    victim.kill()
    finish(job)
    assert_same(output, undisturbed)

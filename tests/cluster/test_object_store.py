"""Label, train and lift entirely in a bucket: through kills, refusals, delays and lost connections, to the same end."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from cluster.store_proxy import BUCKET, KEYS, Proxy, environment, running_store
from train.training_samples import person, write

from pipelines import storage
from pipelines.datasets.lifted_reader import read_lifted
from pipelines.object_store import ObjectStore

# Five processes with a Ray each, one after another: on a busy machine each start takes a minute.
pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
INPUTS = f"s3://{BUCKET}/inputs"
VIDEOS = 3
# Jobs one after another in one process: a Ray to start for all of them.
SERIES = """
import json, sys
from jobs.cli import run_job
for name, *arguments in json.loads(sys.argv[1]):
    if code := run_job(name, arguments):
        raise SystemExit(code)
"""


def label(output, *more):
    return [
        *("label", f"videos={INPUTS}/videos", f"output={output}/labels", "detector=bright_spot:BrightSpot"),
        *("detector.delay_s=0.01", "decode.max_side=160", "decode.clip_mb=0.4", "workers.clips_per_file=2"),
        *("assumed_fov_deg=60", *more),
    ]


def train(output):
    return [
        *("train", f"labeled={INPUTS}/labeled", f"unlabeled={output}/labels/tracks", f"output={output}/lifter"),
        *("lifter.filter_widths=[3,3]", "lifter.channels=16", "optimization.epochs=12"),
        *("optimization.batch_size=64", "resources.cpus_per_worker=1"),
    ]


def lift(output):
    return [
        *("lift", f"model={output}/lifter/last.pt", f"tracks={output}/labels/tracks", f"output={output}/poses"),
        "export=npz",
    ]


class Series:
    """Jobs in a process of their own."""

    def __init__(self, folder, address, *jobs, patience_s=60.0):
        folder.mkdir(exist_ok=True, parents=True)
        self.said = folder / f"said-{len(list(folder.iterdir()))}.txt"
        variables = environment(address, patience_s)
        variables |= {"RAYLIFT_CACHE": str(folder / "cache"), "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERIES, json.dumps(jobs)],
                cwd=ROOT,
                env=os.environ | variables,
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def wait_for(self, happened):
        """Until `happened()` is truthy."""
        deadline = time.monotonic() + 240
        while not happened():
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill_once(self, happened):
        """Kill it half way."""
        self.wait_for(happened)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self, code=0):
        """Wait for it; returns what it said."""
        assert self.process.wait(timeout=280) == code, self.said.read_text()
        return self.said.read_text()


@pytest.fixture(scope="module")
def store(tmp_path_factory, make_video, plugin_path):
    """A server with videos and labeled tracks in its bucket; this process speaks to it too."""
    folder = tmp_path_factory.mktemp("inputs")
    for number in range(VIDEOS):
        make_video(folder / "videos" / f"{number}.mp4", frames=60, fps=30, size=(640, 360), square=120, speed=4.0)
    write(folder / "labeled", person("a", 200, layout="coco17"))
    with running_store() as address, pytest.MonkeyPatch.context() as patch:
        for name, value in environment(address).items():
            patch.setenv(name, value)
        ObjectStore.clear_instance_cache()
        for file in sorted(folder.rglob("*.*")):
            storage.write_bytes(f"{INPUTS}/{file.relative_to(folder)}", file.read_bytes())
        yield address
    ObjectStore.clear_instance_cache()


@pytest.fixture(scope="module")
def undisturbed(store, tmp_path_factory):
    output = f"s3://{BUCKET}/undisturbed"
    Series(tmp_path_factory.mktemp("undisturbed"), store, label(output), train(output), lift(output)).end()
    return output


def clip_ids(output):
    files = storage.list_folder(f"{output}/labels/detections", ".parquet")
    return Counter(clip for file in files for clip in storage.read_table(file, ["clip_id"])["clip_id"].to_pylist())


def tracks(output):
    files = storage.list_folder(f"{output}/labels/tracks", ".parquet")
    return {file.rpartition("/")[2]: storage.read_table(file) for file in files}


def weights(output):
    data = storage.read_bytes(f"{output}/lifter/last.pt")
    return torch.load(io.BytesIO(data), weights_only=True)["weights"]


def poses(output):
    rows = [row for file in storage.list_folder(f"{output}/poses", ".parquet") for row in read_lifted(file)]
    assert len({row.track_id for row in rows}) == len(rows), "none twice"
    return {row.track_id: row.positions.tolist() for row in rows}


class NowAndThen:
    """Every seventh request meets the kind of fault that was least often so far; some others are late."""

    def __init__(self):
        self._met: dict[str, int] = dict.fromkeys(["busy", "reset", "lost", "cut", "short"], 0)

    def __call__(self, number, method, path):
        if number % 7:
            return 2.0 if number % 60 == 1 else None
        # Bodies are cut short on their way to the store or from it.
        left_out = "short" if method == "PUT" else "cut"
        kind = min((kind for kind in self._met if kind != left_out), key=lambda kind: self._met[kind])
        self._met[kind] += 1
        return kind


def test_killed_jobs_on_a_store_that_fails_now_and_then_end_as_if_undisturbed(store, undisturbed, tmp_path):
    proxy, output = Proxy(store, NowAndThen()), f"s3://{BUCKET}/disturbed"
    steps = label(output), train(output), lift(output)
    try:
        job = Series(tmp_path, proxy.address, *steps)
        job.kill_once(lambda: storage.list_folder(f"{output}/labels/detections"))
        assert 0 < len(clip_ids(output)) < len(clip_ids(undisturbed))
        job = Series(tmp_path, proxy.address, *steps)
        job.kill_once(lambda: storage.exists(f"{output}/lifter/checkpoints/epoch-000003/metrics.json"))
        assert not storage.exists(f"{output}/lifter/report.json")
        said = Series(tmp_path, proxy.address, *steps, *steps).end()
    finally:
        proxy.close()
    assert clip_ids(output) == clip_ids(undisturbed), "no clip lost, none twice"
    assert set(clip_ids(output).values()) == {1}
    assert tracks(output) == tracks(undisturbed)
    assert weights(output).keys() == weights(undisturbed).keys()
    assert all(torch.equal(value, weights(undisturbed)[name]) for name, value in weights(output).items())
    assert poses(output) == poses(undisturbed)
    assert len(storage.list_folder(f"{output}/poses/npz")) == len(poses(output)) == VIDEOS
    for job, what in (("label", f"{VIDEOS} videos are labeled"), ("train", ""), ("lift", f"{VIDEOS} tracks are")):
        assert f"{job}: nothing to do: " in said
        assert what in said
    assert "nothing to do: all 3 videos" in said.partition("epoch")[0], "once the third process began"
    assert {"busy", "reset", "lost", "cut", "short", 2.0} <= proxy.done.keys(), proxy.done
    assert f"{output}/labels/.lock" not in storage.list_folder(f"{output}/labels")


def test_a_store_that_is_gone_for_good_is_told_in_one_line(store, tmp_path):
    proxy, output = Proxy(store), f"s3://{BUCKET}/cut-off"
    job = Series(tmp_path, proxy.address, label(output, "detector.delay_s=0.05"), patience_s=3)
    job.wait_for(lambda: storage.list_folder(f"{output}/labels/detections"))
    proxy.close()
    said = job.end(code=1)
    last = said.splitlines()[-1]
    assert last.startswith(f"label: s3://{BUCKET}/")
    assert f"{proxy.address} has failed for 3 s" in last
    assert "run the same command" in last
    assert "Traceback" not in said
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in said

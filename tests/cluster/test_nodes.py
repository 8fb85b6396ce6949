"""Jobs on clusters of several nodes, some of which are lost or join late: each ends with the undisturbed result."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from mlflow_store import new_store
from nodes import Machines
from running_jobs import checkpoints, finish, same_weights, wait_for
from train.training_samples import person, write

from pipelines.io import storage

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
SPOT = ("detector=bright_spot:BrightSpot", "decode.max_side=160", "decode.clip_mb=0.4", "workers.clips_per_file=2")
EPOCHS = 12
STOPPED_S = 60


@pytest.fixture(scope="module")
def head(plugin_path):
    """A head without CPUs."""
    cluster = Machines()
    yield cluster
    cluster.end()


@pytest.fixture
def machines(head):
    """The head, to which a test adds machines of its own."""
    yield head
    head.leave_all()


@pytest.fixture(scope="module")
def videos(tmp_path_factory, make_video):
    folder = tmp_path_factory.mktemp("nodes")
    for number in range(4):
        make_video(folder / f"{number}.mp4", frames=80, fps=30, size=(160, 120))
    return folder


@pytest.fixture(scope="module")
def labels(videos, embedded_ray, tmp_path_factory):
    """What labeling gives where nothing happens: (clips, tracks)."""
    from jobs.command_line.main import run_job

    output = tmp_path_factory.mktemp("labels") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", new_store(output.parent))
        assert run_job("label", [f"videos={videos}", f"output={output}", *SPOT]) == 0
    return labels_in(output)


def labels_in(output):
    """The clips, how often each is there, and the tracks by file."""
    files = storage.list_folder(f"{output}/detections", ".parquet")
    clips = Counter(clip for file in files for clip in storage.read_table(file, ["clip_id"])["clip_id"].to_pylist())
    return clips, {file.name: storage.read_table(str(file)) for file in Path(output, "tracks").glob("*.parquet")}


def first_file(output):
    return lambda: storage.list_folder(f"{output}/detections", ".parquet")


def label(machines, videos, output, delay_s, *fields):
    return machines.start(
        "label", f"videos={videos}", f"output={output}", *SPOT, f"detector.delay_s={delay_s}", *fields
    )


def test_labeling_loses_a_node(machines, videos, labels, tmp_path):
    machines.join(num_cpus=1)
    lost = machines.join(num_cpus=1)
    job = label(machines, videos, tmp_path / "out", 0.03)
    wait_for(job, first_file(tmp_path / "out"))
    wait_for(job, lambda: lost.processes("ray::MapWorker"))
    machines.leave(lost)
    assert 0 < sum(labels_in(tmp_path / "out")[0].values()) < sum(labels[0].values()), "half way"
    finish(job)
    assert labels_in(tmp_path / "out") == labels


def test_labeling_uses_a_node_that_joins_late(machines, videos, labels, tmp_path):
    machines.join(num_cpus=1)
    job = label(machines, videos, tmp_path / "out", 0.1)
    wait_for(job, first_file(tmp_path / "out"))
    late = machines.join(num_cpus=1)
    wait_for(job, lambda: late.processes("ray::MapWorker"))
    finish(job)
    assert labels_in(tmp_path / "out") == labels


def test_frames_are_decoded_on_cpu_nodes_and_looked_at_on_gpu_nodes(machines, videos, labels, tmp_path):
    cpus = machines.join(num_cpus=2)
    # A GPU in name only: the plug-in asks for none.
    gpus = machines.join(num_cpus=1, num_gpus=1)
    job = label(machines, videos, tmp_path / "out", 0.03, "workers.gpus_per_detector=1")
    wait_for(job, lambda: cpus.processes("DecodeClips") and gpus.processes("DetectPeople"))
    assert not cpus.processes("DetectPeople")
    finish(job)
    assert labels_in(tmp_path / "out") == labels


def test_frames_that_exceed_the_store_twenty_times_are_not_spilled(machines, make_video, tmp_path):
    """Where frames pass from decoders to detectors, through Ray's object store."""
    store = 80_000_000
    machines.join(num_cpus=2, num_gpus=1, object_store_memory=store)
    for number in range(3):
        make_video(tmp_path / "videos" / f"{number}.mp4", frames=220, fps=30, size=(1280, 720), square=240, speed=4.0)
    size = ("workers.gpus_per_detector=1", "decode.max_side=1280", "decode.clip_mb=12")
    spot = "detector=bright_spot:BrightSpot"
    job = machines.start("label", f"videos={tmp_path}/videos", f"output={tmp_path}/out", spot, *size)
    finish(job)
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert (report["videos_failed"], report["tracks"], report["frames"]) == (0, 3, 660)
    decoded = 660 * 1280 * 720 * 3
    assert decoded > 20 * store
    store_bytes = machines.stores()
    assert store_bytes["created"] > decoded, "the frames went through the store"
    assert store_bytes["spilled"] <= 0.1 * decoded


@pytest.mark.slow
def test_labeling_outlasts_a_process_that_stands_still(machines, videos, labels, tmp_path):
    machines.join(num_cpus=1)
    machine = machines.join(num_cpus=1)
    job = label(machines, videos, tmp_path / "out", 0.03)
    wait_for(job, first_file(tmp_path / "out"))
    (stopped, *_) = wait_for(job, lambda: machine.processes("DecodeAndDetect"))
    stopped.send_signal(signal.SIGSTOP)
    time.sleep(STOPPED_S)
    stopped.send_signal(signal.SIGCONT)
    finish(job)
    assert labels_in(tmp_path / "out") == labels


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write(tmp_path_factory.mktemp("mocap") / "labeled", person("a", 300), person("b", 300, subject="S2"))


def training(corpus, output):
    return [
        *(f"labeled={corpus}", f"output={output}", "data.validation_subjects=[S2]", "lifter.filter_widths=[3,3]"),
        *("lifter.channels=32", f"optimization.epochs={EPOCHS}", "optimization.batch_size=64"),
        *("resources.cpus_per_worker=1", "resources.num_workers=2"),
    ]


@pytest.fixture(scope="module")
def lifter(corpus, embedded_ray, tmp_path_factory):
    """The output of a training of two workers that nothing disturbed."""
    from jobs.command_line.main import run_job

    output = tmp_path_factory.mktemp("lifter") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", new_store(output.parent))
        assert run_job("train", training(corpus, output)) == 0
    return output


def test_training_waits_for_its_nodes_and_loses_one(machines, corpus, lifter, tmp_path):
    output = tmp_path / "out"
    machines.wait_until_alone()
    job = machines.start("train", *training(corpus, output), "resources.wait_s=300")
    wait_for(job, lambda: "waiting for room for 2 workers of 1 CPUs each" in job.text())
    joined = [machines.join(num_cpus=1) for _ in range(3)]
    wait_for(job, lambda: checkpoints(output))
    assert not any(machine.processes("Channel") for machine in joined), "on the driver's machine"
    lost = next(machine for machine in joined if machine.processes("RayTrainWorker"))
    machines.leave(lost)
    assert "were replaced" in finish(job)
    assert same_weights(lifter, output)


def test_training_leaves_a_node_that_is_announced_to_go(machines, corpus, tmp_path, monkeypatch):
    """As a cloud announces that it takes a spot machine back: work goes on until then, and what it ended is saved."""
    # Ray looks for announcements every five seconds, which is too seldom for a training of a minute.
    monkeypatch.setenv("RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S", "0.2")
    joined, output, epochs = [machines.join(num_cpus=1) for _ in range(3)], tmp_path / "out", 20 * EPOCHS
    fields = [field for field in training(corpus, output) if "epochs" not in field]
    job = machines.start("train", *fields, f"optimization.epochs={epochs}")
    wait_for(job, lambda: checkpoints(output))
    announced = next(machine for machine in joined if machine.processes("RayTrainWorker"))
    machines.drain(announced, seconds=2)
    wait_for(job, lambda: not announced.processes("RayTrainWorker"))
    machines.leave(announced)
    assert "were replaced" in finish(job)
    assert json.loads((output / "report.json").read_text())["epochs"] == epochs


RATES = [1e-3, 3e-3, 1e-2]


@pytest.fixture
def search(machines, corpus, tmp_path):
    """Starts a search of three trials, of so many workers each; one trains in the trial's own process."""

    def start(workers):
        fields = [field for field in training(corpus, tmp_path / "out") if "num_workers" not in field]
        space = f"search_space.optimization.learning_rate={{choice: {RATES}}}"
        return machines.start(
            "tune", *fields, f"resources.num_workers={workers}", space, "sampler=grid", "scheduler=none"
        )

    return start


def assert_all_trials_finished(output):
    trials = [json.loads(file.read_text()) for file in sorted(output.glob("trials/*/trial.json"))]
    assert sorted(trial["parameters"]["optimization.learning_rate"] for trial in trials) == RATES
    assert [trial["state"] for trial in trials] == ["finished"] * 3
    assert all(list(map(int, trial["scores_mm"])) == list(range(1, EPOCHS + 1)) for trial in trials)


def test_a_search_loses_a_node(machines, search, tmp_path):
    joined = [machines.join(num_cpus=1) for _ in range(2)]
    job = search(workers=1)
    wait_for(job, lambda: list(tmp_path.glob("out/trials/*/checkpoints/*/*.json")))
    # Short trials may all have been given to one of the machines.
    (lost, *_) = wait_for(job, lambda: [machine for machine in joined if machine.processes("TrainingTrial.train")])
    machines.leave(lost)
    finish(job)
    assert_all_trials_finished(tmp_path / "out")


def test_a_search_loses_its_only_node_while_workers_start_and_goes_on_on_another(machines, search, tmp_path):
    """What the lost trial had reserved for its workers must not stay reserved on the new one."""
    lost = machines.join(num_cpus=2)
    job = search(workers=2)
    wait_for(job, lambda: lost.processes("RayTrainWorker") and lost.processes("TrainController"))
    machines.leave(lost)
    assert not checkpoints(tmp_path / "out/trials/001")
    machines.join(num_cpus=2)
    finish(job)
    assert_all_trials_finished(tmp_path / "out")


def test_a_poisoned_video_in_every_position(embedded_ray, videos, tmp_path):
    """Wherever the video stands that aborts every decoder, the others are labeled, each clip once."""
    from dataclasses import replace

    from pipelines.label import run
    from schemas.configs.label import LabelConfig

    names = sorted(video.name for video in videos.iterdir())
    for position in range(len(names)):
        folder = tmp_path / str(position)
        folder.mkdir()
        for number, name in enumerate(names):
            # The one that `hostile:Aborts` aborts on.
            os.link(videos / name, folder / (f"{number}b.mp4" if number == position else f"{number}.mp4"))
        config = LabelConfig.model_validate(
            {
                **{"videos": str(folder), "output": str(tmp_path / f"out{position}")},
                **{"detector": {"name": "bright_spot:BrightSpot"}, "decode": {"max_side": 160, "clip_mb": 0.4}},
            }
        )
        job = replace(run.prepare(config), reader="hostile:Aborts")
        report = run.execute(job, run.survey(job), lambda at: None)
        clips, tracks = labels_in(config.output)
        failed = report["failures"]
        assert len(failed) == 1, (position, failed)
        assert f"{position}b.mp4" in str(failed)
        assert sum(len(table) for table in tracks.values()) == len(names) - 1
        assert set(clips.values()) == {1}


ASK = """
import json
import threading
from pipelines.mlflow_runs.system_metrics import MachineSampler
from pipelines.ray_cluster import session
from pipelines.ray_cluster.machines import OtherMachines
machines = OtherMachines(MachineSampler)
assert machines.samples(threading.Event()) == {}, "nobody is asked before a job uses the cluster"
session.connect()
print(json.dumps(machines.samples(threading.Event())))
"""


def test_each_machine_says_how_busy_it_is(machines):
    machines.join(num_cpus=1)
    environment = {**os.environ, "RAY_ADDRESS": machines.address, "PYTHONPATH": str(Path(__file__).parents[2])}
    asked = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert asked.returncode == 0, asked.stderr
    (sample,) = json.loads(asked.stdout.splitlines()[-1]).values()
    assert sample.keys() >= {"cpu_utilization_percentage", "system_memory_usage_percentage"}

"""Kill tests: SIGKILL to a lifting process, then to the job. After a relaunch no track is missing and none is twice."""

import os
from collections import Counter

import numpy as np
import psutil
import pytest
from evaluate.lifter_samples import make_lifter
from running_jobs import Job, finish, processes_below, wait_for
from tracks.track_samples import write_tracks
from train.training_samples import person

from pipelines.io import storage
from pipelines.lift.lifting import LoadedLifter, lift_tracks
from pipelines.lift.plan import find_tracks
from pipelines.lifters.checkpoint import save_lifter
from pipelines.tracks.lifted_reader import read_lifted
from pipelines.tracks.read_one_by_one import read_one_by_one

pytestmark = pytest.mark.ray


def poses(output):
    return storage.list_folder(str(output), ".parquet")


def test_a_killed_job_goes_on_where_it_was(tmp_path):
    # Large enough to take seconds, each track a unit of its own.
    model, card = make_lifter(channels=192, filter_widths=[3, 3, 3])
    save_lifter(str(tmp_path / "best.pt"), model, card.model_copy(update={"window": model.pose.window}))
    write_tracks(tmp_path / "tracks" / "bucket-0.parquet", [person(str(n), 10_000 + n) for n in range(12)])
    output = tmp_path / "poses"
    fields = [f"model={tmp_path}/best.pt", f"tracks={tmp_path}/tracks", f"output={output}"]
    job = Job(["lift", *fields])
    victim = wait_for(job, lambda: processes_below(job.pid, "LiftUnits"))[0]
    wait_for(job, lambda: poses(output))
    victim.kill()
    before = len(poses(output))
    wait_for(job, lambda: len(poses(output)) > before)
    working = processes_below(job.pid, "LiftUnits")
    job.kill()
    job.wait()
    assert psutil.wait_procs(working, timeout=30)[1] == [], "no process outlives the job"
    kept = {file: os.stat(file).st_mtime_ns for file in poses(output)}
    assert 0 < len(kept) < 12

    finish(Job(["lift", *fields]))
    assert {file: os.stat(file).st_mtime_ns for file in kept} == kept, "what was done is not done again"
    result = {track.track_id: track for track in read_lifted(str(output))}
    ids = Counter(i for file in poses(output) for i in storage.read_table(file, ["track_id"])["track_id"].to_pylist())
    assert ids == Counter(str(n) for n in range(12))
    assert not list(output.glob(".tmp*"))

    lifter = LoadedLifter(model, card, "undisturbed", "0" * 64, flip=True)
    some = find_tracks(str(tmp_path / "tracks"))[::4]
    for info, undisturbed in lift_tracks(lifter, read_one_by_one(some)):
        assert not isinstance(undisturbed, str)
        assert np.abs(result[info.track_id].positions - undisturbed.positions).max() < 1e-5
        assert result[info.track_id].reprojection == undisturbed.reprojection == "perspective"

"""Label, train and lift entirely in a bucket: through kills, refusals, delays and lost connections, to the same end."""

from collections import Counter

import pytest
from cluster.bucket_jobs import INPUTS, same_weights, serving, start_in
from cluster.store_proxy import BUCKET, KEYS, Proxy
from running_jobs import finish, kill_once
from train.training_samples import person, write

from pipelines.io import storage
from pipelines.tracks.lifted_reader import read_lifted

# Five processes with a Ray each, one after another: on a busy machine each start takes a minute.
pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

VIDEOS = 3


def label(output, *more, videos=f"{INPUTS}/videos"):
    return [
        *("label", f"videos={videos}", f"output={output}/labels", "detector=bright_spot:BrightSpot"),
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


@pytest.fixture(scope="module")
def store(tmp_path_factory, make_video, plugin_path):
    """A server with videos and labeled tracks in its bucket; this process speaks to it too."""
    folder = tmp_path_factory.mktemp("inputs")
    for number in range(VIDEOS):
        make_video(folder / "videos" / f"{number}.mp4", frames=60, fps=30, size=(640, 360), square=120, speed=4.0)
    write(folder / "labeled", person("a", 200, layout="coco17"))
    with serving(folder) as address:
        yield address


@pytest.fixture(scope="module")
def undisturbed(store, tmp_path_factory):
    output = f"s3://{BUCKET}/undisturbed"
    finish(start_in(tmp_path_factory.mktemp("undisturbed"), store, label(output), train(output), lift(output)))
    return output


def clip_ids(output):
    files = storage.list_folder(f"{output}/labels/detections", ".parquet")
    return Counter(clip for file in files for clip in storage.read_table(file, ["clip_id"])["clip_id"].to_pylist())


def reasons(output):
    files = storage.list_folder(f"{output}/labels/detections", ".parquet")
    rows = [row for file in files for row in storage.read_table(file, ["video", "error"]).to_pylist()]
    return {row["video"]: row["error"] for row in rows if row["error"] is not None}


def tracks(output):
    files = storage.list_folder(f"{output}/labels/tracks", ".parquet")
    return {file.rpartition("/")[2]: storage.read_table(file) for file in files}


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
        kill_once(start_in(tmp_path, proxy.address, *steps), lambda: storage.list_folder(f"{output}/labels/detections"))
        assert 0 < len(clip_ids(output)) < len(clip_ids(undisturbed))
        third_epoch = f"{output}/lifter/checkpoints/epoch-000003/metrics.json"
        kill_once(start_in(tmp_path, proxy.address, *steps), lambda: storage.exists(third_epoch))
        assert not storage.exists(f"{output}/lifter/report.json")
        text = finish(start_in(tmp_path, proxy.address, *steps, *steps))
    finally:
        proxy.close()
    assert clip_ids(output) == clip_ids(undisturbed), "no clip lost, none twice"
    assert set(clip_ids(output).values()) == {1}
    assert tracks(output) == tracks(undisturbed)
    assert same_weights(f"{output}/lifter/last.pt", f"{undisturbed}/lifter/last.pt")
    assert poses(output) == poses(undisturbed)
    assert len(storage.list_folder(f"{output}/poses/npz")) == len(poses(output)) == VIDEOS
    for job, what in (("label", f"{VIDEOS} videos are labeled"), ("train", ""), ("lift", f"{VIDEOS} tracks are")):
        assert f"{job}: nothing to do: " in text
        assert what in text
    assert "nothing to do: all 3 videos" in text.partition("epoch")[0], "once the third process began"
    assert {"busy", "reset", "lost", "cut", "short", 2.0} <= proxy.done.keys(), proxy.done
    assert f"{output}/labels/.lock" not in storage.list_folder(f"{output}/labels")


class Lost:
    """A store that is gone as soon as it was asked `times` times for something in a folder."""

    def __init__(self, folder, times, method="PUT"):
        self._folder, self._left, self._method = folder, times, method

    def __call__(self, number, method, path):
        self._left -= method == self._method and self._folder in path
        return "reset" if self._left <= 0 else None


def told_in_one_line(text, job, proxy):
    """Whether a job's last line is about the store, and there is no more of it."""
    # Ray may still print that a process of its own was ended.
    last = [line for line in text.splitlines() if "(raylet)" not in line][-1]
    assert last.startswith(f"{job}: s3://{BUCKET}/"), text
    assert f"{proxy.address} has failed for 3 s" in last
    assert last.endswith("; what is finished is kept, run the same command when it works again")
    assert text.count("has failed for") == 1
    assert "Traceback" not in text
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in text
    return True


@pytest.mark.slow
def test_a_store_that_is_gone_for_good_is_reported_in_one_line(store, undisturbed, tmp_path):
    proxy, output = Proxy(store), f"s3://{BUCKET}/cut-off"
    lost = {"label": ("/labels/detections/", 2), "train": ("/epoch-000003/", 1), "lift": ("/poses/npz/", 2)}
    unfinished = []
    try:
        for job in (label(output), train(output), lift(output)):
            proxy.fault = Lost(*lost[job[0]])
            # What the store's loss broke off before goes on first.
            text = finish(start_in(tmp_path, proxy.address, *unfinished, job, patience_s=3), code=1)
            assert told_in_one_line(text, job[0], proxy)
            unfinished = [job]
        proxy.fault = lambda number, method, path: None
        finish(start_in(tmp_path, proxy.address, *unfinished))
    finally:
        proxy.close()
    assert clip_ids(output) == clip_ids(undisturbed)
    assert tracks(output) == tracks(undisturbed)
    assert same_weights(f"{output}/lifter/last.pt", f"{undisturbed}/lifter/last.pt")
    assert poses(output) == poses(undisturbed)


def test_a_store_that_is_gone_while_videos_are_read_ends_the_job_and_other_videos_fail_alone(store, tmp_path):
    """What comes of it lies elsewhere, so that nothing else tells of the loss."""
    proxy, output = Proxy(store), str(tmp_path)
    missing = {
        "http://127.0.0.1:1/a.mp4": "cannot be reached: Connection refused",
        f"{store}/{BUCKET}/b.mp4": "not found (404)",
        f"s3://{BUCKET}/inputs/c.mp4": "not found",
    }
    manifest = tmp_path / "videos.csv"
    manifest.write_text("\n".join(["uri", *missing, *storage.list_folder(f"{INPUTS}/videos")]))
    # The addresses are of this machine.
    job = label(output, "max_failed=3", "network.allow_private=true", videos=manifest)
    try:
        proxy.fault = Lost("/videos/2.mp4", 1, "HEAD")
        text = finish(start_in(tmp_path / "job", proxy.address, job, patience_s=3), code=1)
        assert told_in_one_line(text, "label", proxy)
        assert reasons(output).items() <= missing.items(), "nothing that failed for want of the store"
        proxy.fault = lambda number, method, path: None
        finish(start_in(tmp_path / "job", proxy.address, job))
    finally:
        proxy.close()
    assert reasons(output) == missing
    assert set(clip_ids(output).values()) == {1}
    assert sum(len(table) for table in tracks(output).values()) == VIDEOS

"""What was made from what, as the runs in MLflow tell it: there and back, and from a video to everything made of it."""

import json
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from tracks.track_samples import make_track, write_tracks

from pipelines.lineage.trace import Node, trace
from pipelines.mlflow_runs import runs
from pipelines.mlflow_runs.entries import addresses_in
from pipelines.mlflow_runs.history import History, JobRun, Reading, TrainedModel, Version, read_history
from schemas.configs.evaluate import EvaluateConfig
from schemas.errors import UserError


def run(job, name, output, readings=(), tags=None, metrics=None, **params):
    texts = {key.replace("__", "."): str(value) for key, value in params.items()} | {"output": output}
    return JobRun(f"id-{name}", name, job, texts, tags or {}, metrics or {}, tuple(readings))


@pytest.fixture
def history(tmp_path):
    """Video → tracks → labeled tracks → a training → a champion → scores and poses; and a lifter begun with it."""
    out, mocap = f"{tmp_path}/out", f"{tmp_path}/mocap"
    for folder, videos in ((out, ["/films/a.mp4", "/films/b.mp4"]), (mocap, ["/films/a.mp4"])):
        tracks = [replace(make_track(video), video=video) for video in videos]
        write_tracks(Path(folder, "tracks", "part-0.parquet"), tracks)
    read = [Reading("training", (f"{mocap}/tracks",), "d" * 32), Reading("unlabeled", (f"{out}/tracks",), "e" * 32)]
    champion = Version("models:/lifter/2", ("champion",), "5" * 64, "id-first", None)
    fine = Version("models:/lifter/3", (), "6" * 64, "id-second", "5" * 64)
    used = {"raylift.model": "models:/lifter/2", "raylift.model_sha256": "5" * 64}
    return History(
        runs=(
            run("lift", "lift", f"{tmp_path}/poses", [Reading("lifting", (f"{out}/tracks",), "e")], used),
            run(
                *("evaluate", "evaluate", "None", [Reading("testing", (f"{mocap}/tracks",), "d")]),
                metrics={"average.mpjpe_mm": 82.94},
                model="models:/lifter@champion",
            ),
            run("train", "second", f"{tmp_path}/second", read[:1], weights="models:/lifter@champion"),
            run("train", "first", f"{tmp_path}/first", read),
            run("import_poses", "import", mocap, source__tracks=f"{out}/tracks", source__truth="/films/truth"),
            run("label", "label", out, videos="['/films']"),
        ),
        versions=(champion, fine),
    )


def test_an_aligner_goes_back_to_its_tracks_and_on_to_what_was_embedded_and_aligned():
    read = [Reading("training", ("/out/tracks",), "d" * 32)]
    embedded = [Reading("embedding", ("/out/tracks",), "d" * 32)]
    version = Version("models:/squats/1", ("candidate",), "7" * 64, "id-aligner", None)
    jobs = (
        run("align", "align", "/aligned", aligner="/aligner/best.pt"),
        run("embed", "embed", "/embedded", embedded, aligner="models:/squats@candidate"),
        run("train_aligner", "aligner", "/aligner", read),
        run("label", "label", "/out", videos="['/films']"),
    )
    lineage = trace("models:/squats@candidate", History(runs=jobs, versions=(version,)))
    origins = [(0, "run", "aligner"), (1, "tracks", "tracks"), (2, "run", "label"), (3, "videos", "films")]
    assert list(walk(lineage.made_from)) == origins
    assert list(walk(lineage.made_with)) == [(0, "embeddings", "embedded")]
    (made, used) = trace("/out/tracks", History(runs=jobs, versions=(version,))).made_with
    assert (made.kind, made.name) == ("embeddings", "/embedded")
    assert [(child.kind, child.name) for child in used.children] == [
        ("model", "models:/squats/1 (candidate)"),
        ("model", "/aligner/best.pt"),
    ]


def walk(nodes, depth=0):
    for node in nodes:
        yield depth, node.kind, node.name.rpartition("/")[2]
        yield from walk(node.children, depth + 1)


def test_a_champion_goes_back_to_the_videos_and_on_to_the_poses(history):
    lineage = trace("models:/lifter@champion", history)
    assert (lineage.kind, lineage.of) == ("model", "models:/lifter/2 (champion)")
    assert list(walk(lineage.made_from)) == [
        (0, "run", "first"),
        (1, "tracks", "tracks"),
        (2, "run", "import"),
        (3, "file", "truth"),
        (3, "tracks", "tracks"),
        (4, "run", "label"),
        (5, "videos", "films"),
        (1, "tracks", "tracks"),
        (2, "run", "label"),
    ]
    made = list(walk(lineage.made_with))
    assert (0, "poses", "poses") in made
    assert (0, "scores", "evaluate") in made
    assert (0, "run", "second") in made
    assert (1, "model", "3") in made
    [scores] = [node for node in lineage.made_with if node.kind == "scores"]
    assert scores.note == "MPJPE 82.9 mm"


def test_poses_go_back_to_their_tracks_and_the_lifter(history, tmp_path):
    lineage = trace(f"{tmp_path}/poses", history)
    assert lineage.kind == "poses"
    assert [node.kind for node in lineage.made_from] == ["tracks"]
    assert (2, "videos", "films") in list(walk(lineage.made_from))


def test_a_video_that_must_go_names_every_lifter_and_all_poses_made_of_it(history):
    lineage = trace("a.mp4", history)
    made = list(walk(lineage.made_with))
    assert {name for _, kind, name in made if kind == "model"} == {"2 (champion)", "3"}
    assert (1, "poses", "poses") in made
    # The other film was not among the labeled ones, but the champion has read its tracks.
    other = {name for _, kind, name in walk(trace("/films/b.mp4", history).made_with) if kind == "model"}
    assert "2 (champion)" in other


def test_a_file_that_was_copied_is_known_by_its_hash(history, tmp_path):
    trained = (
        TrainedModel("5" * 64, "id-first", f"{tmp_path}/first/best.pt"),
        TrainedModel("7" * 64, "id-first", f"{tmp_path}/first/last.pt"),
    )
    used = {"raylift.model": "/copies/mine.pt", "raylift.model_sha256": "7" * 64}
    lift = run(
        "lift", "copied", "/copied", [Reading("lifting", ("/others/tracks",), "f")], used, model="/copies/mine.pt"
    )
    known = replace(history, runs=(lift, *history.runs), trained=trained)
    [model] = [node for node in trace("/copied", known).made_from if node.kind == "model"]
    assert [child.name for child in model.children] == ["first"]
    made = list(walk(trace("a.mp4", known).made_with))
    assert ("poses", "copied") in {each[1:] for each in made}, "a takedown names what was made with the copy"
    models = {name for _, kind, name in made if kind == "model"}
    assert models == {"2 (champion)", "3", "last.pt"}, "the file of a registered version does not stand there again"


def test_what_label_was_given_stands_for_all_its_videos(history):
    made = {(kind, name) for _, kind, name in walk(trace("/films", history).made_with)}
    assert made == {(kind, name) for _, kind, name in walk(trace("a.mp4", history).made_with)}
    listed = run("label", "list", "/listed", videos="/films.csv")
    [tracks] = trace("/films.csv", replace(history, runs=(listed, *history.runs))).made_with
    assert (tracks.kind, tracks.name) == ("tracks", "/listed")


def test_tracks_have_both_directions(history, tmp_path):
    lineage = trace(f"{tmp_path}/mocap/tracks", history)
    assert lineage.kind == "tracks"
    assert [node.name for node in lineage.made_from] == ["import"]
    assert {node.name for node in lineage.made_with} == {"first", "second", "evaluate"}


def test_tracks_that_are_gone_are_a_note(history, tmp_path):
    (tmp_path / "mocap" / "tracks" / "part-0.parquet").unlink()
    lineage = trace("b.mp4", history)
    assert "mocap: cannot be read any more" in lineage.notes[0]


@pytest.mark.parametrize("of", ["models:/other@champion", "/no/such/film.mp4", "/gone/best.pt"])
def test_what_no_run_knows_is_one_line(history, of):
    with pytest.raises(UserError, match=f"^of={of}: "):
        trace(of, history)


def test_mlflow_gives_back_what_jobs_have_logged():
    with runs.record("evaluate", EvaluateConfig(output="/scores", model="everyday", data="t", subjects=("S1", "S2"))):
        pass
    [made] = read_history().runs
    assert (made.job, made.output, made.readings) == ("evaluate", "/scores", ())
    assert made.addresses("subjects") == ["S1", "S2"]


def test_without_an_experiment_the_message_says_where_it_looked():
    with pytest.raises(UserError, match=r"^MLFLOW_TRACKING_URI: sqlite:.*mlflow.db has no experiment 'raylift'"):
        read_history()


def test_a_question_makes_no_database(tmp_path):
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/nothing.db")
    with pytest.raises(UserError, match=r"nothing.db has no experiment"):
        read_history()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "addresses"), [(None, []), ("None", []), ("/a", ["/a"]), ("['/a', '/b, c']", ["/a", "/b, c"])]
)
def test_addresses_in_parameters(text, addresses):
    assert addresses_in(text) == addresses


def test_a_lineage_is_a_document(history):
    from dataclasses import asdict

    document = json.loads(json.dumps(asdict(trace("models:/lifter/2", history))))
    assert document["made_from"][0]["run_id"] == "id-first"
    assert Node("run", "x").children == ()


def test_a_search_and_tracks_of_several_views_are_followed(tmp_path):
    history = History(
        runs=(
            run("tune", "search", "/search", labeled="/rig/tracks", unlabeled="None"),
            run("triangulate", "rig", "/rig", tracks="['/cam1/tracks', '/cam2/tracks']", calibration="/rig.toml"),
            run("label", "cam1", "/cam1", videos="/films/1"),
        ),
        versions=(),
    )
    assert list(walk(trace("/search/best.pt", history).made_from)) == [
        (0, "run", "search"),
        (1, "tracks", "tracks"),
        (2, "run", "rig"),
        (3, "file", "rig.toml"),
        (3, "tracks", "tracks"),
        (4, "run", "cam1"),
        (5, "videos", "1"),
        (3, "tracks", "tracks"),
    ]
    assert list(walk(trace("/cam1/tracks", history).made_with)) == [(0, "tracks", "rig"), (1, "run", "search")]

"""Every command of README and docs, as it is written: run, or followed as far as it goes in seconds.

Those of docs/extending.md need its examples: tests/docs/test_extending.py.

The commands of a page are a story: each finds what those before it have left. It takes place in an empty folder, on
small data that lie where the text says. What would take minutes, a cluster or a GPU is listed with the reason.
"""

import contextlib
import io
import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from aligners.two_views import tracks as two_views
from aligners.two_views import write_aligner
from calibration.rigs import toml
from curation.clips import clip
from docs.doc_commands import PAGES, ROOT, Command, check, commands, job_commands
from docs.doc_stories import NOT_RUN, Step, checked, listed, really, reason
from evaluate.lifter_samples import write_lifter
from register.registry_samples import coco_lifter
from tracks.lifted_samples import lifted, write_poses
from tracks.track_samples import make_track, write_tracks
from train.training_samples import person, write
from triangulation.scenes import rig, view_of, walk_of_limbs

from jobs.command_line.arguments import plugin_config, read_config
from jobs.command_line.job_list import config_class, job_names
from jobs.command_line.recipes import recipe_names, recipe_path
from jobs.command_line.submit_arguments import read_submit_config
from pipelines.lifters.checkpoint import save_lifter
from pipelines.search.space import search_space
from pipelines.search.trial_values import own_values
from pipelines.synthetic.truth import load_truth
from pipelines.tune.best_files import write_best
from pipelines.tune.ranking import Ranking
from pipelines.tune.trial_records import TrialRecord
from schemas import __version__
from schemas.configs.tune import TuneConfig
from schemas.layouts import layout, shared_joints

WALKS = sorted(page.relative_to(ROOT).as_posix() for page in (ROOT / "docs" / "walks").glob("*.md"))


def tell(page: str, story: dict[str, Step]) -> None:
    """Follow the commands of a page, each by the first step of the story whose key it begins with."""
    used_keys = set()
    for command in commands(ROOT / page):
        if reason(command) is None:
            key = next((key for key in story if command.text.startswith(key)), None)
            assert key is not None, f"{page}: nothing runs `{command.text}`"
            story[key](command)
            used_keys.add(key)
    assert used_keys == story.keys()


def labels() -> None:
    """What a detector without errors finds in the studio's videos, where `label` writes it."""
    pairs, tracks = np.array(shared_joints(layout("coco17"), layout("h36m17"))), []
    for number, truth in enumerate(load_truth("studio")):
        frames = len(truth.timestamps_s)
        keypoints, scores = np.zeros((frames, 17, 2), np.float32), np.zeros((frames, 17), np.float32)
        keypoints[:, pairs[:, 0]], scores[:, pairs[:, 0]] = truth.keypoints[:, pairs[:, 1]], 1
        detections = {"keypoints": keypoints, "scores": scores, "timestamps_s": truth.timestamps_s, "fps": truth.fps}
        names = {"subject": truth.subject, "action": truth.action, "camera": truth.view.name}
        size = {"width": truth.view.width, "height": truth.view.height, "intrinsics": truth.view.intrinsics}
        unlabeled = {"positions": None, "positions_layout": None, "interpolated": np.zeros(frames, bool)}
        video = str(Path("studio", truth.video).absolute())
        tracks.append(make_track(f"t{number}", frames, video=video, **detections, **names, **size, **unlabeled))
    write_tracks(Path("out/tracks/a.parquet"), tracks)
    Path("out/report.json").write_text('{"format": "raylift.report/1"}')


def lifter(file: str) -> None:
    """A lifter that has learned nothing, where a training or a search writes its best."""
    Path(file).parent.mkdir(exist_ok=True)
    save_lifter(file, *coco_lifter(fps=30.0))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, and no command may depend on another."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


ALL = [command for page in PAGES for command in commands(page)]


def test_the_pages_are_read():
    pages = {command.page for command in ALL}
    assert {"README.md", "CONTRIBUTING.md", "docs/cluster.md", "docs/everyday.md", "docs/extending.md"} <= pages
    shown = {c.words[1] for c in ALL if c.page == "README.md" and c.text.startswith("raylift ")}
    assert shown >= {"synthesize", "label", "import_poses", "train", "evaluate", "tune", "register", "lift"}


def test_what_is_not_run_is_there():
    assert [begin for begin in NOT_RUN if not any(f"{c.text} ".startswith(f"{begin} ") for c in ALL)] == []


def test_make_has_every_target():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {c.words[1] for c in ALL if c.text.startswith("make ")} <= targets


def test_the_commands_of_the_readme(folder, make_video, capfd):
    story = {
        "raylift label videos=your/folder": checked(before=lambda: make_video(folder / "your/folder/a.mp4", frames=5)),
        "raylift lift video=clip.mp4": checked(before=lambda: make_video(folder / "clip.mp4", frames=5)),
        "raylift synthesize": really("seconds=0.5", "width=64", "height=64"),
        "raylift label videos=studio/manifest.csv": checked(leaves=labels),
        "raylift import_poses": really(),
        "raylift train": checked(leaves=partial(lifter, "lifter/best.pt")),
        "raylift evaluate": really(),
        "raylift tune": checked(leaves=partial(lifter, "search/best.pt")),
        "raylift register": really(),
        "raylift lift model=models:/lifter@champion": checked(),
        "raylift recipes": listed,
        "raylift label recipe.yaml": checked(
            before=lambda: Path("recipe.yaml").write_text("videos: your/folder\noutput: other\n")
        ),
        "raylift status": really(),
    }
    tell("README.md", story)
    assert "tracks   linked: 12 in 1 files" in capfd.readouterr().out


def test_what_the_readme_shows_from_keypoints_to_a_model_is_run_in_a_walk():
    sections = (ROOT / "README.md").read_text("utf-8").partition("## From keypoints to 3D")[2].partition("## Jobs")[0]
    walked = {command.text for command in ALL if command.page in WALKS}
    readme = [c.text for c in ALL if c.page == "README.md" and c.text.partition(" \\")[0][:40] in sections]
    shown = [text for text in readme if text.startswith("raylift ") and "mocap=FILE" not in text]
    assert len(shown) == 8
    assert [text for text in shown if text not in walked] == []


def test_the_picture_of_the_joints_has_their_numbers():
    picture = (ROOT / "docs" / "h36m17.svg").read_text("utf-8")
    named = re.findall(r">(\d+) (\w+)</text>", picture)
    assert named == [(str(number), joint) for number, joint in enumerate(layout("h36m17").joints)]


def test_the_snippet_of_the_readme_reads_tracks(folder):
    write_tracks(folder / "out" / "tracks" / "a.parquet", [make_track("a", 12)])
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    known = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(snippet, known)
    assert known["keypoints"].shape == (12, 17, 2)


def test_the_commands_about_installing(folder, capfd):
    tell("docs/install.md", {"raylift doctor": really(), "raylift --version": listed})
    assert capfd.readouterr().out.endswith(f"raylift {__version__}\n")


def test_the_commands_about_the_lifter_everyday(folder, make_video):
    clip = lambda: make_video(folder / "clip.mp4", frames=5)  # noqa: E731
    tell("docs/everyday.md", {"raylift lift video=clip.mp4": checked(before=clip)})


def searched(command: Command) -> None:
    """Check a search, and leave what one does whose first trial was best."""
    check(command.words[1:])
    config = read_config(TuneConfig, command.words[2:])
    own = own_values(config, search_space(config, plugin_config))
    model = Path(config.output, "trials", "001", "best.pt")
    model.parent.mkdir(parents=True, exist_ok=True)
    write_lifter(str(model))
    write_best(config, Ranking(config, own, [TrialRecord(1, "run", own, "finished", {1: 90.0}, best_epoch=1)]))


def test_the_commands_about_searching(folder):
    people = [person(f"of {name}", subject=name) for name in ("S000", "S001", "S002", "S003", "S004", "S005")]
    for tracks in ("mocap/tracks", "out/tracks"):
        write(folder / tracks, *people)
    tell("docs/search.md", {"raylift tune": searched, "raylift train": checked(), "raylift register": checked()})


def test_the_commands_about_other_tools(folder, make_video):
    make_video(folder / "clips" / "walk.mp4", frames=20, fps=20)
    (folder / "json").mkdir()
    for frame in range(20):
        person = {
            "pose_keypoints_2d": [value for n in range(25) for value in (20.0 + frame + 3 * n, 10.0 + 4 * n, 0.9)]
        }
        (folder / "json" / f"walk_{frame:012}_keypoints.json").write_text(json.dumps({"people": [person]}))
    views = [view for one in rig(3) for view in view_of(one, [walk_of_limbs()]).tracks]

    make_video(folder / "views" / "cam01.mp4", frames=5)
    (folder / "Calib.toml").write_text(toml(rig(3)))

    def label_views() -> None:
        write_tracks(folder / "out/views/tracks/a.parquet", views)

    steps = {"raylift import_keypoints": really(), "raylift doctor": really(), "raylift triangulate": really()}
    steps |= {"raylift import_cameras": really(), "raylift label": checked(leaves=label_views)}
    tell("docs/ecosystem.md", steps)


def test_the_commands_about_curation(folder):
    write_tracks(folder / "out/tracks/a.parquet", [clip(seed) for seed in range(3)])
    write(folder / "mocap/tracks", person("S1"))
    steps = {"raylift curate": really("budget_frames=300", "output=curated"), "raylift train": checked()}
    tell("docs/curate.md", steps)


def test_the_commands_about_alignment(folder):
    write_tracks(folder / "out/tracks/a.parquet", [clip(1), clip(2)])
    people = [lifted(150, track_id=name) for name in ("TRACK", "other")]
    lifts = checked(leaves=lambda: write_poses(folder / "lifted/poses.parquet", people))
    aligned, filmed = {"raylift lift": lifts, "raylift align poses=": really()}, two_views()
    trains = checked(
        before=lambda: write_tracks(folder / "out/tracks/a.parquet", [*filmed, replace(filmed[0], track_id="TRACK")]),
        leaves=partial(write_aligner, "aligner/best.pt"),
    )
    used = dict.fromkeys(("raylift align tracks=", "raylift embed", "raylift register"), really())
    tell("docs/align.md", aligned | {"raylift train_aligner": trains} | used)


def test_other_pages_have_no_commands_that_nothing_runs():
    followed_pages = (
        "README.md",
        "docs/install.md",
        "docs/everyday.md",
        "docs/extending.md",
        "docs/search.md",
        "docs/ecosystem.md",
        "docs/curate.md",
        "docs/align.md",
        *WALKS,
    )
    assert [c.text for c in ALL if c.page not in followed_pages and reason(c) is None] == []


@pytest.mark.parametrize("command", [c for c in ALL if c.text.startswith("raylift submit")], ids=lambda c: c.text)
def test_submitted_commands_are_understood(command):
    line = command.text.replace("logs|status|stop", "logs").replace("my_label.yaml", "videos=s3://b/v output=s3://b/o")
    line = line.replace("label …", "label videos=s3://b/v output=s3://b/o")
    config = read_submit_config(line.split()[2:])
    assert config.job in (None, *job_names())


HELP = [
    *(words for file in sorted((ROOT / "jobs").glob("*.py")) for words in job_commands(file.read_text("utf-8"))),
    *(words for name in recipe_names() for words in job_commands(recipe_path(name).read_text("utf-8"))),
]


@pytest.mark.parametrize("words", [words for words in HELP if words[0] != "submit"], ids=" ".join)
def test_the_commands_of_help_texts_and_recipes_are_understood(words, monkeypatch):
    monkeypatch.chdir(ROOT)
    job, *arguments = words
    if config_class(job).BARE_FIELD and "=" not in arguments[0]:
        arguments[0] = f"{config_class(job).BARE_FIELD}={arguments[0]}"
    read_config(config_class(job), arguments)


def test_every_job_and_every_recipe_has_a_command():
    assert {words[0] for words in HELP} == set(job_names())
    assert {word for words in HELP for word in words if word in recipe_names()} == set(recipe_names())

"""`raylift lift video=…`: from pixels to something to look at."""

import json
import sys
from pathlib import Path

import pytest
import torch

from jobs.command_line import main
from pipelines.lifters.checkpoint import LifterCard, save_lifter
from pipelines.lifters.model import build_model
from pipelines.tracks.lifted_reader import read_lifted
from pipelines.video.probe import probe
from schemas.frame_window import FrameWindow
from schemas.job_config import PluginConfig
from schemas.layouts import layout

pytestmark = pytest.mark.ray

OPTIONS = {"filter_widths": [3, 3], "channels": 16}


def raylift(capfd, *arguments):
    """Run the job in this process; returns (exit code, stdout)."""
    code = main.run_job("lift", [str(argument) for argument in arguments])
    captured = capfd.readouterr()
    # For who reads why a test failed.
    sys.stderr.write(captured.err)
    return code, captured.out


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    plugin = PluginConfig.model_validate({"name": "temporal_conv", **OPTIONS})
    card = LifterCard(
        **{"lifter": "temporal_conv", "config": OPTIONS, "input_layout": "coco17", "output_layout": "h36m17"},
        **{"trajectory": True, "fps": 50.0, "window": FrameWindow.sliding(9)},
    )
    save_lifter("best.pt", build_model(plugin, layout("coco17"), layout("h36m17"), trajectory=True), card)
    return ["model=best.pt", "output=out", "detector=bright_spot:BrightSpot", "workers.lifters=1"]


def pages_in_mlflow():
    import os

    import mlflow

    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    runs = mlflow.search_runs(search_all_experiments=True, output_format="list")
    client = mlflow.MlflowClient()
    return {file.path for run in runs for file in client.list_artifacts(run.info.run_id, "pages")}


def test_a_video_is_labeled_lifted_and_rendered(embedded_ray, make_video, command, tmp_path, capfd):
    make_video(tmp_path / "clip.mp4", frames=40, fps=20)
    make_video(tmp_path / "nobody.mp4", frames=20, square=0)
    command += ["video=[clip.mp4,nobody.mp4]", "assumed_fov_deg=60", "export=bvh"]
    code, out = raylift(capfd, *command)
    assert code == 0
    (lifted,) = read_lifted("out")
    assert (lifted.video, len(lifted), lifted.layout) == (str(tmp_path / "clip.mp4"), 40, "h36m17")
    assert (lifted.reprojection, lifted.intrinsics_provenance) == ("perspective", "assumed_fov")
    assert lifted.timestamps_s == pytest.approx([number / 20 for number in range(40)])
    page = Path("out/clip.html").read_text()
    assert page.startswith("<!doctype html>")
    assert probe(tmp_path / "out" / "clip.mp4").frame_count == 40
    assert Path("out/clip.gif").read_bytes()[:3] == b"GIF"
    assert [file.name for file in Path("out/bvh").iterdir()] == [f"clip-0-{lifted.track_id[:8]}.bvh"]
    assert "page         out/clip.html" in out
    assert "note         nobody.mp4: nobody was found in it, so there are no poses and no page" in out
    assert not Path("out/nobody.html").exists()
    report = json.loads(Path("out/report.json").read_text())
    assert (report["labels"]["videos"], report["tracks"], report["run"]["frames"]) == (2, 1, 40)
    assert pages_in_mlflow() == {"pages/clip.html", "pages/clip.png"}
    assert raylift(capfd, *command) == (0, "lift: nothing to do: all 1 tracks are lifted in out\n")
    Path("out/clip.gif").unlink()
    assert raylift(capfd, *command)[0] == 0
    assert Path("out/clip.gif").exists()


def test_a_video_without_people_and_one_that_is_none(embedded_ray, make_video, command, tmp_path, capfd):
    make_video(tmp_path / "nobody.mp4", frames=20, square=0)
    code, out = raylift(capfd, *command, "video=nobody.mp4")
    assert code == 0
    assert "tracks       0, 0 failed" in out
    assert "nobody.mp4: nobody was found in it, so there are no poses and no page" in out
    assert sorted(file.name for file in Path("out").iterdir() if file.suffix) == ["exports.json", "report.json"]
    (tmp_path / "text.mp4").write_text("not a video")
    code, out = raylift(capfd, *command, "video=text.mp4", "output=bad")
    assert code == 1
    assert "failure      text.mp4: " in out
    assert "nobody was found" not in out


def test_pages_of_tracks_whose_video_can_be_read(embedded_ray, make_video, command, tmp_path, capfd):
    for name in ("a", "b"):
        make_video(tmp_path / f"{name}.mp4", frames=20)
    assert main.run_job("label", ["videos=[a.mp4,b.mp4]", "output=out", command[2]]) == 0
    (tmp_path / "a.mp4").unlink()
    tracks = ["model=best.pt", "tracks=out/tracks", "output=poses", "workers.lifters=1"]
    code, out = raylift(capfd, *tracks, "pages=5")
    assert code == 0
    pages = list(Path("poses/pages").iterdir())
    assert [file.name[:4] for file in pages] == ["b-0-"]
    assert "note         1 pages, not 5: there are no more tracks whose video can be read" in out

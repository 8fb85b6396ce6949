"""The import_cameras job: videos get the intrinsics of their cameras, as label reads them."""

import pytest
from calibration.rigs import RIG, toml

from jobs.command_line.main import run_job
from pipelines.label.video_manifest import read_manifest


@pytest.fixture
def films(tmp_path, monkeypatch, make_video):
    monkeypatch.chdir(tmp_path)
    for name in ("take1-cam01", "take1-cam02"):
        make_video(tmp_path / "views" / f"{name}.mp4", frames=3)
    (tmp_path / "Calib.toml").write_text(toml(RIG))
    return tmp_path


def test_videos_get_the_intrinsics_of_their_cameras(films):
    assert run_job("import_cameras", ["videos=views", "calibration=Calib.toml", "output=views.csv"]) == 0
    sources = list(read_manifest(str(films / "views.csv")))
    assert [(source.uri.rpartition("/")[2], source.camera) for source in sources] == [
        ("take1-cam01.mp4", "cam01"),
        ("take1-cam02.mp4", "cam02"),
    ]
    for source, camera in zip(sources, RIG, strict=True):
        assert source.intrinsics == camera.intrinsics
        assert source.calibrated_wh == (1280, 720)


def test_a_video_of_no_camera_is_one_line(films, make_video, capsys):
    make_video(films / "views" / "phone.mp4", frames=3)
    assert run_job("import_cameras", ["videos=views", "calibration=Calib.toml", "output=views.csv"]) == 2
    assert "phone.mp4: is of none of the cameras cam01, cam02" in " ".join(capsys.readouterr().err.split())
    assert not (films / "views.csv").exists()

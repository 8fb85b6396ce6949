import csv
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.command_line.main import run_job
from pipelines.io import storage
from pipelines.synthetic.cameras import project
from pipelines.synthetic.renderer import Renderer
from pipelines.synthetic.skeleton import LAYOUT
from pipelines.synthetic.studio import build_scene, film, synthesize
from pipelines.synthetic.truth import load_truth
from schemas.cameras import Intrinsics
from schemas.configs.synthesize import SynthesizeConfig
from schemas.errors import UserError
from schemas.formats.truth import FORMAT


def config(output: Path, **changes: object) -> SynthesizeConfig:
    values: dict[str, object] = {"people": 3, "people_per_video": 2, "seconds": 0.4, "width": 160, "height": 120}
    return SynthesizeConfig.model_validate({"output": str(output), "workers": 1, **values, **changes})


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> tuple[SynthesizeConfig, list[str]]:
    chosen = config(tmp_path_factory.mktemp("studio") / "out", actions=("walk", "sit"))
    return chosen, synthesize(chosen)


def rows(chosen: SynthesizeConfig) -> list[dict[str, str]]:
    with open(Path(chosen.output, "manifest.csv"), newline="") as file:
        return list(csv.DictReader(file))


def test_manifest_lists_every_video_with_its_camera(studio: tuple[SynthesizeConfig, list[str]]) -> None:
    chosen, videos = studio
    listed = rows(chosen)
    assert [row["uri"] for row in listed] == videos
    assert videos[0] == "videos/S000_walk_S001_sit_C0.mp4"
    assert [(row["subject"], row["action"], row["camera"]) for row in listed] == [
        ("S000+S001", "walk+sit", "C0"),
        ("S000+S001", "walk+sit", "C1"),
        ("S002", "walk", "C0"),
        ("S002", "walk", "C1"),
    ]
    assert listed[0]["distortion"] == "human36m"


def test_videos_hold_the_rendered_frames(studio: tuple[SynthesizeConfig, list[str]]) -> None:
    chosen, videos = studio
    with av.open(str(Path(chosen.output, videos[0]))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == ("h264", 30)
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(frames) == 12
    scene = build_scene(chosen, 0)
    rendered = Renderer(scene.place, scene.actors, scene.views[0]).frame(7)
    assert np.abs(frames[7].astype(int) - rendered).mean() < 5


def test_truth_projects_to_itself_with_the_manifests_camera(studio: tuple[SynthesizeConfig, list[str]]) -> None:
    chosen, videos = studio
    cameras = {
        row["uri"]: Intrinsics.model_validate({name: row[name] for name in Intrinsics.model_fields})
        for row in rows(chosen)
    }
    people = load_truth(chosen.output)
    assert [(truth.video, truth.person) for truth in people] == [
        (videos[0], 0),
        (videos[0], 1),
        (videos[1], 0),
        (videos[1], 1),
        (videos[2], 0),
        (videos[3], 0),
    ]
    for truth in people:
        assert truth.keypoints.shape == (12, 17, 2)
        assert truth.visible.any()
        np.testing.assert_allclose(truth.timestamps_s, np.arange(12) / 30)
        projected = project(cameras[truth.video], truth.positions)
        np.testing.assert_allclose(projected, truth.keypoints, atol=1e-3)
        assert (truth.keypoints > 0).all()
        assert (truth.keypoints < [160, 120]).all()


def test_views_of_one_person_are_the_same_motion(studio: tuple[SynthesizeConfig, list[str]]) -> None:
    people = load_truth(studio[0].output)
    first, second = (truth for truth in people if truth.subject == "S002")
    worlds = [t.positions @ t.view.rotation.T + np.array(t.view.translation) for t in (first, second)]
    np.testing.assert_allclose(worlds[0], worlds[1], atol=1e-5)


def test_truth_files_carry_their_format(studio: tuple[SynthesizeConfig, list[str]]) -> None:
    schema = pq.read_schema(next(Path(studio[0].output, "truth").glob("*.parquet")))
    assert schema.metadata[b"raylift.format"].decode() == FORMAT
    assert schema.field("positions").metadata[b"unit"] == b"m, camera space"
    table = pq.read_table(next(Path(studio[0].output, "truth").glob("*.parquet")))
    assert set(table["layout"].to_pylist()) == {LAYOUT.name}


def test_the_same_config_gives_the_same_files(studio: tuple[SynthesizeConfig, list[str]], tmp_path: Path) -> None:
    chosen, videos = studio
    again = chosen.model_copy(update={"output": str(tmp_path)})
    (tmp_path / "videos").mkdir()
    film(again, 2, 1)
    assert (tmp_path / videos[3]).read_bytes() == Path(chosen.output, videos[3]).read_bytes()


def test_a_person_does_not_depend_on_cameras_or_company(tmp_path: Path) -> None:
    alone = build_scene(config(tmp_path, people=1, views=1), 0).actors[0].motion
    together = build_scene(config(tmp_path, people=3, people_per_video=3, views=4), 0).actors[0].motion
    shift = together.positions[0, 0] - alone.positions[0, 0]
    np.testing.assert_allclose(together.positions - shift, alone.positions, atol=1e-6)


def test_by_default_people_perform_all_actions_in_turn(tmp_path: Path) -> None:
    names = [build_scene(config(tmp_path, people=9, people_per_video=1), first).name for first in range(9)]
    assert len({name.split("_")[1] for name in names}) == 9


def test_unknown_action_and_remote_output_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no action 'fly'"):
        synthesize(config(tmp_path, actions=("walk", "fly")))
    with pytest.raises(UserError, match="folder on this machine"):
        synthesize(SynthesizeConfig.model_validate({"output": "memory://studio"}))


def test_missing_truth_and_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"raylift synthesize"):
        load_truth(str(tmp_path))
    (tmp_path / "truth").mkdir()
    storage.write_table(str(tmp_path / "truth" / "a.parquet"), pa.table({"x": [1]}))
    with pytest.raises(UserError, match="the format is none"):
        load_truth(str(tmp_path))


def test_the_job_writes_videos_and_prints_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["people=1", "views=1", "seconds=0.2", "width=64", "height=64", "workers=1"]
    assert run_job("synthesize", [f"output={tmp_path}/out", *small]) == 0
    assert "1 videos, 6 frames" in capsys.readouterr().out
    assert Path(tmp_path, "out", "manifest.csv").exists()
    assert run_job("synthesize", [f"output={tmp_path}/out", "width=63"]) == 2
    assert "width" in capsys.readouterr().err

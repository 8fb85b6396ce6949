"""The notebook of the documentation runs, cell by cell, on a small film and small tracks."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from train.training_samples import person, write

import raylift

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"
pytestmark = pytest.mark.ray


def cells() -> list[str]:
    document = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in document["cells"] if cell["cell_type"] == "code"]


def test_its_cells_run_one_after_another(embedded_ray, make_video, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "clip.mp4", frames=40, fps=20)
    write(tmp_path / "mocap" / "tracks", person("a"), person("b"))
    # People are not found by networks here, which would have to be fetched, but by a plug-in of the tests.
    monkeypatch.setattr(raylift, "lift", partial(raylift.lift, detector="bright_spot:BrightSpot"))
    names: dict[str, Any] = {}
    for cell in cells():
        exec(compile(cell, str(NOTEBOOK), "exec"), names)
    assert names["person"].positions.shape == (40, len(names["person"].joints), 3)
    assert list(names["epochs"].epoch) == [1, 2]
    assert names["epochs"].attrs["report"]["epochs"] == 2
    assert names["message"].endswith("there is no such field; did you mean detector?")
    assert names["tracks"].iloc[0].keypoints.shape == (40, 17, 2)


def test_it_keeps_no_output():
    document = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in document["cells"])

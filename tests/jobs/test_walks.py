"""The walks of docs/walks, command by command and snippet by snippet, from an empty folder, as a newcomer types them.

All of them take place in one folder, which is emptied between them. Where a command comes again that an earlier walk
had, what it left is put back, so that none is run twice. Videos and trainings are smaller than on the page, and
trainings without unlabeled tracks take place in this process.
my_cluster.md needs a cluster: tests/cluster/test_submit.py.
"""

import importlib.util
import io
import json
import re
import shutil
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
from docs.doc_commands import ROOT, Command, Snippet, steps
from docs.doc_stories import checked, really, reason
from mlflow import MlflowClient
from tracks.lifted_samples import lifted

from jobs.command_line.arguments import read_config
from pipelines.export.bvh import bvh_text
from pipelines.io.npz import read_npz
from pipelines.lifters.checkpoint import save_lifter
from pipelines.synthetic.motion import generate_motion
from pipelines.train import run
from pipelines.train.data import load_data
from pipelines.train.loop import LifterTraining
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train import TrainConfig

pytestmark = pytest.mark.ray
WALKS = ("label_a_folder", "train_on_my_mocap", "semi_supervised", "search_and_register")
FILMS = ("seconds=1", "fps=20", "width=320", "height=320", "views=1")
TRAINING = ("lifter.channels=16", "optimization.epochs=2", "objective.warmup_epochs=1")
SMALLER = {
    "synthesize": FILMS,
    "train": TRAINING,
    "tune": (*TRAINING, "trials=1", "scheduler=none", "search_space.lifter.channels=null"),
}
# Snippets that need a library which is no dependency.
NEEDS = {"import ezc3d": "ezc3d"}
# The names of joints that train_on_my_mocap.md reads from a BVH, and the markers that it reads from a C3D.
MOCAP = (ROOT / "docs" / "walks" / "train_on_my_mocap.md").read_text("utf-8")
BVH_NAMES = dict(re.findall(r'^    "(\w+)": "(\w+)",$', MOCAP, re.MULTILINE))
MARKERS = sorted(set(re.findall(r'"([A-Z][A-Z0-9]+)"', MOCAP)))


class Stage:
    """The folder of all walks, and what each command has left in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._kept = folder / "walk", folder / "kept"
        self._numbers: dict[str, int] = {}

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def do(self, command: Command) -> None:
        """Run a command in the folder, or put back what it left there before."""
        if (number := self._numbers.get(command.text)) is not None:
            shutil.copytree(self._kept / str(number), self.folder, dirs_exist_ok=True)
            return
        before = set(self.folder.iterdir())
        job, smaller = command.words[1], SMALLER.get(command.words[1], ())
        if job == "train" and "unlabeled=" not in command.text:
            train_here([*command.words[2:], *smaller])
        else:
            really(*smaller)(command)
        self._numbers[command.text] = number = len(self._numbers)
        (self._kept / str(number)).mkdir(parents=True)
        for made in set(self.folder.iterdir()) - before:
            (shutil.copytree if made.is_dir() else shutil.copy2)(made, self._kept / str(number) / made.name)


def train_here(arguments: list[str]) -> None:
    """Train in this process: Ray Train's own processes take most of so small a training, and one walk starts them."""
    given = {argument.partition("=")[0]: argument for argument in arguments}
    config = read_config(TrainConfig, list(given.values()))
    job = run.prepare(config)
    workers = WorkerGroup(torch.device("cpu"))
    training = LifterTraining(config, job.plan, load_data(config, job.plan, workers), workers)
    for _ in range(config.optimization.epochs):
        training.run_epoch()
    save_lifter(f"{config.output}/best.pt", training.result, run._card(job, {}))


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    return Stage(tmp_path_factory.mktemp("walks"))


def a_walk() -> np.ndarray:
    """A person who walks: positions in a world with z up."""
    return generate_motion(3, 1.0, 30.0, "walk").positions


def write_recordings() -> None:
    """The files of a studio that train_on_my_mocap.md reads: a BVH, and a C3D whose markers all are at the pelvis."""
    walk = a_walk() @ np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]).T + [0, 0, 5]
    track = lifted(
        len(walk), positions=(walk - walk[:, :1]).astype(np.float32), trajectory=walk[:, 0].astype(np.float32)
    )
    text = bvh_text(track)
    for name, theirs in BVH_NAMES.items():
        text = text.replace(f"ROOT {name}\n", f"ROOT {theirs}\n").replace(f"JOINT {name}\n", f"JOINT {theirs}\n")
    Path("walk.bvh").write_text(text)
    if importlib.util.find_spec("ezc3d"):
        import ezc3d  # pyright: ignore[reportMissingImports]

        file = ezc3d.c3d()
        file["parameters"]["POINT"]["LABELS"]["value"] = MARKERS
        file["parameters"]["POINT"]["RATE"]["value"] = [30.0]
        file["data"]["points"] = np.stack([np.tile(a_walk()[:, 0, axis], (len(MARKERS), 1)) for axis in range(3)])
        file.write("walk.c3d")


def answered_by(model):
    """In place of `urlopen`: what `mlflow models serve` does with a request."""

    def answer(request):
        assert request.full_url.endswith(":5001/invocations")
        inputs = {name: np.array(values) for name, values in json.loads(request.data)["inputs"].items()}
        predictions = {name: values.tolist() for name, values in model.predict(inputs).items()}
        return io.StringIO(json.dumps({"predictions": predictions}))

    return answer


@pytest.mark.parametrize("walk", WALKS)
def test_a_walk_leads_from_an_empty_folder_to_its_end(walk, embedded_ray, stage, make_video, monkeypatch, capfd):
    stage.clear()
    monkeypatch.chdir(stage.folder)
    write_recordings()
    make_video(Path("clip.mp4"), frames=5)
    known = {"__name__": "snippet"}
    for step in steps(ROOT / "docs" / "walks" / f"{walk}.md"):
        if isinstance(step, Snippet):
            needed = next((library for begin, library in NEEDS.items() if step.code.startswith(begin)), None)
            if needed is None or importlib.util.find_spec(needed):
                if "model" in known:
                    monkeypatch.setattr(urllib.request, "urlopen", answered_by(known["model"]))
                exec(step.code, known)
        elif "video=clip.mp4" in step.text:
            checked()(step)
        elif reason(step) is None:
            stage.do(step)
    ENDS[walk](capfd.readouterr().out)


def labels_are_lifted(out: str) -> None:
    assert "person 0 (20, 21, 2) mean score" in out
    assert Path("out/report.html").is_file()
    assert {file.suffix for file in Path("poses").rglob("*")} >= {".parquet", ".npz", ".bvh", ".csv"}


def mocap_is_learned(out: str) -> None:
    joints = read_npz("from_bvh.npz", "positions_3d")["positions_3d"]["anna"]["walk"]
    expected = a_walk()
    # The file has y up, and bones of constant length.
    np.testing.assert_allclose(joints[..., 1] - joints[:, :1, 1], expected[..., 2] - expected[:, :1, 2], atol=1e-3)
    assert Path("lifter/best.pt").is_file()
    assert "walk" in out.partition("P1 by joint")[0]


def both_trainings_are_scored(out: str) -> None:
    assert out.count("P1 by joint, mm") == 2
    assert out.count("unlabeled: bone lengths vary by ") == 2
    assert "reprojection error" in out.rpartition("unlabeled: ")[2]
    assert "trained on" not in out


def a_champion_is_used(out: str) -> None:
    client = MlflowClient()
    assert list(client.get_registered_model("lifter").aliases) == ["champion"]
    assert [str(version.version) for version in client.search_model_versions("name='lifter'")] == ["1"]
    assert "(30, 17, 3)" in out
    assert list(Path("poses").rglob("*.bvh"))


ENDS = {
    "label_a_folder": labels_are_lifted,
    "train_on_my_mocap": mocap_is_learned,
    "semi_supervised": both_trainings_are_scored,
    "search_and_register": a_champion_is_used,
}

"""From several cameras to a lifter for single ones: film, label, triangulate, train, compare with `everyday`, promote.

raylift demo_multiview output=demo-multiview
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("demo_multiview"))

import json
import time

import numpy as np
from rich.table import Table

from jobs import evaluate, train, triangulate
from jobs.command_line.arguments import read_config
from jobs.command_line.recipes import recipe_path
from jobs.command_line.terminal import Terminal
from jobs.demo import Walk
from pipelines.io import json_documents, storage
from pipelines.mlflow_runs import runs, tracking_server
from pipelines.synthetic.calibration import pose2sim
from pipelines.synthetic.truth import load_truth
from pipelines.tracks.keypoint_reader import read_tracks, survey
from schemas.configs.demo_multiview import DemoMultiviewConfig
from schemas.configs.evaluate import EvaluateConfig
from schemas.configs.train import TrainConfig
from schemas.configs.triangulate import TriangulateConfig

# Frame rate of the videos, which is that of the lifter that the training starts from.
FPS = 30
# Two cameras stand at about a right angle.
ARC_DEG = 180.0
# The training starts from this lifter, and its result is compared with it.
START = "everyday"
BATCH_SIZE = 256
LEARNING_RATE = 2e-4


def main(config: DemoMultiviewConfig) -> int:
    """Run all steps; returns the exit code of the first one that fails, or 0."""
    started, console = time.monotonic(), Terminal()
    steps = Steps(config, console)
    tracking_server.connect(registry=True)  # a step registers models
    with runs.record("demo_multiview", config):  # the runs of all steps are parts of it
        for step in (steps.film, steps.label, steps.triangulate, steps.train, steps.score, steps.register):
            if code := step():
                return code
    steps.show_result(time.monotonic() - started)
    return 0


class Steps(Walk):
    """The steps; each runs a job with an output of its own and returns the job's exit code."""

    def __init__(self, config: DemoMultiviewConfig, console: Terminal) -> None:
        super().__init__(config.output, console)
        self._config = config
        people = config.labeled + config.held_out
        self._people = [f"S{number:03}" for number in range(people)]
        self._labeled, self._held_out = self._people[: config.labeled], self._people[config.labeled :]

    def film(self) -> int:
        """Render people from several sides, with the calibration of the cameras."""
        people, config = len(self._people), self._config
        self.begin(f"Film {people} synthetic people with {config.views} cameras at once")
        code = self.film_people(people=people, seconds=config.seconds, views=config.views, fps=FPS, arc_deg=ARC_DEG)
        for session, text in pose2sim(load_truth(self.path("studio"))).items():
            storage.write_bytes(self.path("calibration", f"{session}.toml"), text.encode())
        return code

    def triangulate(self) -> int:
        """Make labels of the keypoints of several cameras."""
        self.begin("Triangulate: where the cameras' rays meet are the joints of the labels")
        arguments = {
            "tracks": self.path("labels", "tracks"),
            "calibration": self.path("calibration", "{session}.toml"),
            # The map moves joints from where BlazePose puts them to where the pretrained lifter expects them.
            "joint_map": recipe_path("errors_blazepose"),
            "output": self.path("triangulated"),
            "max_failed": "null",
        }
        code = triangulate.main(
            read_config(TriangulateConfig, [f"{name}={value}" for name, value in arguments.items()])
        )
        # The lifter is tested against the true joints, which only a synthetic studio knows.
        return code or self.join_with_truth(layout="limbs14")

    def train(self) -> int:
        """Train the lifter that comes with Raylift further, on what the cameras have labeled."""
        self.begin(f"Train {START} further on the labels of {len(self._labeled)} people, each camera by itself")
        labels = self.path("triangulated", "tracks")
        # People of whom both cameras see too few joints have no labels.
        labeled = {track.subject for track in survey(labels)}
        settings = {
            "labeled": labels,
            "weights": START,
            "output": self.path("lifter"),
            "data": {"subjects": [person for person in self._labeled if person in labeled]},
            "optimization": {
                "epochs": self._config.epochs,
                "batch_size": BATCH_SIZE,
                "learning_rate": LEARNING_RATE,
            },
        }
        recipe = self.path("training.yaml")
        storage.write_bytes(recipe, json.dumps(settings, indent=2).encode())
        return train.main(read_config(TrainConfig, [recipe]))

    def score(self) -> int:
        """Score both on the other people, seen by one camera at a time, against the truth."""
        self.begin(f"Score on {len(self._held_out)} others, seen by one camera at a time")
        for name, model in (("before", START), ("after", self.path("lifter", "last.pt"))):
            tracks, people = self.path("poses", "tracks"), tuple(self._held_out)
            config = EvaluateConfig(model=model, output=self.path(name), data=tracks, subjects=people)
            if code := evaluate.main(config):
                return code
        return 0

    def register(self) -> int:
        """Register both; the second becomes champion if it is no worse."""
        self.begin("Register both; the better one becomes the champion")
        # The motion capture that the first lifter was trained on is not available here.
        self.promote(self._config.model, START, self._held_out, unknown_data="true")
        self.promote(self._config.model, self.path("lifter", "last.pt"), self._held_out)
        return 0

    def show_result(self, seconds: float) -> None:
        """Print the comparison, and what to try next."""
        self.begin("Results")
        people = f"{len(self._held_out)} held-out people, one camera"
        table = Table(people, "MPJPE", "P-MPJPE", box=None, padding=(0, 3, 0, 0))
        for name, title in (("before", f"before: {START}"), ("after", "after: trained on the labels")):
            metrics = json_documents.read(self.path(name, "metrics.json"))["overall"]["metrics"]
            table.add_row(title, *(f"{metrics[metric]:.1f} mm" for metric in ("mpjpe_mm", "p_mpjpe_mm")))
        self.console.print(table)
        self.console.print_lines(
            f"Labels of {self._config.views} cameras are off by {self._label_error_mm():.0f} mm (median).",
            f"Done in {seconds:.0f} s. Try next:",
            f"  .venv/bin/raylift lift model=models:/{self._config.model}@champion video=clip.mp4 output=out/clip",
            "  .venv/bin/raylift triangulate tracks=out/tracks calibration=Calib.toml output=out/triangulated",
        )

    def _label_error_mm(self) -> float:
        """Median distance of the labeled joints from the true ones, in each camera's space."""
        truth = {track.video: track for track in read_tracks(self.path("poses", "tracks"))}
        errors = [np.zeros(0)]
        for track in read_tracks(self.path("triangulated", "tracks")):
            if (true := truth.get(track.video)) is None:
                continue
            assert track.positions is not None
            assert true.positions is not None
            _, mine, theirs = np.intersect1d(track.timestamps_s, true.timestamps_s, return_indices=True)
            errors.append(np.linalg.norm(track.positions[mine] - true.positions[theirs], axis=-1).ravel())
        return 1000 * float(np.median(np.concatenate(errors)))

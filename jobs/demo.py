"""Run every step on synthetic people: render, label, train without and with unlabeled video, register, lift, view.

raylift demo output=demo
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("demo"))

import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from jobs import compare, import_poses, label, lift, register, synthesize
from jobs.command_line.arguments import read_config
from jobs.command_line.terminal import Terminal
from pipelines.io import storage
from pipelines.mlflow_runs import runs, tracking_server
from pipelines.synthetic import comparison
from pipelines.synthetic.studio import MANIFEST
from pipelines.synthetic.truth import load_truth
from schemas.configs.compare import CompareConfig
from schemas.configs.demo import DemoConfig
from schemas.configs.import_poses import ImportPosesConfig
from schemas.configs.label import LabelConfig
from schemas.configs.lift import LiftConfig
from schemas.configs.register import RegisterConfig
from schemas.configs.synthesize import SynthesizeConfig
from schemas.errors import UserError

# Frame rate of the videos and of the lifter. At a low rate, the receptive field covers more time.
FPS = 20
# These widths give a receptive field of 27 frames, which covers a cycle of walking.
FILTER_WIDTHS = [3, 3, 3]
BATCH_SIZE = 64
# The learning rate falls to this fraction of its first value over the training.
FINAL_LEARNING_RATE = 0.1
# In this fraction of the epochs, at the beginning, only labeled tracks are used.
WARMUP_SHARE = 1 / 6


def main(config: DemoConfig) -> int:
    """Run all steps; returns the exit code of the first one that fails, or 0."""
    started, console = time.monotonic(), Terminal()
    steps = Steps(config, console)
    tracking_server.connect(registry=True)  # a step registers models
    with runs.record("demo", config):  # the runs of all steps are parts of it
        for step in (steps.film, steps.label, steps.join_truth, steps.train_and_score, steps.register, steps.lift):
            if code := step():
                return code
    steps.show_result(time.monotonic() - started)
    return 0


class Walk:
    """Steps on synthetic people; each runs a job with an output of its own and returns the job's exit code.

    Args:
        output: Folder on this machine for all steps.
        console: What they print to.

    Raises:
        UserError: The output is not on this machine.
    """

    def __init__(self, output: str, console: Terminal) -> None:
        if not storage.is_local(output):
            raise UserError(f"output={output}: the demo writes to a folder on this machine; give a local folder")
        self._output, self.console, self._steps = output, console, 0

    def film_people(self, **fields: Any) -> int:
        """Render synthetic people from several sides, with cameras and ground truth; `fields` are those of the job."""
        if storage.exists(self.path("studio", MANIFEST)):
            self.console.print(f"synthesize: nothing to do: {self.path('studio')} holds the videos")
            return 0
        return synthesize.main(SynthesizeConfig(output=self.path("studio"), **fields))

    def label(self) -> int:
        """Run the detector on all videos; training uses only the detected keypoints."""
        self.begin("Label the videos: 2D keypoints by BlazePose on Ray Data")
        manifest = self.path("studio", MANIFEST)
        code = label.main(read_config(LabelConfig, [f"videos={manifest}", f"output={self.path('labels')}"]))
        if not code:
            self.console.print(self._detector_error())
        return code

    def join_with_truth(self, **options: str) -> int:
        """Join the tracks with the true positions; `options` are those of the source."""
        options = {"tracks": self.path("labels", "tracks"), "truth": self.path("studio"), **options}
        arguments = ["source=synthetic", *(f"source.{name}={value}" for name, value in options.items())]
        return import_poses.main(read_config(ImportPosesConfig, [*arguments, f"output={self.path('poses')}"]))

    def promote(self, name: str, model: str, subjects: Sequence[str], **fields: str) -> None:
        """Register a lifter, which becomes champion if it is no worse on some people; `fields` are those of the job."""
        arguments = {
            "model": model,
            "name": name,
            "promote": "champion",
            "data": self.path("poses", "tracks"),
            "subjects": json.dumps(subjects),
            **fields,
        }
        # The exit code is ignored: a lifter that is worse than the champion stays a candidate, which is no failure.
        register.main(read_config(RegisterConfig, [f"{field}={value}" for field, value in arguments.items()]))

    def _detector_error(self) -> str:
        files = storage.list_folder(self.path("labels", "tracks"), ".parquet")
        tracks = [track for file in files for track in storage.read_table(file).to_pylist()]
        studio = self.path("studio")
        results = comparison.compare(load_truth(studio), tracks, studio)
        shares = [result.error_share for result in results if result.track_id]
        return (
            f"detector     {len(shares)} of {len(results)} people in videos found, "
            f"limbs off by {median(shares or [float('nan')]):.1%} of their height (median)"
        )

    def begin(self, title: str) -> None:
        """Print the title of the next step."""
        self._steps += 1
        self.console.rule(f"{self._steps}. {title}", align="left")

    def path(self, *names: str) -> str:
        """A file or folder in the output."""
        return storage.join(self._output, *names)


class Steps(Walk):
    """The steps of the demo."""

    def __init__(self, config: DemoConfig, console: Terminal) -> None:
        super().__init__(config.output, console)
        self._config = config
        names = [f"S{number:03}" for number in range(config.labeled + config.unlabeled + config.held_out)]
        self._labeled, rest = names[: config.labeled], names[config.labeled :]
        self._unlabeled, self._held_out = rest[: config.unlabeled], rest[config.unlabeled :]

    def film(self) -> int:
        """Render synthetic people from several sides, with cameras and ground truth."""
        people = len(self._labeled + self._unlabeled + self._held_out)
        self.begin(f"Film {people} synthetic people from {self._config.views} sides")
        return self.film_people(people=people, seconds=self._config.seconds, views=self._config.views, fps=FPS)

    def join_truth(self) -> int:
        """Join the tracks with the 3D ground truth of the synthetic videos."""
        self.begin("Join the tracks with the true 3D poses")
        return self.join_with_truth()

    def train_and_score(self) -> int:
        """Train twice, without and with the unlabeled tracks, and score both."""
        self.begin(
            f"Train on {len(self._labeled)} labeled people, without and with {len(self._unlabeled)} unlabeled ones; "
            f"score on {len(self._held_out)} others"
        )
        epochs = self._config.epochs
        settings = {
            "tracks": self.path("poses", "tracks"),
            "output": self.path("training"),
            "test_subjects": self._held_out,
            "data": {"subjects": self._labeled, "unlabeled_subjects": self._unlabeled},
            "lifter": {
                "name": "temporal_conv",
                "filter_widths": FILTER_WIDTHS,
                "channels": self._config.channels,
            },
            "objective": {"warmup_epochs": round(epochs * WARMUP_SHARE)},
            "optimization": {
                "epochs": epochs,
                "batch_size": BATCH_SIZE,
                "learning_rate_decay": FINAL_LEARNING_RATE ** (1 / epochs),
            },
        }
        recipe = self.path("training.yaml")
        storage.write_bytes(recipe, json.dumps(settings, indent=2).encode())
        return compare.main(read_config(CompareConfig, [recipe]))

    def register(self) -> int:
        """Register both lifters; the second becomes champion if it is no worse on the held-out people."""
        self.begin("Register both; the better one becomes the champion")
        for variant in ("supervised", "semi_supervised"):
            self.promote(self._config.model, self.path("training", variant, "last.pt"), self._held_out)
        return 0

    def lift(self) -> int:
        """Lift a video of a held-out person, and make a page and a video of the result."""
        self.begin("Lift a video of a person who was not trained on")
        video = sorted(Path(self.path("studio", "videos")).glob(f"{self._held_out[0]}_*.mp4"))[0]
        arguments = [
            f"model=models:/{self._config.model}@champion",
            f"video={video}",
            "detector=blazepose",
            f"output={self.path('lifted')}",
        ]
        return lift.main(read_config(LiftConfig, arguments))

    def show_result(self, seconds: float) -> None:
        """Print the comparison, where the results are, and what to try next."""
        self.begin("Results")
        report = json.loads(storage.read_bytes(self.path("training", "comparison.json")))
        table = Table(f"{len(self._held_out)} held-out people", "MPJPE", "P-MPJPE", box=None, padding=(0, 3, 0, 0))
        for variant in ("supervised", "semi_supervised"):
            errors = (f"{report[f'{variant}_{metric}_mm']:.1f} mm" for metric in ("mpjpe", "p_mpjpe"))
            table.add_row(variant.replace("_", "-"), *errors)
        self.console.print(table)
        verdict = "lower" if report["gain_percent"] > 0 else "higher"
        self.console.print(f"With unlabeled video the error is {abs(report['gain_percent']):.1f} % {verdict}.")
        page = next(Path(self.path("lifted")).glob("*.html"), None)
        self.console.print(f"Look at it:  {page or self.path('lifted')}")
        self.console.print_lines(
            f"Done in {seconds:.0f} s. Try next:",
            f"  .venv/bin/raylift lift model=models:/{self._config.model}@champion video=clip.mp4 output=out/clip",
            "  .venv/bin/raylift label videos=your/folder output=out",
            "  .venv/bin/mlflow ui",
        )

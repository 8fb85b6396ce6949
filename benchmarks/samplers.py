"""Which sampler finds good values first: `python -m benchmarks.samplers report`, from the tables that are kept here.

Searches cannot be repeated often enough with a training for each trial. Therefore trainings are tabulated once: each
of four objectives, the fine-tuning of a detector among them, is trained at every point of a grid (about 200 trainings
of some seconds each). `python -m benchmarks.samplers table MOCAP.npz FOLDER` writes these tables, `sampler_tables/`,
and goes on where it was. A search then reads the error between grid points by linear interpolation, along logarithms
where the grid is logarithmic, so that ten searches of fifty trials with each sampler take minutes in all. What is
compared is the best error so far, as a share of the way from the grid's median to its minimum: as curves,
`samplers.svg`, and after 10, 20 and 50 trials.
"""

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from scipy.interpolate import RegularGridInterpolator

from jobs.command_line.arguments import plugin_config, read_config
from pipelines.search.optuna_study import Ending
from pipelines.search.samplers import Sampler
from pipelines.search.space import search_space
from pipelines.train import run
from pipelines.train_detector import run as detector_run
from pipelines.training.in_process import fit_in_process
from schemas.configs.train import TrainConfig
from schemas.configs.train_detector import TrainDetectorConfig
from schemas.configs.tune import TuneConfig

LABELED = ["data.subjects=[S60]", "data.subset=0.03", "data.subset_start=first", "data.validation_subjects=[S38,S49]"]
SHORT = ["optimization.epochs=6", "optimization.batch_size=128", "resources.cpus_per_worker=1"]
SAMPLERS = ("random", "qmc", "tpe", "gp", "cmaes")
HERE = Path(__file__).parent
REPEATS, TRIALS, SHOWN = 10, 50, (10, 20, 50)


@dataclass(frozen=True)
class Grid:
    """Values of a field at which trainings are tabulated.

    Attributes:
        path: The field.
        values: Ascending; whole numbers make a search over whole numbers.
        log: Whether they are spaced by their logarithms.
        searched: The field that stands for it in the search space, where a search knows fields of `train` alone. A
            sampler sees its range and nothing else.
    """

    path: str
    values: tuple[float, ...]
    log: bool = True
    searched: str = ""

    @property
    def searched_path(self) -> str:
        """The field's path in the search space."""
        return self.searched or self.path

    def place(self, value: float) -> float:
        """Where a value lies along the grid's axis."""
        return float(np.log(value)) if self.log else value

    @property
    def dimension(self) -> str:
        """As a search space has it."""
        whole = all(isinstance(value, int) for value in self.values)
        kind = ("log" if self.log else "") + ("randint" if whole else "uniform")
        return f"search_space.{self.searched_path}={{{kind}: [{self.values[0]}, {self.values[-1]}]}}"


RATE = Grid("optimization.learning_rate", (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2))
DROPOUT = Grid("lifter.dropout", (0.0, 0.1, 0.25, 0.5), log=False)
CHANNELS = Grid("lifter.channels", (32, 64, 128))
DECAY = Grid("optimization.learning_rate_decay", (0.6, 0.8, 1.0), log=False)
TEMPORAL = [*LABELED, *SHORT, "lifter.name=temporal_conv", "lifter.filter_widths=[3,3,3]", "lifter.channels=64"]
DETECTOR = "detector, fine-tuned"
OBJECTIVES: dict[str, tuple[list[str], tuple[Grid, ...]]] = {
    "supervised temporal_conv": (TEMPORAL, (RATE, DROPOUT, CHANNELS, DECAY)),
    "semi-supervised temporal_conv": (
        [*TEMPORAL, "data.unlabeled_subjects=[S35]", "objective.warmup_epochs=2"],
        (
            Grid("optimization.learning_rate", (3e-4, 1e-3, 3e-3, 1e-2)),
            Grid("objective.reprojection", (0.03, 0.3, 3.0, 30.0)),
            Grid("objective.bone_length", (0.03, 0.3, 3.0, 30.0)),
            Grid("lifter.dropout", (0.0, 0.25, 0.5), log=False),
        ),
    ),
    "supervised residual_mlp": ([*LABELED, *SHORT, "lifter.name=residual_mlp"], (RATE, DROPOUT, CHANNELS, DECAY)),
    DETECTOR: (
        ["optimization.epochs=2", "optimization.decay_at=[0.5]", "augmentation.rotated=0"],
        (
            Grid("optimization.learning_rate", (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)),
            Grid("optimization.batch_size", (4, 12, 32)),
            Grid("optimization.decay", (0.03, 0.2, 1.0), searched="optimization.learning_rate_decay"),
            Grid("augmentation.scale", (0.0, 0.2, 0.5), log=False, searched="lifter.dropout"),
        ),
    ),
}
# The detector to fine-tune learns from PEOPLE people; then it is shown FEW others and scored on as many new ones.
PEOPLE, FEW = 60, 16
FIRST_TRAINING = (
    "optimization.epochs=8",
    "optimization.batch_size=16",
    "network.channels=8",
    "network.input_size=96x64",
)


class Silent:
    """A training's listener that says nothing."""

    def started(self, epochs_done: int) -> None:
        """Workers begin."""

    def step(self, report: Any) -> None:
        """A step has ended."""

    def epoch(self, report: Any) -> None:
        """An epoch has ended."""

    def cut(self, done: int, total: int) -> None:
        """People have been cut out."""


def tabulate(name: str, train: Callable[[list[str]], float]) -> None:
    """Train at every point of an objective's grid that the table lacks; `train` returns the error of a training."""
    fields, grids = OBJECTIVES[name]
    known = {tuple(row["point"]) for row in rows(name)}
    with table_file(name).open("a") as table:
        for point in itertools.product(*(grid.values for grid in grids)):
            if point in known:
                continue
            values = [f"{grid.path}={value}" for grid, value in zip(grids, point, strict=True)]
            table.write(json.dumps({"point": point, "error": train([*fields, *values])}) + "\n")
            table.flush()


def lifter_error_mm(fields: list[str], output: Path) -> float:
    """The error of a lifter's training (MPJPE, mm)."""
    shutil.rmtree(output, ignore_errors=True)
    config = read_config(TrainConfig, [f"output={output}", *fields])
    return run.execute(run.prepare(config), "none", Silent(), fit=fit_in_process)["best_validation_mm"]


def detector_error(fields: list[str], output: Path) -> float:
    """The share of joints that a detector misses after its training, % (100 - PCKh@0.5)."""
    # Everything but the people that are cut out already, which all trainings share.
    shutil.rmtree(output / "checkpoints", ignore_errors=True)
    for name in ("best.pt", "last.pt", "report.json"):
        (output / name).unlink(missing_ok=True)
    config = read_config(TrainDetectorConfig, [f"output={output}", "resources.cpus_per_worker=1", *fields])
    report = detector_run.execute(detector_run.prepare(config), "none", Silent(), fit=fit_in_process)
    return 100 * (1 - report["best"]["pckh"])


def detector_fields(folder: Path) -> list[str]:
    """Make the synthetic people and the detector that is fine-tuned; returns the fields that name them."""
    for seed, (name, people) in enumerate({"many": PEOPLE, "few": FEW, "others": FEW}.items()):
        if not (folder / name).exists():
            words = [f"people={people}", "seconds=10", "fps=2", "views=1", f"seed={seed}", f"output={folder / name}"]
            subprocess.run([sys.executable, "-m", "jobs.synthesize", *words], check=True)
    first = folder / "first"
    others = ["validation=studio", f"validation.folder={folder / 'others'}", "validation.every=2"]
    if not (first / "best.pt").exists():
        many = ["data=studio", f"data.folder={folder / 'many'}", "data.every=1"]
        detector_error([*many, *others, *FIRST_TRAINING], first)
    few = ["data=studio", f"data.folder={folder / 'few'}", "data.every=2"]
    return [*few, *others, f"weights={first / 'best.pt'}"]


def table_file(name: str) -> Path:
    """The table of an objective."""
    return HERE / "sampler_tables" / f"{name.replace(', ', ' ').replace(' ', '_')}.jsonl"


def rows(name: str) -> list[dict[str, Any]]:
    """The trainings of an objective's table."""
    file = table_file(name)
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def best_so_far(name: str, sampler: str, seed: int) -> Float[np.ndarray, " trials"]:
    """The best error after each trial of a search."""
    fields, grids = OBJECTIVES[name]
    errors = {tuple(row["point"]): row["error"] for row in rows(name)}
    shape = [len(grid.values) for grid in grids]
    points = itertools.product(*(grid.values for grid in grids))
    table = np.array([errors[point] for point in points]).reshape(shape)
    axes = [[grid.place(value) for value in grid.values] for grid in grids]
    error_at = RegularGridInterpolator(axes, table)
    unlabeled = ["unlabeled=tracks"] if name.startswith("semi") else []
    space = [grid.dimension for grid in grids]
    search_options = [f"sampler={sampler}", f"seed={seed}", f"trials={TRIALS}", "scheduler=none"]
    # A field that is searched has no value of its own.
    fixed = [field for field in fields if field.partition("=")[0] not in {grid.path for grid in grids}]
    if name == DETECTOR:  # its own fields are none of a lifter's training, which the space belongs to
        fixed = ["data.validation_subjects=[anybody]"]
    config = read_config(TuneConfig, ["labeled=tracks", "output=none", *unlabeled, *fixed, *space, *search_options])
    proposing, so_far = Sampler(config, search_space(config, plugin_config)), []
    # Trial 1 has the config's own values in every search, which would hide what samplers do: it is not counted.
    for number in range(2, TRIALS + 2):
        values = proposing.propose(number)
        (error,) = error_at([[grid.place(values[grid.searched_path]) for grid in grids]])
        proposing.tell(number, values, Ending("finished", {1: float(error)}))
        so_far.append(float(error))
    return (np.median(table) - np.minimum.accumulate(so_far)) / (np.median(table) - table.min())


def searches(name: str, sampler: str) -> Float[np.ndarray, "searches trials"]:
    """The curves of repeated searches."""
    return np.array([best_so_far(name, sampler, seed) for seed in range(REPEATS)])


def report() -> None:
    """Print the medians over repeated searches, and draw them."""
    figure = Figure(figsize=(12, 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(OBJECTIVES), sharey=True), OBJECTIVES, strict=True):
        errors = [row["error"] for row in rows(name)]
        unit = "%" if name == DETECTOR else "mm"
        print(f"{name}: {len(errors)} trainings, {min(errors):.1f} to {max(errors):.1f} {unit}")
        for sampler in SAMPLERS:
            shares = 100 * searches(name, sampler)
            medians = [f"{np.median(shares[:, trials - 1]):.0f} %" for trials in SHOWN]
            worst = f"{shares[:, -1].min():.0f} %"
            print(f"  {sampler:8} {'  '.join(medians)}  worst of {REPEATS} after {TRIALS}: {worst}", flush=True)
            axes.plot(range(1, TRIALS + 1), np.median(shares, axis=0), label=sampler)
        axes.set(title=name, xlabel="trials", ylim=(0, 102), xlim=(1, TRIALS))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("best so far, % of the way\nfrom median to minimum")
    figure.axes[-1].legend(loc="lower right")
    figure.savefig(HERE / "samplers.svg", metadata={"Date": None})


def tabulate_all(mocap: str, folder: Path) -> None:
    """Train whatever the tables lack; what trainings need and write lies in the folder."""
    tracks = folder / "mocap" / "tracks"
    if not tracks.exists():
        words = ["source=mocap17", f"source.positions={mocap}", f"output={folder}/mocap"]
        subprocess.run([sys.executable, "-m", "jobs.import_poses", *words], check=True)
    for name in OBJECTIVES:
        if name == DETECTOR:
            given, error_of, output = detector_fields(folder), detector_error, folder / "detector"
        else:
            given, error_of, output = [f"labeled={tracks}"], lifter_error_mm, folder / "training"
            given += [f"unlabeled={tracks}"] if name.startswith("semi") else []
        tabulate(name, lambda fields, g=given, e=error_of, o=output: e([*g, *fields], o))


if __name__ == "__main__":
    if sys.argv[1:2] == ["table"]:
        tabulate_all(sys.argv[2], Path(sys.argv[3]).resolve())
    else:
        report()

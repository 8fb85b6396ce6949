"""Measure what unlabeled tracks improve: train without and with them, score both on people that neither was trained on.

raylift compare cmu_semi mocap=cmu_mocap_17j.npz output=out/cmu_semi
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("compare"))

import re
import time
from typing import Any

from rich.table import Table

from jobs import evaluate, import_poses, train
from jobs.command_line.arguments import read_config
from jobs.command_line.terminal import Terminal, files_in
from pipelines.io import json_documents, storage
from pipelines.mlflow_runs import runs
from schemas.configs.compare import CompareConfig
from schemas.configs.evaluate import EvaluateConfig
from schemas.configs.import_poses import ImportPosesConfig
from schemas.configs.train import TrainConfig, TrainingConfig
from schemas.errors import UserError

FORMAT = "raylift.comparison/1"
VARIANTS = ("supervised", "semi_supervised")
# What fields of import_poses are called here, for its messages.
_OWN_NAMES = {"positions": "mocap", **{name: f"filming.{name}" for name in ("views", "noise_px", "fps")}}
_IMPORTED = re.compile(rf"\bsource\.({'|'.join(_OWN_NAMES)})=")
METRICS = ("mpjpe_mm", "p_mpjpe_mm", "n_mpjpe_mm", "mpjve_mm")


def main(config: CompareConfig) -> int:
    """Import, train twice, evaluate twice; steps that are already done are not repeated."""
    started, console = time.monotonic(), Terminal()
    with runs.record("compare", config) as record:  # the runs of all steps are parts of it
        tracks = _film(config, console) if config.tracks is None else config.tracks
        comparison = _compare(config, tracks, console, started)
        record.log_metrics(by_variant(comparison))
    show(console, comparison, config)
    return 0


def _film(config: CompareConfig, console: Terminal) -> str:
    """Make labeled tracks of the motion capture; returns where they are."""
    console.rule("1. Film the motion capture", align="left")
    try:
        import_poses.main(_filming(config))
    except UserError as error:
        raise UserError(_IMPORTED.sub(lambda field: f"{_OWN_NAMES[field[1]]}=", str(error))) from error
    return storage.join(config.output, "mocap", "tracks")


def _compare(config: CompareConfig, tracks: str, console: Terminal, started: float) -> dict[str, Any]:
    """Train and score both variants; returns the comparison, also written to `comparison.json`."""
    scores: dict[str, dict[str, float]] = {}
    for number, (variant, unlabeled) in enumerate(zip(VARIANTS, (None, tracks), strict=True), start=2):
        console.rule(f"{number}. Train and score: {variant.replace('_', '-')}", align="left")
        folder = storage.join(config.output, variant)
        shared = {name: getattr(config, name) for name in TrainingConfig.model_fields}
        given = {"labeled": tracks, "unlabeled": unlabeled, "weights": config.weights, "output": folder}
        train.main(TrainConfig(**given, **shared))
        scores[variant] = _score(config, tracks, folder)
    comparison = compose(scores, time.monotonic() - started)
    json_documents.write(storage.join(config.output, "comparison.json"), comparison)
    return comparison


def compose(scores: dict[str, dict[str, float]], seconds: float) -> dict[str, Any]:
    """The report: each metric of each variant, and the improvement of MPJPE."""
    first, second = (scores[variant]["mpjpe_mm"] for variant in VARIANTS)
    flat = {f"{variant}_{name}": metrics[name] for variant, metrics in scores.items() for name in METRICS}
    return {"format": FORMAT, **flat, "gain_percent": 100 * (1 - second / first), "seconds": seconds}


def by_variant(comparison: dict[str, Any]) -> dict[str, Any]:
    """The numbers of a report as MLflow's page groups them, such as `supervised/mpjpe_mm`."""
    scores = {variant: {name: comparison[f"{variant}_{name}"] for name in METRICS} for variant in VARIANTS}
    return {**scores, "gain_percent": comparison["gain_percent"], "seconds": comparison["seconds"]}


def show(console: Terminal, comparison: dict[str, Any], config: CompareConfig) -> None:
    """Print the metrics of both variants and the improvement."""
    table = Table("", *(name.removesuffix("_mm").replace("_", "-").upper() + ", mm" for name in METRICS))
    for variant in VARIANTS:
        values = (f"{comparison[f'{variant}_{name}']:.1f}" for name in METRICS)
        table.add_row(variant.replace("_", "-"), *values)
    console.print(table)
    console.print_lines(
        f"Unlabeled tracks change the error on {', '.join(config.test_subjects)} by "
        f"{-comparison['gain_percent']:+.1f} % ({comparison['seconds']:.0f} s)",
        f"output    {files_in(config.output, 'comparison.json', 'supervised', 'semi_supervised')}",
    )


def _filming(config: CompareConfig) -> ImportPosesConfig:
    filming = config.filming
    options = {"views": filming.views, "noise_px": filming.noise_px, "fps": filming.fps}
    return read_config(
        ImportPosesConfig,
        [
            "source=mocap17",
            f"source.positions={config.mocap}",
            f"output={storage.join(config.output, 'mocap')}",
            *(f"source.{name}={value}" for name, value in options.items()),
        ],
    )


def _score(config: CompareConfig, tracks: str, folder: str) -> dict[str, float]:
    output = storage.join(folder, "test")
    model = storage.join(folder, "last.pt" if not config.data.validation_subjects else "best.pt")
    chosen = {"data": tracks, "subjects": config.test_subjects, "trust": config.lifter.name}
    chosen |= {"run_name": f"evaluate {folder.rpartition('/')[2]}"}
    evaluate.main(EvaluateConfig(model=model, output=output, **chosen))
    metrics = json_documents.read(storage.join(output, "metrics.json"))
    return metrics["overall"]["metrics"]

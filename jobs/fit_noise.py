"""Measure the errors of a keypoint detector, as a recipe for training on made views.

raylift fit_noise detector=blazepose motion=out/cmu/tracks output=out/noise
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("fit_noise"))

from typing import Any

from rich.table import Table

from jobs import import_poses, label, synthesize
from jobs.command_line.terminal import Terminal
from pipelines.fit_noise import run
from pipelines.io import storage
from pipelines.mlflow_runs import runs
from pipelines.mlflow_runs.datasets import TrackSet
from pipelines.synthetic.studio import MANIFEST
from pipelines.tracks.keypoint_reader import survey
from schemas.configs.fit_noise import FitNoiseConfig
from schemas.configs.import_poses import ImportPosesConfig
from schemas.configs.label import LabelConfig
from schemas.configs.made_views import PARTS
from schemas.configs.synthesize import FilmConfig, SynthesizeConfig
from schemas.job_config import PluginConfig

COLUMNS = ("offset", "slow", "white", "outliers", "outlier_size", "outwards", "along")


def main(config: FitNoiseConfig) -> int:
    """Film and label people unless there are tracks, then fit, and print a summary; returns the first bad exit code."""
    if config.tracks is None and (code := make_tracks(config)):
        return code
    tracks = config.tracks if config.tracks is not None else storage.join(config.output, "poses", "tracks")
    with storage.sole_writer(config.output), runs.record("fit_noise", config) as record:
        for address in filter(None, (tracks, config.motion)):
            record.log_read(TrackSet("measuring", address, survey(address)))
        report = run.fit(tracks, config.motion, config.output)
        record.log_json(report, "report.json")
    show(report, config)
    return 0


def make_tracks(config: FitNoiseConfig) -> int:
    """Film synthetic people, run the detector on them, and join what it finds with the truth; what is done is kept."""
    studio, labels, poses = (storage.join(config.output, name) for name in ("studio", "labels", "poses"))
    if not storage.exists(storage.join(studio, MANIFEST)):
        names = ("people", "views", "seconds", "fps", "width", "height", "seed", *FilmConfig.model_fields)
        scene = {name: getattr(config, name) for name in names}
        if code := synthesize.main(SynthesizeConfig(output=studio, **scene)):
            return code
    films = storage.join(studio, MANIFEST)
    if code := label.main(LabelConfig(videos=films, output=labels, detector=config.detector)):
        return code
    source = PluginConfig.model_validate(
        {"name": "synthetic", "tracks": storage.join(labels, "tracks"), "truth": studio}
    )
    return import_poses.main(ImportPosesConfig(source=source, output=poses))


def show(report: dict[str, Any], config: FitNoiseConfig) -> None:
    """The summary, one screen."""
    errors, table = report["errors"], Table(box=None, pad_edge=False)
    for name in ("joint", *COLUMNS):
        table.add_column(name, justify="left" if name == "joint" else "right")
    for part in PARTS:
        table.add_row(part, *(f"{100 * errors[part][name]:.2f}" for name in COLUMNS))
    console = Terminal()
    console.print(
        "errors: % of the stature as it is seen; outliers: % of windows; outwards, along: % of a distance on the body"
    )
    console.print(table)
    rest = {name: value for name, value in errors.items() if not isinstance(value, dict)}
    console.print_lines(
        ", ".join(f"{name} {value:g}" for name, value in rest.items()),
        f"measured on {report['tracks']} tracks, {report['frames']:,} frames",
        f"recipe: {storage.join(config.output, run.RECIPE)}",
    )

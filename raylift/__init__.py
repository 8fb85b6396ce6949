"""Raylift in Python: label, lift and train from a notebook, and read what the jobs write as pandas data frames.

    import raylift

    poses = raylift.lift("clip.mp4", "out")
    poses.iloc[0].positions  # (frames, joints, 3), metres

The three jobs take the settings of the command line, `detector="movenet"` and `optimization={"epochs": 20}` for
`optimization.epochs=20`, do what the output lacks, and start Ray only if something is missing. They read from and write
to local paths and buckets alike. What can be loaded need not be of this machine either.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from schemas import __version__
from schemas.errors import RunFailed, UserError
from schemas.job_config import JobConfig

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RunFailed", "UserError", "__version__", "label", "lift", "load_poses", "load_tracks", "train"]


def label(videos: str | Sequence[str], output: str, **settings: Any) -> "pd.DataFrame":
    """Find people and their keypoints in videos.

    Args:
        videos: A video, a folder, a manifest, or several of them (paths or URIs).
        output: Folder (any URI) for what the job writes. What it holds is not done again.
        **settings: Fields of the label job (`raylift label --help`).

    Returns:
        The tracks, as `load_tracks` returns them. `attrs["report"]` is the job's report, with the videos that failed.

    Raises:
        UserError: A setting is wrong, or there is no such video.
        RunFailed: The job failed, or more videos than `max_failed`.
    """
    config = _run("label", videos=videos, output=output, **settings)
    return _with_report(load_tracks(f"{config.output}/tracks"), config)


def lift(video: str | Sequence[str] | None = None, output: str | None = None, **settings: Any) -> "pd.DataFrame":
    """Lift videos, or tracks (`tracks=` in place of a video), to 3D poses.

    Args:
        video: A video, a folder, a manifest, or several of them (paths or URIs).
        output: Folder (any URI) for poses, pages and films; required. What it holds is not done again.
        **settings: Fields of the lift job (`raylift lift --help`).

    Returns:
        The poses, as `load_poses` returns them. `attrs["report"]` is the job's report; its `pages` can be opened in a
        browser.

    Raises:
        UserError: A setting is wrong, or there is no such video.
        RunFailed: The job failed, or more tracks and videos than `max_failed`.
    """
    # Arguments that are not given are left out, so that the job itself reports them as missing.
    given = {name: value for name, value in (("video", video), ("output", output)) if value is not None}
    config = _run("lift", **given, **settings)
    return _with_report(load_poses(config.output), config)


def train(labeled: str | Sequence[str], output: str, **settings: Any) -> "pd.DataFrame":
    """Train a lifter, on labeled tracks and, with `unlabeled=`, on unlabeled ones.

    Args:
        labeled: Tracks with positions: a file or folder, or several of them (paths or URIs).
        output: Folder (any URI) for best.pt and what else the job writes. A training that it holds goes on.
        **settings: Fields of the train job (`raylift train --help`).

    Returns:
        A row for each epoch: `epoch`, `learning_rate`, each term of the loss as `loss_…`, each error of the people held
        out as `validation_…` (mm, as the name ends). `attrs["report"]` is the job's report.

    Raises:
        UserError: A setting is wrong, or the tracks do not fit it.
        RunFailed: The training failed.
    """
    import pandas as pd

    from pipelines.training.resume import read_history

    config = _run("train", labeled=labeled, output=output, **settings)
    rows = [
        {"epoch": epoch["epoch"], "learning_rate": epoch["learning_rate"]}
        | {f"loss_{name}": value for name, value in epoch["losses"].items()}
        | {f"validation_{name}": value for name, value in epoch["validation"].items()}
        for epoch in read_history(config.output)
    ]
    return _with_report(pd.DataFrame(rows), config)


def load_tracks(where: str | Sequence[str]) -> "pd.DataFrame":
    """Read keypoints over time, as `label`, `import_keypoints` and `import_poses` write them.

    Args:
        where: Files or folders (paths or URIs).

    Returns:
        A row for each person in each video, with the columns of the tracks format (docs/formats.md) as arrays:
        `timestamps_s` (frames), `keypoints` (frames, joints, 2) in pixels, `scores` (frames, joints), and where they
        are known `positions` (frames, joints, 3) in metres. `joints` names the keypoints in their order.

    Raises:
        UserError: There are no tracks, or a file is damaged.
    """
    import pandas as pd

    from pipelines.tracks.keypoint_reader import read_tracks
    from schemas.layouts import layout

    return pd.DataFrame([vars(track) | {"joints": layout(track.layout).joints} for track in read_tracks(where)])


def load_poses(where: str) -> "pd.DataFrame":
    """Read poses, as `lift` writes them.

    Args:
        where: A file, or the output folder of `lift` (path or URI).

    Returns:
        A row for each person in each video, with the columns of the poses format (docs/formats.md) as arrays:
        `timestamps_s` (frames), `positions` (frames, joints, 3) in metres relative to the root, and where it is known
        `trajectory` (frames, 3), where the root is in camera space. `joints` names the joints in their order.

    Raises:
        UserError: There are no poses, or a file is damaged.
    """
    import pandas as pd

    from pipelines.tracks.lifted_reader import poses_files, read_lifted
    from schemas.layouts import layout

    tracks = [track for file in poses_files(where) for track in read_lifted(file)]
    return pd.DataFrame([vars(track) | {"joints": layout(track.layout).joints} for track in tracks])


def _run(job: str, **values: Any) -> Any:
    """Run a job as its command would; returns its config."""
    import importlib

    from jobs.command_line.arguments import plugin_config
    from jobs.command_line.job_list import config_class
    from pipelines.io.addresses import absolute_path
    from schemas.job_config import build

    config: JobConfig = build(config_class(job), values, plugin_config, absolute_path)
    if importlib.import_module(f"jobs.{job}").main(config):
        raise RunFailed(f"{job}: more failures than max_failed; the summary above and report.json name them")
    return config


def _with_report(table: "pd.DataFrame", config: Any) -> "pd.DataFrame":
    from pipelines.io import json_documents, storage

    table.attrs["report"] = json_documents.read(storage.join(config.output, "report.json"))
    return table

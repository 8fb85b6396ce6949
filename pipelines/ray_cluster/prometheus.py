"""Counters of running jobs at the metrics endpoint of Ray's nodes, for Prometheus; there each name begins with `ray_`.

They are counted in the driver, which receives a row once it is on disk: work that Ray repeats counts once.
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.util.metrics import Counter

# The name is not "job", because Prometheus has a label of that name and would rename ours to "exported_job".
JOB_TAG = "raylift_job"

# Each counter has the tag `JOB_TAG`. Counters only grow, so Prometheus' `rate` of frames gives frames/s, and of seconds
# the number of busy workers.
COUNTERS = {
    "raylift_frames_total": "Frames labeled, lifted, or trained on.",
    "raylift_clips_total": "Clips labeled, also those that show nobody.",
    "raylift_people_total": "People found in frames, or trained on: a person in ten frames counts ten times.",
    "raylift_failed_clips_total": "Clips that could not be labeled.",
    "raylift_tracks_total": "Tracks lifted.",
    "raylift_failed_tracks_total": "Tracks that could not be lifted.",
    "raylift_epochs_total": "Epochs trained.",
    "raylift_trials_total": "Trials of a search that trained to their last epoch or were stopped early.",
    "raylift_failed_trials_total": "Trials that failed for good.",
    "raylift_stage_seconds_total": "Seconds of work in the stage that the tag `stage` names, summed over workers.",
}


def count_clip(row: Mapping[str, Any]) -> None:
    """Count a clip that the label job has written, by its row from `WriteDetections`."""
    if row["error"] is None:
        _add("raylift_clips_total", 1, job="label")
        _add("raylift_frames_total", row["stop_frame"] - row["start_frame"], job="label")
        _add("raylift_people_total", row["detections"], job="label")
    else:
        _add("raylift_failed_clips_total", 1, job="label")
    for stage in ("plan", "decode", "detect", "write"):
        _add("raylift_stage_seconds_total", row[f"{stage}_s"] or 0.0, job="label", stage=stage)


def count_track(row: Mapping[str, Any]) -> None:
    """Count a track that the lift job has written, by its row from `LiftUnits`."""
    if row["error"] is None:
        _add("raylift_tracks_total", 1, job="lift")
        _add("raylift_frames_total", row["frames"], job="lift")
    else:
        _add("raylift_failed_tracks_total", 1, job="lift")


def count_epoch(job: str, frames: int = 0, people: int = 0, seconds: float = 0.0) -> None:
    """Count a finished epoch of a training, the frames or people trained on, and the seconds it took."""
    _add("raylift_epochs_total", 1, job=job)
    _add("raylift_frames_total", frames, job=job)
    _add("raylift_people_total", people, job=job)
    _add("raylift_stage_seconds_total", seconds, job=job, stage="train")


def count_trial(failed: bool) -> None:
    """Count an ended trial of a search."""
    _add("raylift_failed_trials_total" if failed else "raylift_trials_total", 1, job="tune")


def _add(name: str, value: float, job: str, stage: str = "") -> None:
    if value > 0:  # Ray refuses to add 0
        _counter(name).inc(value, tags={JOB_TAG: job, "stage": stage})


@cache
def _counter(name: str) -> "Counter":
    from ray.util.metrics import Counter  # here: importing Ray takes half a second, and most imports count nothing

    return Counter(name, COUNTERS[name], tag_keys=(JOB_TAG, "stage"))

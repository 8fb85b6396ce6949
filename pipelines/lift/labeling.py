"""Lifting from videos: they are labeled into a folder of the output first, by the label job's own code."""

import re

from pipelines.detectors.loading import load_detector
from pipelines.io import storage
from pipelines.label import run as label
from pipelines.lifters.checkpoint import LifterCard, require_layout
from schemas.configs.label import DecodeConfig, LabelConfig
from schemas.configs.lift import LiftConfig
from schemas.errors import UserError

# The folder of the output that holds what a label job would have written.
LABELS = "labels"
# Decoded size of a clip, MB: half of label's default. People lift single films of a few seconds, and many small clips
# spread evenly over all processes.
CLIP_MB = 16.0


def prepare_labeling(config: LiftConfig, card: LifterCard) -> label.Job:
    """Find the videos, and check that the detector finds the joints that the lifter reads, before anything is written.

    Raises:
        UserError: There is no such video; or the detector cannot be built, or has another layout.
    """
    assert config.video is not None
    labeling = LabelConfig(
        videos=config.video,
        fps=config.fps,
        output=storage.join(storage.absolute(config.output), LABELS),
        detector=config.detector,
        link=config.link,
        decode=DecodeConfig(clip_mb=CLIP_MB),
        assumed_fov_deg=config.assumed_fov_deg,
        network=config.network,
    )
    try:
        job = label.prepare(labeling, whole_output=config.output)
    except UserError as error:
        # The label job's message names its own field `videos`, which is `video` here.
        raise UserError(re.sub(r"^videos\b", "video", str(error))) from error
    require_layout(card, load_detector(config.detector, 1, "cpu").layout.name)
    return job

"""Which frames a lifter reads, and which of them it predicts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FrameWindow:
    """The frames that a lifter reads for one prediction, and the place of the predicted ones among them.

    There are two kinds. A lifter that slides predicts one frame; given more frames, it predicts one more for each. A
    lifter that takes clips (sequence to sequence) predicts every frame of a clip, which may be shorter than `inputs`
    but not longer.

    Attributes:
        inputs: Number of frames read.
        outputs: Number of frames predicted: one, or all.
        offset: Place of the first predicted frame among those read, counted from 0.
    """

    inputs: int
    outputs: int = 1
    offset: int = 0

    def __post_init__(self) -> None:
        """Refuse what no lifter does.

        Raises:
            ValueError: The window predicts neither all frames nor one of the frames that it reads.
        """
        slides = self.outputs == 1 and 0 <= self.offset < self.inputs
        if not (slides or (self.outputs == self.inputs > 1 and self.offset == 0)):
            raise ValueError(
                f"{self}: a lifter predicts one of the frames it reads, or all; take FrameWindow.sliding or .clip"
            )

    @classmethod
    def sliding(cls, inputs: int, *, causal: bool = False) -> "FrameWindow":
        """The window of a lifter that predicts the middle frame, or the last one if it is causal."""
        return cls(inputs, 1, inputs - 1 if causal else inputs // 2)

    @classmethod
    def clip(cls, frames: int) -> "FrameWindow":
        """The window of a lifter that predicts every frame of clips of at most `frames` frames."""
        return cls(frames, frames, 0)

    @property
    def takes_clips(self) -> bool:
        """Whether all frames that are read are predicted, together."""
        return self.outputs > 1

    @property
    def context(self) -> int:
        """Number of frames that are read beside those predicted."""
        return self.inputs - self.outputs

    def repeats_ends_of(self, frames: float) -> bool:
        """Whether a track of `frames` frames is lifted with its first and last frame repeated in every prediction.

        A clip is as short as its track; nothing is repeated in it.
        """
        return not self.takes_clips and frames < self.inputs


def frames_read(document: Mapping[str, Any]) -> int:
    """The frames that a lifter reads, from a card or report as JSON; version 0.1.0 calls them `receptive_field`."""
    return document["window"]["inputs"] if "window" in document else document["receptive_field"]

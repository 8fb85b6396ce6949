"""How far a job is: jobs report it while they run, the command line shows it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a stage of a job is.

    Attributes:
        stage: Name of the stage: "label", "link", "detect", "lift", "export", "render", "import", "evaluate", "film".
        done: Units that are done, those of earlier runs included; parts of videos count.
        total: Units in all; None if that is not known.
        unit: What is counted, in the plural: "videos", "files", "images", "tracks" or "frames".
        details: What else to show.
    """

    stage: str
    done: float
    total: float | None
    unit: str
    details: str = ""

    def __str__(self) -> str:
        """As shown beside the bar: "2.5 of 10 videos, 300 frames"."""
        done = f"{self.done:,.1f}".removesuffix(".0")
        total = "" if self.total is None else f" of {self.total:,}"
        return ", ".join(filter(None, (f"{done}{total} {self.unit}", self.details)))

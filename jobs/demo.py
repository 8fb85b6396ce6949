"""See it work: synthesize people in motion, label the videos, compare with the truth.

python -m jobs.demo output=demo
"""

import time

from rich.console import Console
from rich.table import Table

from jobs import label, synthesize
from jobs.arguments import read_config
from jobs.cli import run_job
from pipelines import storage
from pipelines.synthetic.comparison import compare
from pipelines.synthetic.studio import MANIFEST
from pipelines.synthetic.truth import load_truth
from schemas.demo import DemoConfig
from schemas.label import LabelConfig
from schemas.synthesize import SynthesizeConfig


def main(config: DemoConfig) -> int:
    """Run the whole story; 1 if labeling failed or somebody was not found."""
    started, console = time.monotonic(), Console(highlight=False, soft_wrap=True)
    studio, labels = storage.join(config.output, "studio"), storage.join(config.output, "labels")
    console.rule(f"1. Film {config.people} synthetic people from {config.views} sides", align="left")
    code = synthesize.main(
        SynthesizeConfig(output=studio, people=config.people, seconds=config.seconds, views=config.views)
    )
    console.rule("2. Label the videos: 2D keypoints by BlazePose on Ray Data", align="left")
    manifest = storage.join(studio, MANIFEST)
    code = code or label.main(read_config(LabelConfig, [f"videos={manifest}", f"output={labels}"]))
    if code:
        return code
    console.rule("3. The tracks found, against the truth", align="left")
    found = show_comparison(console, studio, labels)
    console.print(
        f"\nDone in {time.monotonic() - started:.0f} s. Your own videos:  "
        f"[bold]python -m jobs.label videos=your/folder output=out[/bold]"
    )
    return 0 if found else 1


def show_comparison(console: Console, studio: str, labels: str) -> bool:
    """Print a row for each person in each video; returns whether all were found."""
    files = storage.list_folder(storage.join(labels, "tracks"), ".parquet")
    tracks = [track for file in files for track in storage.read_table(file).to_pylist()]
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("video", "frames", "track", "observed", "error", "of height"):
        table.add_column(column, justify="left" if column in ("video", "track") else "right", no_wrap=True)
    results = compare(load_truth(studio), tracks, studio)
    for result in results:
        table.add_row(
            result.truth.video.removeprefix("videos/"),
            str(len(result.truth.timestamps_s)),
            (result.track_id or "nobody found")[:8],
            f"{result.coverage:.0%}",
            f"{result.error_px:.1f} px",
            f"{result.error_share:.1%}",
        )
    console.print(table)
    console.print("Error: median distance of the twelve limb joints that detector and truth both name; height in px.")
    return all(result.track_id for result in results)


if __name__ == "__main__":
    raise SystemExit(run_job("demo"))

"""Make videos of synthetic people in motion, with the truth.

raylift synthesize output=out/studio people=4 seconds=10 views=2
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("synthesize"))

import time
from itertools import count

from jobs.command_line.progress import stage_bars
from jobs.command_line.terminal import Terminal
from pipelines.synthetic.studio import MANIFEST, synthesize
from schemas.configs.synthesize import SynthesizeConfig
from schemas.progress import Progress


def main(config: SynthesizeConfig) -> int:
    """Render all videos with a progress bar, then print what was made and where."""
    console, start = Terminal(), time.monotonic()
    scenes = -(-config.people // config.people_per_video)
    with stage_bars(transient=True) as on_progress:
        done = count(1)
        videos = synthesize(
            config, lambda _: on_progress(Progress("film", next(done), scenes * config.views, "videos"))
        )
    elapsed_s = time.monotonic() - start
    frames = len(videos) * round(config.seconds * config.fps)
    console.print_lines(
        f"{len(videos)} videos, {frames} frames in {elapsed_s:.0f} s ({frames / elapsed_s:.0f} frames/s)",
        f"manifest: {config.output}/{MANIFEST}",
        f"truth:    {config.output}/truth/",
    )
    return 0

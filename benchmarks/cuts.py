"""What finding cuts costs and finds: `python benchmarks/cuts.py VIDEO` prints one JSON line.

Milliseconds of CPU a frame that labeling spends on decoding, on BlazePose, on the thumbnails of frames and on finding
cuts in them, one thread; and the share of the latter two. Then precision and recall over drawn films: shots that are
joined by cuts and cross-fades, and cameras that pan by a share of the picture's width a frame.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipelines.detectors.loading import load_detector
from pipelines.video.cuts import find_cuts
from pipelines.video.reader import VideoReader
from pipelines.video.thumbnails import thumbnails
from schemas.job_config import PluginConfig
from tests.video.cut_films import FPS, WIDTH, Film, cut, faded, shot

SEEDS = range(0, 2000, 20)
PANS = (0.02, 0.05, 0.08, 0.1, 0.12)


def main() -> None:
    """Measure and print."""
    print(json.dumps({"benchmark": "cuts", **cost(Path(sys.argv[1])), **recall()}))


def cost(video: Path) -> dict[str, float]:
    """CPU of the parts of labeling, ms a frame, and the share of cuts."""
    detector = load_detector(PluginConfig(name="blazepose"), 1, "cpu")
    spent: dict[str, float] = {}

    def timed(name: str, work: Callable[..., Any], *arguments: Any) -> Any:
        started = time.process_time()
        result = work(*arguments)
        spent[name] = time.process_time() - started
        return result

    with VideoReader(video, 640, "pyav") as reader:
        frames = timed("decode", reader.read, 0, reader.info.frame_count)
    detector(frames.images[:2])
    timed("detect", detector, frames.images)
    small = timed("thumbnails", thumbnails, frames.images)
    timed("find_cuts", find_cuts, small, frames.timestamps_s)
    share = (spent["thumbnails"] + spent["find_cuts"]) / sum(spent.values())
    ms = {f"{name}_ms": round(1000 * seconds / len(small), 3) for name, seconds in spent.items()}
    return {**ms, "share_percent": round(100 * share, 2)}


def recall() -> dict[str, float]:
    """Recall of joints, and how many of the films without one got any, by the speed of the pan."""
    joins = {
        "cut": lambda seed: (cut(shot(seed, 30), shot(seed + 5, 30)), 30, 30),
        "cut_while_panning": lambda seed: (
            *(cut(shot(seed, 30, lambda t: 8 * t), shot(seed + 5, 30, lambda t: 600 - 8 * t)), 30, 30),
        ),
        "cross_fade": lambda seed: (faded(shot(seed, 40), shot(seed + 5, 40), 16), 24, 40),
    }
    scores: dict[str, float] = {}
    right = wrong = 0
    for name, make in joins.items():
        hits = 0
        for seed in SEEDS:
            film, first, last = make(seed)
            inside = [first - 1 <= place <= last + 1 for place in places_of(film)]
            hits += any(inside)
            right, wrong = right + any(inside), wrong + inside.count(False)
        scores[f"recall_{name}"] = hits / len(SEEDS)
    for pan in PANS:
        false = [len(places_of(shot(seed, 60, lambda t, pan=pan: pan * WIDTH * t))) for seed in SEEDS]
        scores[f"pans_cut_at_{pan:g}"] = sum(map(bool, false)) / len(SEEDS)
        wrong += sum(false)
    return {**scores, "precision": round(right / (right + wrong), 3)}


def places_of(film: Film) -> list[int]:
    """Where cuts are found."""
    return find_cuts(thumbnails(film), np.arange(len(film)) / FPS).tolist()


if __name__ == "__main__":
    main()

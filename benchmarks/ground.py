"""How well the level ground of a film is found, on films of synthetic people, whose cameras are known.

raylift synthesize output=STUDIO people=24
raylift lift video=STUDIO/videos output=LIFTED
python benchmarks/ground.py STUDIO LIFTED

By action: how far the camera's tilt and height above the ground are from the truth, and the share of footsteps on it.
The ground is where the ankles are, so that it lies some 8 cm above the floor.
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipelines.synthetic.cameras import quaternion_to_matrix
from pipelines.tracks.levelling import levelling_of
from pipelines.tracks.lifted_reader import poses_files, read_lifted
from pipelines.tracks.lifted_track import LiftedTrack

UP = np.array([0.0, -1.0, 0.0])


def main(studio: Path, lifted: str) -> None:
    """Print a table by action."""
    films: dict[str, list[LiftedTrack]] = defaultdict(list)
    for file in poses_files(lifted):
        for track in read_lifted(file):
            films[Path(track.video).stem].append(track)
    rows: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for film, tracks in sorted(films.items()):
        truth = pq.read_table(studio / "truth" / f"{film}.parquet", columns=["action", "orientation", "translation"])
        true = truth.to_pylist()[0]
        up, height = quaternion_to_matrix(tuple(true["orientation"]))[2], true["translation"][2]
        levelling = levelling_of(tracks)
        tilt, untouched = (np.degrees(np.arccos(np.clip(up @ axis, -1, 1))) for axis in (levelling.turn.T @ UP, UP))
        rows[true["action"]].append((untouched, tilt, abs(levelling.ground_m - height), levelling.ground_confidence))
    print(f"{'action':<10}{'films':>6}{'camera tilt, °':>16}{'error, °':>10}{'height error, m':>17}{'confidence':>12}")
    for action, values in [*rows.items(), ("all", [row for part in rows.values() for row in part])]:
        untouched, tilt, height, confidence = np.mean(values, axis=0)
        print(f"{action:<10}{len(values):>6}{untouched:>16.1f}{tilt:>10.1f}{height:>17.2f}{confidence:>12.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

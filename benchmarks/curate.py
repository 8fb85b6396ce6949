"""What `curate` finds, what it costs, and what it is worth; one JSON line for each part.

python benchmarks/curate.py MOCAP.npz FOLDER [junk] [copies] [scale=100000] [gain]

- junk: tracks made into junk of each kind, and the share of each, and of clean tracks, that is rejected.
- copies: clips made into copies of each kind, the share that is found, and the share of other clips taken for copies.
- scale: a corpus of so many tracks of 4 s, curated from the command line: seconds and peak memory of all processes.
- gain: semi-supervised trainings as in the recipe cmu_semi, whose unlabeled tracks are all, none, a half chosen by
  `curate` or at random, and all with 30 % junk, before and after `curate`.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from pipelines.curation.duplicates import find_copies
from pipelines.curation.pose_rows import PoseRows, pose_rows
from pipelines.curation.quality import fault, measure
from pipelines.datasets.detector_noise import detect_like
from pipelines.tracks.keypoint_reader import read_rows, survey
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.keypoint_writer import write_tracks
from pipelines.tracks.normalised import limbs
from pipelines.tracks.resample import resample
from schemas.configs.curate import DuplicatesConfig, QualityConfig
from schemas.layouts import layout

UNLABELED, TEST = ("S02", "S05", "S35", "S135"), "[S01,S07,S61,S38]"
RNG = np.random.default_rng(0)


def redetected(track: KeypointTrack, px: float) -> KeypointTrack:
    """The track with new errors of a detector."""
    keypoints, scores = detect_like(RNG, track.keypoints.astype(np.float64), px, track.width)
    return replace(track, keypoints=keypoints.astype(np.float32), scores=scores.astype(np.float32))


def still(track: KeypointTrack) -> KeypointTrack:
    """A photograph."""
    return redetected(replace(track, keypoints=track.keypoints[:1].repeat(len(track), 0)), 3)


def swapped(track: KeypointTrack) -> KeypointTrack:
    """Left and right exchanged in two of five frames."""
    keypoints, some = track.keypoints.copy(), RNG.random(len(track)) < 0.4
    keypoints[some] = keypoints[some][:, list(layout(track.layout).mirror)]
    return replace(track, keypoints=keypoints)


def wandering(track: KeypointTrack) -> KeypointTrack:
    """Joints that go where they like."""
    steps = RNG.normal(0, 10, track.keypoints.shape)
    return replace(track, keypoints=(track.keypoints[:1] + steps.cumsum(0)).astype(np.float32))


def white(track: KeypointTrack) -> KeypointTrack:
    """Joints anywhere in each frame."""
    return replace(track, keypoints=RNG.uniform(200, 800, track.keypoints.shape).astype(np.float32))


def shuffled(track: KeypointTrack) -> KeypointTrack:
    """Joints that are called by each other's names."""
    return replace(track, keypoints=track.keypoints[:, RNG.permutation(track.keypoints.shape[1])])


def mirrored(track: KeypointTrack) -> KeypointTrack:
    """The picture mirrored."""
    order = list(layout(track.layout).mirror)
    keypoints = track.keypoints[:, order] * np.array([-1, 1], np.float32) + np.array([track.width, 0], np.float32)
    return replace(track, keypoints=keypoints, scores=track.scores[:, order])


def retimed(track: KeypointTrack) -> KeypointTrack:
    """Played at another speed."""
    speed = float(RNG.choice([0.6, 0.8, 1.25, 1.6]))
    return replace(track, fps=track.fps * speed, timestamps_s=track.timestamps_s / speed)


def cropped(track: KeypointTrack) -> KeypointTrack:
    """The legs are outside in most frames."""
    joints = layout(track.layout)
    legs = [joints.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("knee", "ankle")]
    scores = track.scores.copy()
    scores[:, legs] *= RNG.random((len(track), 1)) < 0.3
    return replace(track, keypoints=track.keypoints * np.float32(1.3) - np.float32(100), scores=scores)


def cut(track: KeypointTrack, first: int, stop: int) -> KeypointTrack:
    """Some of the frames."""
    names = ("timestamps_s", "boxes", "box_scores", "keypoints", "scores", "interpolated")
    parts = {name: getattr(track, name)[first:stop] for name in names}
    return replace(track, **parts, positions=None, positions_layout=None)


JUNK: dict[str, Callable[[KeypointTrack], KeypointTrack]] = {
    **{"still": still, "swapped": swapped, "wandering": wandering},
    **{"white": white, "shuffled": shuffled},
}
COPIES: dict[str, Callable[[KeypointTrack], KeypointTrack]] = {
    "encoded again": lambda track: redetected(track, 3),
    "mirrored": lambda track: redetected(mirrored(track), 3),
    "retimed": lambda track: redetected(retimed(track), 3),
    "cropped": lambda track: cropped(redetected(track, 3)),
    "cut shorter": lambda track: redetected(cut(track, len(track) // 4, 3 * len(track) // 4), 3),
}


def clips(tracks: str, seconds: float, every: int = 1) -> Iterator[KeypointTrack]:
    """Pieces of tracks that do not overlap."""
    for track in read_rows(survey(tracks)[::every], labels=False):
        length = round(seconds * track.fps)
        for number, first in enumerate(range(0, max(1, len(track) - length // 2), length)):
            yield replace(cut(track, first, first + length), track_id=f"{track.track_id}-{number}")


def ready(track: KeypointTrack) -> KeypointTrack:
    """As `curate` measures it."""
    return limbs(resample(track, min(30.0, track.fps)))


def junk(tracks: str) -> dict[str, object]:
    """Shares of the clips of each kind that are rejected."""

    def reason(track: KeypointTrack) -> str | None:
        return fault(asdict(measure(ready(track))), QualityConfig())

    sample = list(clips(tracks, 5.0, every=6))[:250]
    rejected_shares: dict[str, object] = {"clips": len(sample)}
    rejected_shares["clean"] = round(float(np.mean([reason(track) is not None for track in sample])), 3)
    for kind, spoil in JUNK.items():
        rejected_shares[kind] = round(float(np.mean([reason(spoil(track)) is not None for track in sample])), 3)
    return rejected_shares


def copies(tracks: str) -> dict[str, object]:
    """Shares of the copies of each kind that are found with their originals."""
    good = [track for track in clips(tracks, 10.0) if fault(asdict(measure(ready(track))), QualityConfig()) is None]
    kinds, originals = list(COPIES), RNG.permutation(len(good))[:300]
    made = [COPIES[kinds[number % len(kinds)]](good[original]) for number, original in enumerate(originals)]
    every = [*good, *made]
    rows = [pose_rows(ready(track)) for track in every]
    lengths = [len(track) / track.fps for track in every]
    began = time.process_time()
    order = sorted(range(len(every)), key=lambda number: -lengths[number])
    copies_found = find_copies(PoseRows.of([p for p, _ in rows], [s for _, s in rows]), order, DuplicatesConfig())
    result: dict[str, object] = {
        "clips": len(good),
        "copies": len(made),
        "cpu_s": round(time.process_time() - began, 1),
    }
    pairs = {frozenset((number, copy.of)) for number, copy in copies_found.items()}
    for place, kind in enumerate(kinds):
        of_kind = range(place, len(made), len(kinds))
        hits = [frozenset((len(good) + number, int(originals[number]))) in pairs for number in of_kind]
        result[kind] = round(float(np.mean(hits)), 3)
    true = {frozenset((len(good) + number, int(original))) for number, original in enumerate(originals)}
    result["others taken for copies"] = round(len(pairs - true) / len(good), 4)
    return result


def scale(tracks: str, folder: Path, count: int) -> dict[str, object]:
    """Views of the clips under all angles of the camera's roll, which makes them different poses."""
    corpus, output = folder / "scale", folder / "scale_curated"

    def turned() -> Iterator[KeypointTrack]:
        some = [ready(track) for track in clips(tracks, 4.0, every=3)]
        for number in range(count):
            track, angle = some[number % len(some)], RNG.uniform(-0.8, 0.8)
            turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32)
            middle = track.keypoints.mean((0, 1))
            noise = RNG.normal(0, 2, track.keypoints.shape).astype(np.float32)
            keypoints = (track.keypoints - middle) @ turn + middle + noise
            yield replace(track, keypoints=keypoints, track_id=f"t{number}")

    if not corpus.exists():
        write_tracks(str(corpus), turned(), {})
    began = time.time()
    run("curate", f"tracks={corpus}", f"output={output}")
    measured = time.time() - began
    peak_gib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    run("curate", f"tracks={corpus}", f"output={output}", "budget_frames=2000000")
    report = json.loads((output / "report.json").read_text())
    return {
        "tracks": count,
        "frames": report["frames"],
        "wall_s": round(measured),
        "wall_s_again_with_budget": round(time.time() - began - measured),
        "peak_gib_of_one_process": round(peak_gib, 2),
        "rejected": report["rejected"],
    }


def gain(tracks: str, folder: Path) -> dict[str, object]:
    """Errors of trainings with different unlabeled tracks."""
    clean = [track for track in read_rows(survey(tracks), labels=False) if track.subject in UNLABELED]
    frames = sum(map(len, clean))
    spoils = [still, swapped, lambda track: redetected(track, 3), wandering]
    junk, size = [], 0
    while size < 0.3 / 0.7 * frames:
        track = spoils[len(junk) % len(spoils)](clean[RNG.integers(len(clean))])
        junk.append(replace(track, track_id=f"junk{len(junk)}"))
        size += len(track)
    write_tracks(str(folder / "clean"), clean, {})
    write_tracks(str(folder / "polluted"), [*clean, *junk], {})
    half = []
    for index in RNG.permutation(len(clean)):
        if sum(map(len, half)) + len(clean[index]) <= frames / 2:
            half.append(clean[index])
    write_tracks(str(folder / "random_half"), half, {})
    run("curate", f"tracks={folder}/clean", f"output={folder}/half", f"budget_frames={frames // 2}")
    run("curate", f"tracks={folder}/polluted", f"output={folder}/cured")
    sets = {"none": None, "all": "clean", "half": "half/tracks", "random half": "random_half"}
    sets |= {"polluted": "polluted", "polluted, curated": "cured/tracks"}
    report = json.loads((folder / "cured" / "report.json").read_text())
    return {
        "frames": frames,
        "curated": {name: report[name] for name in ("frames", "frames_kept", "rejected")},
        "mpjpe_mm": {name: trained(tracks, folder, name, where) for name, where in sets.items()},
    }


def trained(tracks: str, folder: Path, name: str, unlabeled: str | None) -> float:
    """MPJPE on the test subjects of a training as in the recipe cmu_semi."""
    output = folder / "lifters" / name.replace(", ", "_").replace(" ", "_")
    fields = ["data.subjects=[S60]", "data.subset=0.1", "data.subset_start=first", "lifter.filter_widths=[3,3,3]"]
    fields += ["lifter.channels=256", "objective.warmup_epochs=3", "optimization.epochs=12"]
    fields += ["optimization.batch_size=256", "trajectory=true"]
    fields += [] if unlabeled is None else [f"unlabeled={folder}/{unlabeled}"]
    run("train", f"labeled={tracks}", f"output={output}", *fields)
    run("evaluate", f"model={output}/best.pt", f"data={tracks}", f"subjects={TEST}", f"output={output}/scores")
    scores = json.loads((output / "scores" / "metrics.json").read_text())
    return round(float(scores["average"]["metrics"]["mpjpe_mm"]), 1)


def run(job: str, *fields: str) -> None:
    """Run a job in a process of its own."""
    done = subprocess.run([sys.executable, "-m", f"jobs.{job}", *fields], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


PARTS: dict[str, Callable[[str, Path], dict[str, object]]] = {
    "junk": lambda tracks, _: junk(tracks),
    "copies": lambda tracks, _: copies(tracks),
    "gain": gain,
}


def main() -> None:
    """Run the parts that are named, or all."""
    mocap, folder = sys.argv[1], Path(sys.argv[2]).resolve()
    tracks = str(folder / "mocap" / "tracks")
    if not Path(tracks).exists():
        run("import_poses", "source=mocap17", f"source.positions={mocap}", f"output={folder}/mocap")
    for part in sys.argv[3:] or ("junk", "copies", "scale=100000", "gain"):
        name, _, value = part.partition("=")
        done = scale(tracks, folder, int(value)) if name == "scale" else PARTS[name](tracks, folder)
        print(json.dumps({name: done}), flush=True)


if __name__ == "__main__":
    main()

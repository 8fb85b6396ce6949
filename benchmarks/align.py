"""How well `align` puts recordings in step; one JSON line for each part.

python benchmarks/align.py FOLDER [views] [phases] [studio]

- views: motion capture seen by two made cameras (`FOLDER/mocap/tracks`, as `benchmarks/curate.py` imports it): each
  frame of the one view has a true partner in the other. Error of the pairs in ms, and Kendall's tau of the nearest
  frames, of normalised keypoints, of the embeddings of an aligner that was trained on other people, of the lifter
  everyday's poses (which has seen these people), and of the true poses.
- phases: where in their stride people are who walk, told by a classifier (four phases; share of frames that are right)
  and a linear regression (cosine and sine of the phase; R²). Both have learnt it of other people, who walk and run, and
  were seen by another camera. After views.
- studio: synthetic people who squat and wave, seen from two sides with made errors of a detector, and lifted. An event
  of one repetition is carried over to everybody; errors in ms from the true event nearest to it, and repetitions
  counted beside the true number, of a repetition of somebody else and of one that is found in the recording itself.
"""

import json
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.signal import find_peaks, hilbert
from scipy.stats import kendalltau
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from pipelines.align.events import transferred
from pipelines.align.features import features_of
from pipelines.align.in_step import best_matches
from pipelines.align.paths import distances, monotone, nearest
from pipelines.align.period import one_repetition
from pipelines.aligners.base import embed
from pipelines.aligners.checkpoint import load_aligner
from pipelines.aligners.sequences import RATE, of_keypoints, of_lifted
from pipelines.aligners.sequences import Sequence as Person
from pipelines.datasets.detector_noise import detect_like
from pipelines.datasets.pose_source import Shot
from pipelines.synthetic.truth import Truth, load_truth
from pipelines.tracks.keypoint_reader import TrackInfo, read_rows, read_tracks, survey
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.keypoint_writer import write_tracks
from pipelines.tracks.lifted_reader import read_lifted
from pipelines.tracks.lifted_track import LiftedTrack
from pipelines.tracks.normalised import LIMBS
from schemas.configs.align import AlignConfig
from schemas.errors import UserError
from schemas.layouts import layout

# People whom the aligner does not see, and one of the others who selects its best epoch.
TEST, SELECTS = ("S01", "S07", "S61", "S38", "U_jump", "U_walk"), "S49"
# Takes are cut to this length, frames: a long one holds the same moment several times.
LONGEST = 480


def cut(track: KeypointTrack) -> KeypointTrack:
    """The first frames of a take."""
    names = ("timestamps_s", "boxes", "box_scores", "keypoints", "scores", "interpolated", "positions")
    return replace(track, **{name: getattr(track, name)[:LONGEST] for name in names})


def true_pose(track: KeypointTrack) -> Person:
    """The labels of a track, as a lifter without errors would give them."""
    unknown = dict.fromkeys(LiftedTrack.__dataclass_fields__)
    known = {name: getattr(track, name) for name in ("track_id", "video", "fps", "timestamps_s", "positions")}
    return of_lifted(LiftedTrack(**unknown | known | {"layout": track.positions_layout}))  # type: ignore[arg-type]


def views(folder: Path) -> dict[str, object]:
    """Errors between two views of each take."""
    infos = survey(str(folder / "mocap" / "tracks"))
    others = (track for track in read_rows([info for info in infos if info.subject not in TEST], labels=False))
    write_tracks(str(folder / "views" / "training"), others, {})
    fields = ["data.pairs=take", f"data.validation_subjects=[{SELECTS}]"]
    run("train_aligner", f"tracks={folder}/views/training", f"output={folder}/views/aligner", *fields)
    aligner, *_ = load_aligner(str(folder / "views" / "aligner" / "best.pt"))
    two = [info for info in infos if info.subject in TEST and info.camera in ("C0", "C1")]
    tracks = [cut(track) for track in read_rows(two)]
    write_tracks(str(folder / "views" / "tracks"), tracks, {})
    run("lift", f"tracks={folder}/views/tracks", f"output={folder}/views/lifted")
    lifted = {track.track_id: of_lifted(track) for track in read_lifted(str(folder / "views" / "lifted"))}
    kinds: dict[str, Callable[[KeypointTrack], Person]] = {
        "keypoints": of_keypoints,
        "lifted poses": lambda track: lifted[track.track_id],
        "true poses": true_pose,
    }
    takes: dict[tuple[str | None, str | None], list[KeypointTrack]] = {}
    for track in tracks:
        takes.setdefault((track.subject, track.action), []).append(track)
    pairs = [pair for pair in takes.values() if len(pair) == 2 and len(pair[0]) >= 60]
    errors = {kind: _errors([tuple(map(of, pair)) for pair in pairs], Person.features) for kind, of in kinds.items()}
    keypoints = [tuple(map(of_keypoints, pair)) for pair in pairs]
    errors["aligner"] = _errors(keypoints, lambda person: embed(aligner, person).numpy())
    return {"takes": len(pairs), **errors}


def _errors(pairs: Sequence[tuple[Person, ...]], features: Callable[[Person], np.ndarray]) -> dict[str, float]:
    errors: dict[str, list[float]] = {"nearest": [], "monotone": []}
    taus = []
    for first, second in pairs:
        costs = distances(features(first), features(second))
        truth = np.arange(len(first))
        near = nearest(costs)
        taus.append(kendalltau(truth, near.frames)[0])
        paths = monotone(costs)
        for name, matches in (("nearest", [near]), ("monotone", paths)):
            errors[name] += [1000 / RATE * value for match in matches for value in np.abs(match.frames - truth)]
    sums = {
        f"{name}_{statistic}_ms": round(float(summed(values)))
        for name, values in errors.items()
        for statistic, summed in _SUMS
    }
    return sums | {"kendalls_tau": round(float(np.nanmean(taus)), 3)}


_SUMS: tuple[tuple[str, Callable[[list[float]], float]], ...] = (
    ("median", lambda values: float(np.median(values))),
    ("p90", lambda values: float(np.quantile(values, 0.9))),
)


def phases(folder: Path) -> dict[str, object]:
    """How well the phase of the stride of people held out is told, from a camera that nobody was learnt from."""
    aligner, *_ = load_aligner(str(folder / "views" / "aligner" / "best.pt"))
    infos = [info for info in survey(str(folder / "mocap" / "tracks")) if _is_gait(info)]
    tracks = [track for track in map(cut, read_rows(infos)) if len(track) >= 60]
    write_tracks(str(folder / "phases" / "tracks"), tracks, {})
    run("lift", f"tracks={folder}/phases/tracks", f"output={folder}/phases/lifted")
    lifted = {track.track_id: of_lifted(track) for track in read_lifted(str(folder / "phases" / "lifted"))}
    kinds: dict[str, Callable[[KeypointTrack], np.ndarray]] = {
        "keypoints": lambda track: of_keypoints(track).features(),
        "aligner": lambda track: embed(aligner, of_keypoints(track)).numpy(),
        "lifted poses": lambda track: lifted[track.track_id].features(),
        "true poses": lambda track: true_pose(track).features(),
    }
    result: dict[str, object] = {}
    for kind, features in kinds.items():
        sets: dict[bool, list[tuple[np.ndarray, np.ndarray]]] = {True: [], False: []}
        for track in tracks:
            is_test = track.subject in TEST
            if track.camera == ("C1" if is_test else "C0"):
                sets[is_test].append((features(track), stride(true_pose(track))))
        joined = [[np.concatenate(of) for of in zip(*sets[is_test], strict=True)] for is_test in (False, True)]
        (known, phase), (asked, truth) = joined
        classes, wanted = (np.floor(of / (np.pi / 2)).astype(int) % 4 for of in (phase, truth))
        right = make_pipeline(StandardScaler(), SVC()).fit(known, classes).predict(asked) == wanted
        line = make_pipeline(StandardScaler(), Ridge()).fit(known, np.stack([np.cos(phase), np.sin(phase)], axis=1))
        r2 = r2_score(np.stack([np.cos(truth), np.sin(truth)], axis=1), line.predict(asked))
        result[kind] = {"frames": [len(phase), len(truth)], "right": round(right.mean(), 3), "r2": round(r2, 3)}
    return result


def _is_gait(info: TrackInfo) -> bool:
    """Whether somebody walks or runs: in training S35, U_run and some takes of S02, in the test S07 and U_walk."""
    walks = info.subject in ("S07", "U_walk", "S35", "U_run") or (info.action or "")[:5] in ("02_01", "02_02", "02_03")
    return walks and info.camera in ("C0", "C1")


def stride(person: Person) -> np.ndarray:
    """The phase of the stride in each frame, 0 to 2π: 0 where the left foot is farthest before the right one."""
    feet = person.poses[:, [LIMBS.index("left_ankle"), LIMBS.index("right_ankle")], 2]
    ahead = feet[:, 0] - feet[:, 1]
    return np.angle(hilbert(ahead - ahead.mean())) % (2 * np.pi)


def studio(folder: Path) -> dict[str, object]:
    """Events carried over between people who do the same."""
    home = folder / "studio"
    if not (home / "lifted").exists():
        options = ["people=10", "actions=[squat,wave]", "seconds=9", "views=2", "width=64", "height=64", "seed=5"]
        run("synthesize", f"output={home}/films", *options)
        write_tracks(str(home / "labels" / "tracks"), map(_detected, load_truth(str(home / "films"))), {})
        run("lift", f"tracks={home}/labels/tracks", f"output={home}/lifted")
    truths = {truth.video.rpartition("/")[2]: truth for truth in load_truth(str(home / "films"))}
    people = {
        "keypoints": [(of_keypoints(track), track.video) for track in read_tracks(str(home / "labels" / "tracks"))],
        "lifted poses": [(of_lifted(track), track.video) for track in read_lifted(str(home / "lifted"))],
    }
    result: dict[str, object] = {}
    for kind, recordings in people.items():
        for action in ("squat", "wave"):
            known = [(person, truths[video.rpartition("/")[2]]) for person, video in recordings]
            result[f"{action}, {kind}"] = _carried(
                [pair for pair in known if pair[1].action == action and len(pair[0]) > 60]
            )
    return result


def _detected(truth: Truth) -> KeypointTrack:
    """What a detector finds of a person in a picture of 1000 px, with errors of 5 px along each axis."""
    size = 1000 / truth.view.width
    shot = Shot("studio", truth.subject, truth.action, truth.view.name, 1000, 1000, truth.fps, None)
    rng = np.random.default_rng(zlib.crc32(truth.video.encode()))
    keypoints, scores = detect_like(rng, size * truth.keypoints.astype(np.float64), 5.0, 1000)
    track = shot.track(layout("h36m17"), keypoints.astype(np.float32), scores=scores.astype(np.float32))
    return replace(track, video=truth.video)


def _carried(recordings: Sequence[tuple[Person, Truth]]) -> dict[str, float]:
    errors, sure, counted, alone = [], [], [], []
    for reference, truth in recordings:
        events, period = _events(truth)
        alone.append(_miscounted(reference, truth))
        if len(events) < 3:
            continue
        at = events[len(events) // 2]
        part = reference.part(at - period / 2, at + period / 2)
        config = AlignConfig(tracks="-", reference="-", output="-", repetitions=True)
        for other, other_truth in recordings:
            if other is reference or other_truth.subject == truth.subject:
                continue
            shown, costs, matches, _ = best_matches(part, other, config, features_of(None, part))
            true_events, other_period = _events(other_truth)
            counted.append(abs(len(matches) - _whole(other_truth, true_events, other_period)))
            for match in matches:
                frame, confidence = transferred(match, costs, part.frame(at))
                errors.append(1000 * float(np.abs(np.array(true_events) - shown.time_s(frame)).min()))
                sure.append(confidence > 0.5)
    kept = [error for error, is_sure in zip(errors, sure, strict=True) if is_sure]
    return {
        "pairs": len(counted),
        "events": len(errors),
        "median_ms": round(float(np.median(errors))) if errors else -1,
        "p90_ms": round(float(np.quantile(errors, 0.9))) if errors else -1,
        "confident": round(float(np.mean(sure)), 2) if sure else 0.0,
        "confident_median_ms": round(float(np.median(kept))) if kept else -1,
        "count_off_by": round(float(np.mean(counted)), 2),
        "alone_found": sum(off is not None for off in alone),
        "alone_of": len(alone),
        "alone_off_by": round(float(np.mean([off for off in alone if off is not None] or [-1])), 2),
    }


def _whole(truth: Truth, events: Sequence[float], period: float) -> int:
    """The number of events around which a whole repetition lies in the recording."""
    return sum(period / 2 < time < truth.timestamps_s[-1] - period / 2 for time in events)


def _miscounted(person: Person, truth: Truth) -> int | None:
    """By how much the repetitions of a recording are miscounted by themselves; None if none is found."""
    try:
        part = one_repetition(person)
    except UserError:
        return None
    config = AlignConfig(tracks="-", reference="-", output="-", repetitions=True)
    _, _, matches, _ = best_matches(part, person, config, features_of(None, part))
    return abs(len(matches) - _whole(truth, *_events(truth)))


def _events(truth: Truth) -> tuple[list[float], float]:
    """When a person is deepest, or the elbow of a waving arm most bent, and the period between these times, s."""
    h36m = layout("h36m17")
    if truth.action == "squat":
        ankles = truth.positions[:, [h36m.index("left_ankle"), h36m.index("right_ankle")], 1].mean(1)
        signal = truth.positions[:, h36m.index("pelvis"), 1] - ankles
    else:
        wrists = [h36m.index("left_wrist"), h36m.index("right_wrist")]
        waving = wrists[int(truth.positions[60:, wrists, 1].mean(0).argmin())]  # the upper one: y points down
        shoulder = h36m.index("left_shoulder" if waving == wrists[0] else "right_shoulder")
        signal = -np.linalg.norm(truth.positions[:, waving] - truth.positions[:, shoulder], axis=-1)
        signal[:60] = -np.inf
    finite = signal[np.isfinite(signal)]
    peaks, _ = find_peaks(np.where(np.isfinite(signal), signal, finite.min()), prominence=0.5 * np.ptp(finite))
    times = truth.timestamps_s[peaks].tolist()
    return times, float(np.median(np.diff(times))) if len(times) > 1 else 1.0


def run(job: str, *fields: str) -> None:
    """Run a job in a process of its own."""
    done = subprocess.run([sys.executable, "-m", f"jobs.{job}", *fields], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def main() -> None:
    """Run the parts that are named, or both."""
    folder = Path(sys.argv[1]).resolve()
    for part in sys.argv[2:] or ("views", "phases", "studio"):
        print(json.dumps({part: {"views": views, "phases": phases, "studio": studio}[part](folder)}), flush=True)


if __name__ == "__main__":
    main()

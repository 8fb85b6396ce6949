"""Figures of a label job: people per frame, their scores, the share of each video with people, and track lengths."""

import numpy as np

from pipelines.report.document import table
from pipelines.report.pages.figures import bar_chart, figure, histogram, row_chart
from pipelines.report.pages.label_sample import BINS, MOST_PEOPLE, Coverage, Detections, Tracks
from schemas.layouts import layout

# Up to this many videos get a bar each; more are drawn as a histogram.
_MOST_BARS = 24
# The table of the videos with the fewest people has this many rows.
_LEAST_COVERED = 12
_COVERAGE_EDGES = np.linspace(0, 100, 21)
_LENGTH_BINS = 30
# The caption tells how many keypoints score below this.
_SURE = 0.5


def people_figure(detections: Detections) -> str:
    """Share of frames by number of people."""
    counts = detections.people_per_frame
    frames, last = max(1, int(counts.sum())), max(1, int(np.flatnonzero(counts).max(initial=0)))
    names = [str(n) for n in range(last)] + [f"{last} or more" if last == MOST_PEOPLE else str(last)]
    chart = bar_chart(
        "people",
        names,
        _percent(counts[: last + 1]),
        label="Share of frames by number of people",
        axes=("people in a frame", "frames, %"),
        hover="%{y:.1f} %",
    )
    caption = (
        f"{frames - int(counts[0]):,} of {int(counts.sum()):,} decoded frames have people; "
        f"{detections.people / frames:.2f} a frame on average."
    )
    return figure("People per frame", chart, caption)


def score_figures(detections: Detections) -> list[str]:
    """Distribution of the scores of people and of keypoints, and the mean score of each keypoint of the layout."""
    keypoints = int(detections.keypoint_scores.sum())
    unsure = detections.keypoint_scores[: int(BINS * _SURE)].sum() / max(1, keypoints)
    figures = [
        figure(
            "Person scores",
            _scores("box-scores", detections.box_scores, "people"),
            f"How sure the detector is that it sees a person, {detections.people:,} times.",
        ),
        figure(
            "Keypoint scores",
            _scores("keypoint-scores", detections.keypoint_scores, "keypoints"),
            f"{keypoints:,} keypoints; {unsure:.1%} score below {_SURE}.",
        ),
    ]
    if detections.layout is None or not detections.people:
        return figures
    names = [joint.replace("_", " ") for joint in layout(detections.layout).joints]
    means = (detections.joint_score_sums / detections.people).round(4).tolist()
    chart = row_chart(
        "joints",
        list(zip(names, means, strict=True)),
        label="Mean score of each keypoint",
        axis="mean score",
        hover="%{x:.2f}",
        span=(0, 1),
    )
    return [*figures, figure("Scores by keypoint", chart, f"Layout {detections.layout}.")]


def coverage_figure(detections: Detections) -> str:
    """Share of frames with people, by video."""
    videos = _by_coverage(detections)
    title = "Frames with people, by video"
    if not videos:
        return figure(title, "", "No clip is finished.")
    shares = [(video, round(100 * _coverage(coverage), 2)) for video, coverage in videos]
    label, axis = "Share of frames with people by video", "frames with people, %"
    if len(videos) <= _MOST_BARS:
        chart = row_chart("coverage", shares, label=label, axis=axis, hover="%{x:.1f} %", span=(0, 100))
    else:
        counts = np.histogram([share for _, share in shares], _COVERAGE_EDGES)[0].tolist()
        edges = _COVERAGE_EDGES.tolist()
        chart = histogram("coverage", counts, edges, label=label, axes=(axis, "videos"), unit=" %")
    frames, decoded = (sum(getattr(video, name) for _, video in videos) for name in ("frames", "decoded"))
    return figure(title, chart, f"Share of the decoded frames; {decoded:,} of {frames:,} frames were decoded.")


def least_covered(detections: Detections) -> list[str]:
    """A table of the videos with the fewest people; empty if every frame of every video has somebody."""
    rows = [
        (video, f"{_coverage(v):.1%}", f"{v.decoded / max(1, v.frames):.1%}", f"{v.frames:,}")
        for video, v in _by_coverage(detections)[:_LEAST_COVERED]
        if _coverage(v) < 1
    ]
    listed = table(("video", "frames with people", "decoded", "frames"), rows)
    return [figure("Videos with the fewest people", listed)] if rows else []


def track_figure(tracks: Tracks, too_slow: int) -> str:
    """Distribution of the track lengths."""
    title = "Track lengths"
    if not len(tracks.lengths_s):
        why = f"; {too_slow:,} videos have too few frames a second, see below" if too_slow else ""
        return figure(title, "", f"Nobody was followed for long enough to make a track{why}.")
    counts, edges = np.histogram(tracks.lengths_s, _LENGTH_BINS, (0, float(tracks.lengths_s.max()) * 1.001))
    label = "Tracks by length"
    chart = histogram(
        "track-lengths", counts.tolist(), edges.tolist(), label=label, axes=("length, s", "tracks"), unit=" s"
    )
    caption = (
        f"Median {float(np.median(tracks.lengths_s)):.1f} s; {tracks.interpolated / max(1, tracks.frames):.1%} of the "
        "frames are interpolated: the person was not seen in them."
    )
    return figure(title, chart, caption)


def _scores(name: str, counts: np.ndarray, what: str) -> str:
    edges = np.linspace(0, 1, BINS + 1).tolist()
    axes, label = ("score", f"{what}, %"), f"Share of {what} by score"
    return histogram(name, _percent(counts), edges, label=label, axes=axes, hover="%{y:.1f} %")


def _percent(counts: np.ndarray) -> list[float]:
    return (100 * counts / max(1, int(counts.sum()))).round(3).tolist()


def _by_coverage(detections: Detections) -> list[tuple[str, Coverage]]:
    return sorted(detections.videos.items(), key=lambda item: (_coverage(item[1]), item[0]))


def _coverage(video: Coverage) -> float:
    return video.with_people / max(1, video.decoded)

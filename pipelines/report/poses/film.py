"""The frames of a rendered video: the picture with 2D skeletons, the 3D view beside it, the quality curve below."""

from collections.abc import Collection, Iterator

import cv2
import numpy as np
from jaxtyping import Bool, Float64

from pipelines.report.poses import drawing
from pipelines.report.poses.clip import pictures
from pipelines.report.poses.drawing import Image
from pipelines.report.poses.scene import Person, Scene
from pipelines.report.poses.stage import Stage, Timeline
from pipelines.tracks.joint_scores import UNSEEN
from pipelines.tracks.lifted_track import LiftedTrack
from pipelines.video import own_child
from pipelines.video.info import VideoInfo
from schemas.layouts import layout

# The picture's width : height lies within these limits; wider or narrower videos get bars.
_NARROWEST, _WIDEST = 9 / 16, 16 / 9
# These sizes are relative to the height of the picture.
_SPACE_WIDTH, _STRIP_HEIGHT, _TEXT_SIZE = 1.1, 0.19, 0.033
# Letters smaller than this, px, cannot be read.
_LEAST_TEXT_PX = 11
# The curve's scale covers values up to this percentile, so that rare spikes are cut off.
_SCALE = 99.5


class Film:
    """Draws a scene frame by frame.

    Args:
        scene: The people, with or without their video.
        height_px: Height of the picture, px; the curve below adds to it.

    Raises:
        UserError: The video is not that of the tracks.
        VideoError: The video cannot be read.
    """

    def __init__(self, scene: Scene, height_px: int) -> None:
        self._scene = scene
        self._info: VideoInfo | None = None if scene.video is None else own_child.probe(scene.video)
        self.timeline, self._stage = Timeline.of(scene, self._info), Stage.of(scene)
        shape = scene.people[0].keypoints.width / scene.people[0].keypoints.height
        self._picture_height = _even(height_px)
        self._picture_width = _even(height_px * min(max(shape, _NARROWEST), _WIDEST))
        self._text_px = max(_LEAST_TEXT_PX, round(height_px * _TEXT_SIZE))
        space_width = _even(height_px * _SPACE_WIDTH)
        self.width = self._picture_width + space_width
        self.height = self._picture_height + max(_even(height_px * _STRIP_HEIGHT), 4 * self._text_px)
        self._eye = drawing.Eye.of(self._stage, space_width, self._picture_height)
        self._bones = [
            (layout(person.keypoints.layout).sided_bones, layout(person.lifted.layout).sided_bones)
            for person in scene.people
        ]
        self._sheet = self._draw_sheet()

    def frames(self, numbers: Collection[int]) -> Iterator[tuple[int, Image]]:
        """(number, image) of the frames of the timeline with these numbers, in ascending order."""
        for number, picture in self._pictures(numbers):
            image = self._sheet.copy()
            above, below = image[: self._picture_height], image[self._picture_height :]
            self._draw_picture(above[:, : self._picture_width], number, picture)
            self._draw_space(above[:, self._picture_width :], number)
            self._draw_quality(below, number)
            yield number, image

    def _pictures(self, numbers: Collection[int]) -> Iterator[tuple[int, Image | None]]:
        if self._scene.video is None or self._info is None or not numbers:
            yield from ((number, None) for number in numbers)
            return
        requested = numbers if isinstance(numbers, range) else set(numbers)
        first = self.timeline.first
        longer_side = max(self._fitted(self._info.width, self._info.height))
        reader = own_child.Video(self._scene.video, longer_side)
        for index, picture in pictures(reader, first + min(requested), first + max(requested) + 1):
            if index - first in requested:
                yield index - first, picture

    def _people(self, number: int) -> Iterator[tuple[int, Person, int]]:
        """(index, person, frame of the track) of the people who are in a frame of the timeline."""
        for index, person in enumerate(self._scene.people):
            frame = number + self.timeline.first - person.lifted.start_frame
            if 0 <= frame < len(person.lifted):
                yield index, person, frame

    def _fitted(self, width: int, height: int) -> tuple[int, int]:
        """The size of an image when scaled to fit into the picture, px."""
        scale = min(self._picture_width / width, self._picture_height / height)
        return max(1, round(width * scale)), max(1, round(height * scale))

    def _draw_picture(self, image: Image, number: int, picture: Image | None) -> None:
        first = self._scene.people[0].keypoints
        width, height = self._fitted(first.width, first.height)
        left, top = (image.shape[1] - width) // 2, (image.shape[0] - height) // 2
        inside = image[top : top + height, left : left + width]
        if picture is not None:
            inside[:] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
        for index, person, frame in self._people(number):
            track = person.keypoints
            points = track.keypoints[frame] * (width / track.width)
            drawing.skeleton_2d(
                inside, points, track.scores[frame], self._bones[index][0], bool(track.interpolated[frame])
            )

    def _draw_space(self, image: Image, number: int) -> None:
        time_s = float(self.timeline.timestamps_s[number] - self.timeline.timestamps_s[0])
        drawing.ground(image, self._stage, self._eye, time_s)
        people, names = [], []
        for index, person, frame in self._people(number):
            now = slice(frame, frame + 1)
            joints = (self._stage.positions(self._scene, index, now) + self._stage.roots(self._scene, index, now))[0]
            people.append((joints, _marked(self._bones[index][1], person.lifted, frame)))
            names.append((joints[joints[:, 2].argmax()], f"person {person.lifted.person}"))
        drawing.skeletons_3d(image, people, self._stage, self._eye, time_s)
        for top, name in names if len(self._scene.people) > 1 else ():
            x, y, _ = self._eye.project(top, time_s)
            drawing.text(image, name, x - drawing.text_width(name, self._text_px) / 2, y - self._text_px, self._text_px)

    def _draw_quality(self, image: Image, number: int) -> None:
        values = [
            (person.lifted.reprojection_px, person.lifted.bone_length_deviation, person.lifted.keypoint_score, frame)
            for _, person, frame in self._people(number)
        ]
        texts = [f"frame {number + self.timeline.first}", f"{self.timeline.timestamps_s[number]:.2f} s"]
        if values:
            compared = [float(px[frame]) for px, _, _, frame in values if px is not None]
            texts += [f"reprojection {np.mean(compared):.1f} px"] if compared else []
            texts.append(f"bones {100 * np.mean([bones[frame] for _, bones, _, frame in values]):.1f} %")
            texts.append(f"score {np.mean([score[frame] for _, _, score, frame in values]):.2f}")
        if any(person.lifted.interpolated[frame] for _, person, frame in self._people(number)):
            texts.append("interpolated")
        # Each text gets the room of its widest form, so that the others do not move when digits change.
        left = self._text_px
        for words in texts:
            drawing.text(image, words, left, 1.5 * self._text_px, self._text_px)
            left += drawing.text_width(words.translate(_WIDEST_DIGITS), self._text_px) + 1.5 * self._text_px
        x = number / max(1, len(self.timeline) - 1) * (self.width - 1)
        drawing.line(image, (x, 2 * self._text_px), (x, image.shape[0]), drawing.TEXT, 2)

    def _draw_sheet(self) -> Image:
        """The background, which is the same in all frames."""
        sheet = np.full((self.height, self.width, 3), drawing.PANEL, np.uint8)
        sheet[: self._picture_height, : self._picture_width] = drawing.BACKGROUND
        space = sheet[: self._picture_height, self._picture_width :]
        size, small = self._text_px, max(_LEAST_TEXT_PX, round(self._text_px * 0.85))
        drawing.text(space, self._scene.title, size, 1.8 * size, size)
        model = self._scene.people[0].lifted.model
        drawing.text(
            space, model if self._stage.travels else f"{model}, root-relative", size, 3.2 * size, small, drawing.MUTED
        )
        left = size
        for side in ("left", "right"):
            drawing.text(space, side, left, space.shape[0] - size, size, drawing.SIDES[side])
            left += drawing.text_width(side, size) + size
        below = sheet[self._picture_height + 2 * size :]
        for index, (values, unseen) in enumerate(self._curves()):
            drawing.curve(below, values, unseen, self._scale(), drawing.PEOPLE[index % len(drawing.PEOPLE)])
        return sheet

    def _curves(self) -> list[tuple[Float64[np.ndarray, " columns"], Bool[np.ndarray, " columns"]]]:
        """For each person, the worst quality in each column of the sheet, and whether a frame there is interpolated."""
        frames = len(self.timeline)
        at = np.linspace(0, frames - 1, self.width)
        # With more frames than columns, a column shows the worst of several; otherwise values are interpolated.
        columns = [slice(int(a), int(a) + max(1, frames // self.width)) for a in at]
        curves = []
        for person in self._scene.people:
            quality, unseen = np.full(frames, np.nan), np.zeros(frames, bool)
            start = person.lifted.start_frame - self.timeline.first
            shown = slice(0, max(0, frames - start))
            quality[start : start + len(person.lifted)] = _quality(person)[shown]
            unseen[start : start + len(person.lifted)] = person.lifted.interpolated[shown]
            if frames < self.width:
                values = np.interp(at, np.arange(frames), quality)
            else:
                values = np.array([quality[column].max() for column in columns])
            curves.append((values, np.array([unseen[column].any() for column in columns])))
        return curves

    def _scale(self) -> float:
        """The value at the upper edge of the curves."""
        return float(np.percentile(np.concatenate([_quality(p) for p in self._scene.people]), _SCALE)) * 1.1 or 1.0


def _marked(bones: drawing.Bones, lifted: LiftedTrack, frame: int) -> drawing.Bones:
    """The bones of a frame; those that end in a joint that was not seen are marked as such."""
    if lifted.joint_scores is None:
        return bones
    visible = lifted.joint_scores[frame] >= UNSEEN
    return [(child, parent, side if visible[child] and visible[parent] else "unseen") for child, parent, side in bones]


def _quality(person: Person) -> np.ndarray:
    """The values of the curve: the reprojection error, or the bone-length deviation if nothing can be projected."""
    track = person.lifted
    return track.bone_length_deviation if track.reprojection_px is None else track.reprojection_px


_WIDEST_DIGITS = str.maketrans("123456789", "000000000")


def _even(side: float) -> int:
    """An even side, px, because yuv420p halves the chroma."""
    return max(2, round(side) // 2 * 2)

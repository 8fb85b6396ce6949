"""Draws docs/everyday.jpg: some moments of a real clip, lifted, without the pictures of the film, which are not ours.

raylift lift video=tfjs_pose_squats.mp4 output=squats
python docs/draw_everyday.py squats 24 30 34

The clip is of tensorflow/tfjs-models (Apache-2.0). Each moment shows the keypoints, the lifted pose and the
reprojection error over the whole clip.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from pipelines.report.poses.film import Film
from pipelines.report.poses.scene import Person, Scene
from pipelines.tracks.keypoint_reader import read_rows, survey
from pipelines.tracks.lifted_reader import poses_files, read_lifted

PICTURE = Path(__file__).parent / "everyday.jpg"
HEIGHT_PX, JPEG_QUALITY = 360, 88


def main(lifted: str, frames: list[int]) -> None:
    """Draw the frames side by side."""
    keypoints = {track.track_id: track for track in read_rows(survey(f"{lifted}/labels/tracks"))}
    poses = [track for file in poses_files(lifted) for track in read_lifted(file)]
    people = tuple(Person(keypoints[track.track_id], track) for track in poses)
    film = Film(Scene("squats", people, None), HEIGHT_PX)
    picture = np.concatenate([image for _, image in film.frames(frames)], axis=1)
    cv2.imwrite(str(PICTURE), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


if __name__ == "__main__":
    main(sys.argv[1], [int(number) for number in sys.argv[2:]])

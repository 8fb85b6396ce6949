"""Makes the odd inputs of the table: every file that a row names, in a folder of its own.

`python tests/odd_inputs/odd_files.py FOLDER` writes them for a look, or to try them on a command line.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
from av.stream import Disposition

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from datasets.moving_people import H36M, camera, walking
from video.cut_films import FPS, HEIGHT, WIDTH, cut, shot
from video.video_samples import remux, write_video

from pipelines.video.encode import VideoWriter

SWAPPED = list(H36M.mirror)


def manifest(text: str | bytes, name: str = "m.csv") -> Callable[[Path], None]:
    """A manifest, and the files that it may name."""

    def make(folder: Path) -> None:
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    return make


def recipe(text: str) -> Callable[[Path], None]:
    """A recipe r.yaml."""
    return manifest(text, "r.yaml")


def files(*names: str) -> Callable[[Path], None]:
    """Files of a byte, in the folders of their names; a name that ends in @ is a link to the folder above."""

    def make(folder: Path) -> None:
        for name in names:
            path = folder / name.rstrip("@")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(path.parent) if name.endswith("@") else path.write_bytes(b"x")

    return make


def mocap(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """Motion capture of somebody who walks, changed."""

    def make(folder: Path) -> None:
        motion = change(walking(200)).astype(np.float32)
        np.savez(folder / "mocap.npz", positions_3d=np.array({"S1": {"walk": motion}}, dtype=object))

    return make


def arrays(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """One person before the camera of `OneCamera`, with changed keypoints."""

    def make(folder: Path) -> None:
        motion, view = walking(200), camera()
        np.savez(folder / "poses.npz", keypoints=change(view.project(motion)), positions=view.to_camera(motion))

    return make


def joined(folder: Path) -> None:
    """v.ts: two recordings one after the other."""
    for number in range(2):
        write_video(folder / f"{number}.ts", 30, gop_size=10)
    (folder / "v.ts").write_bytes((folder / "0.ts").read_bytes() + (folder / "1.ts").read_bytes())


def resized(folder: Path) -> None:
    """v.ts: the pictures are high instead of wide from the middle on."""
    for name, width, height in (("wide.ts", 160, 96), ("high.ts", 96, 160)):
        with VideoWriter(folder / name, width, height, 30, gop_size=10) as video:
            for _ in range(20):
                video.write(np.full((height, width, 3), 200, np.uint8))
    (folder / "v.ts").write_bytes((folder / "wide.ts").read_bytes() + (folder / "high.ts").read_bytes())


def doubled(folder: Path) -> None:
    """v.mkv: a frame has the time of the one before."""

    def like_the_one_before(packet, number: int) -> bool:
        if number == 30:
            packet.pts, packet.dts = packet.pts - packet.duration, packet.dts - packet.duration
        return True

    source = write_video(folder / "source.mkv", 60, gop_size=24, options={"bf": "0"})
    remux(source, folder / "v.mkv", like_the_one_before)


def edited(folder: Path) -> None:
    """v.mp4: two places, cut at frame 20."""
    with VideoWriter(folder / "v.mp4", WIDTH, HEIGHT, FPS) as video:
        for picture in cut(shot(0, 20), shot(5, 20)):
            video.write(picture)


def jumping(folder: Path) -> None:
    """v.ts: the clock jumps by ten hours in the middle."""

    def later(packet, number: int) -> bool:
        packet.pts, packet.dts = (time + 36_000 * 90_000 * (number >= 30) for time in (packet.pts, packet.dts))
        return True

    source = write_video(folder / "source.ts", 60, gop_size=10, options={"bf": "0"})
    remux(source, folder / "v.ts", later)


def pictures(*numbers: int) -> Callable[[Path], None]:
    """Grey pictures of these numbers."""

    def make(folder: Path) -> None:
        for number in numbers:
            cv2.imwrite(str(folder / f"{number}.png"), np.full((20, 40, 3), 100, np.uint8))

    return make


def preview_first(folder: Path) -> None:
    """v.mkv: a preview of one frame, then the video."""
    sources = [write_video(folder / name, frames) for name, frames in (("preview.mp4", 1), ("film.mp4", 30))]
    with av.open(str(folder / "v.mkv"), "w") as writing:
        opened = [av.open(str(source)) for source in sources]
        copies = [writing.add_stream_from_template(one.streams.video[0]) for one in opened]
        copies[0].disposition = Disposition(0)
        copies[1].disposition = Disposition.default
        for one, copy in zip(opened, copies, strict=True):
            for packet in one.demux(one.streams.video[0]):
                if packet.size:
                    packet.stream = copy
                    writing.mux(packet)
            one.close()


def written(name: str, content: bytes) -> Callable[[Path], None]:
    """A file of these bytes."""
    return manifest(content, name)


def written_film(name: str) -> Callable[[Path], None]:
    """A film of 30 frames in the container of its name."""

    def make(folder: Path) -> None:
        write_video(folder / name, 30, gop_size=12)

    return make


def written_twice(name: str) -> Callable[[Path], None]:
    """A film of 30 frames, and the same again behind it in the file."""

    def make(folder: Path) -> None:
        film = write_video(folder / name, 30, gop_size=12)
        film.write_bytes(film.read_bytes() * 2)

    return make


def truncated(folder: Path) -> None:
    """v.mp4 without its second half."""
    content = write_video(folder / "whole.mp4", 60).read_bytes()
    (folder / "v.mp4").write_bytes(content[: len(content) // 2])


if __name__ == "__main__":
    from odd_table import TABLE

    for row in TABLE:
        target = Path(sys.argv[1]) / row.name.replace(" ", "_").replace("/", "_")
        target.mkdir(parents=True)
        row.make(target)

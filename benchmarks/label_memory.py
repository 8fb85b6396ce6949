"""Peak memory of `label`, all its processes together, over a one-hour 720p video.

python benchmarks/label_memory.py [hours]

The video is a minute of a synthetic person who walks for a quarter of it, repeated without re-encoding, at 10 frames/s.
Shared pages count once (PSS). Prints one JSON line.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import av

from pipelines.synthetic.renderer import Renderer
from pipelines.synthetic.studio import build_scene
from pipelines.video.encode import VideoWriter
from schemas.configs.synthesize import SynthesizeConfig

ROOT = Path(__file__).parents[1]
FPS = 10


def film_minute(path: Path) -> None:
    """A minute of 720p: somebody walks for 15 s, then the picture stands still for 45 s."""
    config = SynthesizeConfig(output=str(path.parent), seconds=15, fps=FPS, width=1280, height=720, actions=("walk",))
    scene = build_scene(config, 0)
    renderer = Renderer(scene.place, scene.actors, scene.views[0])
    with VideoWriter(path, 1280, 720, FPS) as writer:
        for number in range(60 * FPS):
            writer.write(renderer.frame(min(number, 15 * FPS - 1)))


def repeat(minute: Path, times: int, path: Path) -> None:
    """The same packets again and again, with timestamps that go on."""
    with av.open(str(path), "w") as target:
        offset, output = 0, None
        for _ in range(times):
            with av.open(str(minute)) as source:
                stream = source.streams.video[0]
                output = output or target.add_stream_from_template(stream)
                for packet in source.demux(stream):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.dts, packet.pts, packet.stream = packet.dts + offset, packet.pts + offset, output
                    target.mux(packet)
                assert stream.duration is not None
                offset += stream.duration


def main() -> None:
    """Measure and print."""
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    with tempfile.TemporaryDirectory() as temporary:
        minute, video, output = (Path(temporary, name) for name in ("minute.mp4", "hour.mp4", "out"))
        film_minute(minute)
        repeat(minute, round(60 * hours), video)
        subprocess.run(
            [sys.executable, "-m", "jobs.label", f"videos={video}", f"output={output}"], cwd=ROOT, check=True
        )
        report = json.loads((output / "report.json").read_text())
    run = report["run"]
    result = {
        "benchmark": "label_memory",
        "hours": hours,
        "frames": report["frames"],
        "tracks": report["tracks"],
        "seconds": round(run["seconds"]),
        "peak_memory_gib": round(run["peak_memory_mb"] * 1e6 / 2**30, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

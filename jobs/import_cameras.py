"""Write a manifest of videos with their cameras' intrinsics, from a calibration of another program.

raylift import_cameras videos=views calibration=Calib.toml output=views.csv
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("import_cameras"))

from jobs.command_line.terminal import Terminal
from pipelines.calibration.manifest import manifest_csv
from pipelines.calibration.read import read_lenses
from pipelines.io import storage
from pipelines.label.video_sources import find_videos
from schemas.configs.import_cameras import ImportCamerasConfig


def main(config: ImportCamerasConfig) -> int:
    """Write the manifest, and say what it holds."""
    cameras = read_lenses(config.calibration)
    videos = {source.uri: source.camera for source in find_videos(config.videos)}
    storage.write_bytes(config.output, manifest_csv(videos, cameras).encode())
    Terminal().print(f"manifest     {config.output}: {len(videos)} videos of {len(cameras)} cameras")
    return 0

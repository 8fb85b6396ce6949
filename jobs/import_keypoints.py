"""Import keypoints that another system found (OpenPose, AlphaPose, MMPose, MediaPipe, …) as unlabeled tracks.

raylift import_keypoints source=openpose source.files=json source.videos=clips output=out/keypoints
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("import_keypoints"))

from jobs.import_poses import import_all
from pipelines import registry
from schemas.configs.import_keypoints import ImportKeypointsConfig


def main(config: ImportKeypointsConfig) -> int:
    """Import what the output lacks, then print what it holds."""
    return import_all("import_keypoints", config, registry.KEYPOINT_SOURCES)

"""Download motion capture of Carnegie Mellon University, to train lifters on.

raylift fetch_mocap cmu
raylift fetch_mocap cmu subjects=[02,07,35]
raylift import_poses source=mocap17 source.positions=cmu/motion.npz source.fps=120 output=labeled
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("fetch_mocap"))

import sys
from pathlib import Path

from pipelines.datasets.cmu_mocap import FPS, LICENCE, MOTION, NOTICE, fetch
from pipelines.io import storage
from pipelines.io.secrets import shown
from schemas.configs.fetch_mocap import FetchMocapConfig
from schemas.errors import UserError


def main(config: FetchMocapConfig) -> int:
    """Download the motions, and say where they are and how they are used."""
    if not storage.is_local(config.output):
        raise UserError(f"output={config.output}: is in a bucket; give a folder on this machine, and copy {MOTION}")
    output = Path(storage.absolute(config.output))
    fetched = fetch(config.subjects, output, config.pages, lambda name: print(name, file=sys.stderr))
    print(f"motions      {fetched.motions} of {len(config.subjects)} people, {fetched.frames:,} frames")
    print(f"downloaded   {fetched.bytes / 1e6:.1f} MB")
    print(f"licence      {LICENCE}")
    print(f"to be said   {NOTICE}")
    uses = f"import_poses source=mocap17 source.positions={fetched.motion} source.fps={FPS} output=labeled"
    print(shown(f"next         raylift {uses}"))
    return 0

"""Serve a lifter by HTTP: tracks in, poses out, until it is stopped.

raylift serve model=models:/lifter@champion [port=8080]
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("serve"))

from jobs.command_line.terminal import Terminal
from pipelines.serve import run
from schemas.configs.serve import ServeConfig


def main(config: ServeConfig) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    console = Terminal()
    run.serve(config, lambda line: console.print(f"serve: {line}"))
    return 0

"""Convert a published checkpoint of VideoPose3D, Martinez et al. or MotionBERT into a lifter for evaluate and lift.

raylift import_lifter model=pretrained_h36m_cpn.bin input_layout=h36m17 output=lifter.pt
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("import_lifter"))

from jobs.command_line.terminal import Terminal
from pipelines.lifters.checkpoint import save_lifter
from pipelines.lifters.import_published import import_published
from schemas.configs.import_lifter import ImportLifterConfig


def main(config: ImportLifterConfig) -> int:
    """Load, convert and write the checkpoint; print what it is."""
    model, card = import_published(config)
    save_lifter(config.output, model, card)
    trajectory = "with" if card.trajectory else "without"
    Terminal().print(
        f"{config.output}: {card.lifter} of {card.window.inputs} frames at {card.fps:g} frames/s, "
        f"{card.input_layout} → {card.output_layout}, {trajectory} a trajectory"
    )
    return 0

"""What Tab offers in a command line."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.command_line.completion import completions

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("raylift tra", ["train ", "train_aligner ", "train_detector "]),
        ("raylift train optimization.ep", ["optimization.epochs="]),
        ("raylift train cmu_semi", ["cmu_semi "]),
        ("raylift label detector=mo", ["movenet ", "movenet_blazepose "]),
        ("raylift train lifter=", ["residual_mlp ", "spacetime_transformer ", "supermask ", "temporal_conv "]),
        ("raylift train lifter=residual_mlp lifter.max_n", ["lifter.max_norm="]),
        ("raylift train trajectory=", ["true ", "false "]),
        ("raylift train data.world.enabled=t", ["true "]),
        ("raylift train resources.precision=b", ["bf16 "]),
        ("raylift tune sampler=g", ["gp ", "grid "]),
        ("raylift submit lab", ["label "]),
        ("raylift submit label vid", ["videos="]),
        ("raylift submit label addr", ["address="]),
        ("raylift train labeled=", []),
        ("raylift train nothing=", []),
        ("raylift nothing optimization", []),
        ("raylift label detector=nothing detector.", []),
    ],
)
def test_what_is_offered(line, offered):
    assert completions(line) == offered


def test_every_job_and_every_required_field_is_offered():
    assert "label " in completions("raylift ")
    assert {"videos=", "output="} <= set(completions("raylift label "))


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_takes_what_is_offered(tmp_path):
    """As bash asks when Tab is pressed: with the line and the cursor's place in the environment."""
    program = f"{sys.executable} -c 'from jobs.command_line.main import main; main()' complete raylift optim label"
    line = "raylift train optimization.ep and more"
    place = str(len("raylift train optimization.ep"))
    environment = os.environ | {"COMP_LINE": line, "COMP_POINT": place, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "optimization.epochs=\n"

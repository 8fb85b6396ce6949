"""Everything worth knowing of a new GPU machine, one part after another: `benchmarks/gpu.sh [FOLDER] [--toy]`.

Each part is a process of its own with a time limit, and prints one line of JSON. FOLDER (`gpu-benchmark`) gets
`gpu.json` with all lines and `gpu.md` with a table of what must hold; both are written anew after each part, so that a
machine that is taken away leaves what it has measured. The exit code is 1 if a part failed or something does not hold.

`--toy` runs the same parts with small networks and few samples, on the CPU where there is no GPU: it shows that they
work, not how fast anything is.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

BENCHMARKS = Path(__file__).parent
TIME_LIMIT_S = 600.0
# Part of a message of a failed part that is worth keeping.
_LAST_CHARACTERS = 2000

# What the table says of a rule that does not hold.
NO = "**no**"

Results = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """A measurement.

    Attributes:
        name: Its name in the results.
        command: The script and its arguments.
        limit_s: Seconds after which it is ended.
        toy: More arguments of it at toy size, besides `toy`.
    """

    name: str
    command: Sequence[str]
    limit_s: float
    toy: Sequence[str] = ()


@dataclass(frozen=True)
class Rule:
    """Something that must hold.

    Attributes:
        what: In words.
        least: The value is at least this.
        value: Computes the value; KeyError, TypeError or ZeroDivisionError if what it needs was not measured.
    """

    what: str
    least: float
    value: Callable[[Results], float]


def parts(device: str, gpus: int) -> list[Part]:
    """The parts, the most important ones first."""
    hrnet = ("detector_throughput.py", device, "detector=hrnet")
    all_parts = [
        Part("training step", ("gpu_training_step.py", device), 90),
        Part("training job", ("gpu_training_job.py", device), 120),
        Part("label job", ("gpu_label_job.py", device), 120),
        Part("hrnet", hrnet, 150, ("channels=2", "input_size=96x64")),
        Part("lifter against Conv1d", ("lifter_step.py", device), 90),
        Part("crops", ("crops.py", device), 30),
        Part("decoding", ("decode.py",), 60),
    ]
    if gpus > 1:
        all_parts.append(Part("training on all GPUs", ("gpu_training_job.py", device, f"workers={gpus}"), 100))
    return all_parts


RULES = (
    # 80 epochs of Human3.6M in 15 minutes on one GPU.
    Rule("epochs of Human3.6M in 15 minutes, of 80", 80, lambda r: 900 / r["training job"]["epoch_s"]),
    Rule(
        "frames/s of the training job over those of its bare step",
        0.9,
        lambda r: r["training job"]["frames_per_s"] / r["training step"]["frames_per_s"],
    ),
    Rule(
        "rate of the compiled step over that of matrix products",
        0.5,
        lambda r: r["training step"]["compiled_share_of_matmul_rate"],
    ),
    Rule(
        "crops/s of the label job's process over those of the bare network",
        0.9,
        lambda r: r["hrnet"]["job_ratio"],
    ),
    Rule("use of the GPU while videos are labeled", 0.8, lambda r: r["label job"]["gpu_use"]),
    Rule(
        "frames/s on all GPUs over those on one, for each GPU",
        0.85,
        lambda r: (
            r["training on all GPUs"]["frames_per_s"]
            / r["training job"]["frames_per_s"]
            / r["training on all GPUs"]["workers"]
        ),
    ),
)


def machine() -> dict[str, Any]:
    """What the numbers are of."""
    facts: dict[str, Any] = {"cpus": os.cpu_count(), "torch": torch.__version__, "cuda": torch.version.cuda}
    facts["gpus"] = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    facts["gpu_memory_gb"] = [
        round(torch.cuda.get_device_properties(index).total_memory / 1e9, 1)
        for index in range(torch.cuda.device_count())
    ]
    return facts


def run(command: Sequence[str], limit_s: float) -> dict[str, Any]:
    """The line of JSON that a part prints, or why there is none."""
    script, *arguments = command
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(BENCHMARKS.parent), str(BENCHMARKS)])}
    started = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, str(BENCHMARKS / script), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=limit_s,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {limit_s:.0f} s"}
    if done.returncode:
        return {"error": f"exit code {done.returncode}: {done.stderr.strip()[-_LAST_CHARACTERS:]}"}
    return json.loads(done.stdout.strip().splitlines()[-1]) | {"part_s": round(time.monotonic() - started, 1)}


def table(results: Results) -> str:
    """What must hold, as Markdown."""
    rows = ["| what must hold | at least | measured | |", "|---|---|---|---|"]
    for rule in RULES:
        try:
            value = rule.value(results)
        except (KeyError, TypeError, ZeroDivisionError):
            rows.append(f"| {rule.what} | {rule.least:g} | – | not measured |")
        else:
            rows.append(f"| {rule.what} | {rule.least:g} | {value:.3g} | {'holds' if value >= rule.least else NO} |")
    failed = [f"- {name}: {part['error']}" for name, part in results.items() if "error" in part]
    return "\n".join([*rows, *([""] if failed else []), *failed]) + "\n"


def main() -> int:
    """Run the parts, write what they say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default="gpu-benchmark", type=Path)
    parser.add_argument("--toy", action="store_true", help="small networks, few samples")
    given = parser.parse_args()
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not gpus and not given.toy:
        print("no GPU that PyTorch can use; see nvidia-smi, or give --toy to try the parts on the CPU", file=sys.stderr)
        return 2
    given.folder.mkdir(parents=True, exist_ok=True)
    deadline = math.inf if given.toy else time.monotonic() + TIME_LIMIT_S
    results: dict[str, Any] = {"machine": machine()}
    for part in parts("cuda" if gpus else "cpu", gpus):
        print(f"{part.name} …", file=sys.stderr, flush=True)
        left_s = deadline - time.monotonic()
        if given.toy:
            results[part.name] = run((*part.command, "toy", *part.toy), TIME_LIMIT_S)
        elif left_s > 0:
            results[part.name] = run(part.command, min(part.limit_s, left_s))
        else:
            results[part.name] = {"error": f"not begun: the {TIME_LIMIT_S:.0f} s are over"}
        (given.folder / "gpu.json").write_text(json.dumps(results, indent=2) + "\n")
        (given.folder / "gpu.md").write_text(table(results))
    print((given.folder / "gpu.md").read_text() if not given.toy else json.dumps(results))
    failed = any("error" in result for result in results.values())
    return int(failed or (not given.toy and NO in table(results)))


if __name__ == "__main__":
    raise SystemExit(main())

"""What `benchmarks/gpu.sh` says of a GPU machine, and that each of its parts works at toy size."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

MEASURED = {
    "training step": {"frames_per_s": 200_000, "compiled_share_of_matmul_rate": 0.6},
    "training job": {"frames_per_s": 150_000, "epoch_s": 10.0, "workers": 1},
    "hrnet": {"job_ratio": 0.95},
    "label job": {"gpu_use": 0.4},
    "training on all GPUs": {"frames_per_s": 560_000, "workers": 4},
}


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import gpu

    return gpu


def test_the_table_says_what_holds(benchmark):
    rows = [row.strip("| ").split(" | ") for row in benchmark.table(MEASURED).splitlines()[2:]]
    assert {row[0]: row[2:] for row in rows} == {
        "epochs of Human3.6M in 15 minutes, of 80": ["90", "holds"],
        "frames/s of the training job over those of its bare step": ["0.75", "**no**"],
        "rate of the compiled step over that of matrix products": ["0.6", "holds"],
        "crops/s of the label job's process over those of the bare network": ["0.95", "holds"],
        "use of the GPU while videos are labeled": ["0.4", "**no**"],
        "frames/s on all GPUs over those on one, for each GPU": ["0.933", "holds"],
    }


def test_a_part_that_failed_is_said_and_what_needs_it_is_not_measured(benchmark):
    table = benchmark.table(MEASURED | {"hrnet": {"error": "not done after 150 s"}})
    assert "| 0.9 | – | not measured |" in table
    assert table.endswith("- hrnet: not done after 150 s\n")


def test_the_use_of_gpus_is_that_between_the_first_and_the_last_work(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from gpu_label_job import used

    assert used("0, 4\n0, 5\n80, 900\n0, 700\n100, 800\n0, 4\n") == {"gpu_use": 0.6, "gpu_memory_mb": 900}
    assert used("") == {}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_part_works_at_toy_size(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), str(tmp_path), "--toy"]
    done = subprocess.run(command, capture_output=True, text=True)
    results = json.loads((tmp_path / "gpu.json").read_text())
    assert done.returncode == 0, [result for result in results.values() if "error" in result]
    assert set(results) >= {"training step", "training job", "label job", "hrnet", "crops", "decoding"}
    assert results["label job"]["frames"] == 540

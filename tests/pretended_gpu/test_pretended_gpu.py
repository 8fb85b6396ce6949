"""What would run on a GPU, walked through without one: no mixed devices, hardly any waits; every mistake is seen."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
HERE = Path(__file__).parent
TORCH = Path(torch.__file__).parent


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """That of a process that loads the guard with PyTorch."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not here, which builds what lets PyTorch believe in a GPU")
    if torch.version.cuda is not None:
        pytest.skip("this PyTorch has CUDA: the GPU tests themselves can be run")
    guard, libraries = tmp_path_factory.mktemp("guard") / "guard.so", TORCH / "lib"
    build = [compiler, "-shared", "-fPIC", "-std=c++20", "-I", f"{TORCH}/include", f"{HERE}/guard.cpp"]
    subprocess.run([*build, "-L", str(libraries), "-lc10", "-ltorch_cpu", "-o", str(guard)], check=True)
    preloaded = f"{libraries}/libc10.so {libraries}/libtorch_cpu.so {guard}"
    path = os.pathsep.join([str(HERE.parents[1]), str(HERE.parent)])
    return os.environ | {"LD_LIBRARY_PATH": str(libraries), "LD_PRELOAD": preloaded, "PYTHONPATH": path}


def started(environment, module, *arguments):
    command = [sys.executable, "-m", f"pretended_gpu.{module}", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def printed(process):
    """The lines of JSON that a process prints."""
    output, error = process.communicate(timeout=500)
    assert process.returncode == 0, error
    return [json.loads(line) for line in output.splitlines()]


@pytest.fixture(scope="module")
def rows_by_scenario(environment, tmp_path_factory):
    """What was recorded of each scenario."""
    rows = printed(started(environment, "scenarios", tmp_path_factory.mktemp("pretended")))
    return {row["scenario"]: row for row in rows}


@pytest.fixture(scope="module")
def seen_by_two(environment, tmp_path_factory):
    """What each of two workers recorded."""
    folder = tmp_path_factory.mktemp("two")
    workers = [started(environment, "of_two", rank, folder) for rank in range(2)]
    return [row for worker in workers for row in printed(worker)]


def small_exchanges(row):
    """What is sent in a step besides gradients, by line."""
    return {line: count for line, count in row["exchanges"].items() if "lifters/" in line}


@pytest.mark.parametrize(
    ("scenario", "waits", "operators"),
    [
        # Losses are looked at every 20 steps, and at the end of an epoch: of 19 steps here, of 10 and of 3.
        ("lifter", 2 / 19, 385),
        ("lifter on made views", 2 / 10, 388),
        ("hrnet", 2 / 3, 2890),
        ("vitpose", 2 / 3, 415),
        # Who is there, and where their joints are.
        ("hrnet clip", 2, 2300),
        ("vitpose clip", 2, 460),
        ("person finder", 0, 980),
    ],
)
def test_the_host_hardly_waits(rows_by_scenario, scenario, waits, operators):
    row = rows_by_scenario[scenario]
    assert row["waits"] <= waits + 1e-6, row["lines"]
    assert row["operators"] <= operators, "a lower bound of the kernels that are launched"


def test_workers_wait_for_their_gpus_no_more_than_one_alone(seen_by_two):
    for row in (rows["lifter"] for rows in seen_by_two):
        assert row["waits"] <= 2 / 19 + 1e-6, row["lines"]
        assert row["operators"] <= 558, "the ceiling is 600"
        # Batch norm's statistics go each way in each of 18 layers, mean lengths of bones too; gradients are in buckets.
        small = small_exchanges(row)
        assert sum(small.values()) <= 18 * 2 + 2 + 0.2, small
        assert sum(row["exchanges"].values()) - sum(small.values()) <= 2, row["exchanges"]


def test_workers_normalise_by_the_statistics_of_the_whole_batch(seen_by_two):
    assert max(rows["normalised"]["off"] for rows in seen_by_two) < 1e-5


def test_workers_that_train_a_detector_send_each_other_gradients_and_agree_on_statistics_once(seen_by_two):
    for row in (rows["hrnet"] for rows in seen_by_two):
        assert row["waits"] <= 2 / 3 + 1e-6, row["lines"]
        assert row["operators"] <= 3840
        # In an epoch of 3 steps: whether losses are finite, their sums, and the statistics of batch norm.
        assert sum(small_exchanges(row).values()) <= 3 / 3, row["exchanges"]
        assert sum(row["exchanges"].values()) <= 2 + 3 / 3, "gradients in two buckets"
    assert len({rows["hrnet"]["statistics"] for rows in seen_by_two}) == 1
    assert [rows["agreed"] for rows in seen_by_two] == [{"mean": 0.5, "var": 1.5}] * 2


@pytest.mark.parametrize(
    ("mistake", "kind", "cause"),
    [
        ("a wait in each step", "lines", ".item() training/steps.py:"),
        ("weights are sent in each step", "exchanges", "training/steps.py:"),
    ],
)
def test_a_planted_fault_of_two_workers_is_counted_with_its_line(seen_by_two, mistake, kind, cause):
    for row in (rows[f"fault: {mistake}"] for rows in seen_by_two):
        assert [count for line, count in row[kind].items() if line.startswith(cause)] == [1]
        assert (row["waits"] > 1) == (kind == "lines"), "1 is the ceiling"


def test_the_benchmark_of_a_step_takes_all_its_parts_on_the_gpu(rows_by_scenario):
    row = rows_by_scenario["benchmark of the step"]
    assert row["parts"] == ["gather", "forward", "objective", "backward", "optimizer"]
    # It waits after each part, to tell their times apart, and for nothing else.
    assert row["waits"] == len(row["parts"]), row["lines"]


@pytest.mark.parametrize(
    ("mistake", "cause"),
    [
        ("a number is read", ".item()"),
        ("a list is read", "device to host"),
        ("a blocking upload", "host to device"),
        ("an upload of a list", "host to device"),
        ("an upload that is not pinned", "host to device"),
        ("a download", "device to host"),
        ("a boolean index", "boolean index"),
    ],
)
def test_a_planted_wait_is_counted_with_its_line(rows_by_scenario, mistake, cause):
    row = rows_by_scenario[f"fault: {mistake}"]
    assert (row["waits"], row["error"]) == (1, "")
    (line,) = row["lines"]
    assert line.startswith(f"{cause} pretended_gpu/scenarios.py:")


@pytest.mark.parametrize(("mistake", "message"), [("two devices", "found cuda:0 and cpu"), ("an array", "to numpy")])
def test_a_planted_mistake_is_refused_as_by_cuda(rows_by_scenario, mistake, message):
    assert message in rows_by_scenario[f"fault: {mistake}"]["error"]


@pytest.mark.parametrize("right", ["nothing wrong", "an upload as it should be"])
def test_what_is_right_waits_for_nothing(rows_by_scenario, right):
    row = rows_by_scenario[f"fault: {right}"]
    assert (row["waits"], row["error"]) == (0, "")

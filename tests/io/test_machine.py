import math
import os
from pathlib import Path

import pytest

from pipelines.io.machine import usable_cpus, usable_memory_bytes, whole_cpus

NOWHERE = Path("/nowhere")
HERE = float(len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, math.inf),
        ({"cpu.max": "max 100000"}, math.inf),
        ({"cpu.max": "50000 100000"}, 0.5),
        ({"cpu.max": "nonsense"}, math.inf),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, math.inf),
        ({"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000"}, 1.5),
    ],
)
def test_a_container_may_use_what_its_quota_says(tmp_path, files, expected):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert usable_cpus(tmp_path, NOWHERE) == min(HERE, expected)
    assert whole_cpus(tmp_path, NOWHERE) == max(1, math.ceil(min(HERE, expected)))


@pytest.mark.parametrize(
    ("own", "files"),
    [
        ("0::/user.slice/job_7", {"user.slice/job_7/cpu.max": "50000 100000", "user.slice/memory.max": "100000000"}),
        (
            "5:memory:/slurm/job_7\n4:cpu,cpuacct:/slurm/job_7\n0::/\n",
            {
                "cpu/slurm/job_7/cpu.cfs_quota_us": "50000",
                "cpu/slurm/job_7/cpu.cfs_period_us": "100000",
                "memory/slurm/memory.limit_in_bytes": "100000000",
            },
        ),
    ],
)
def test_the_groups_of_a_batch_system_count(tmp_path, own, files):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "own").write_text(own)
    assert usable_cpus(tmp_path, tmp_path / "own") == 0.5
    assert usable_memory_bytes(tmp_path, tmp_path / "own") == 10**8


def test_memory_is_the_containers_where_it_has_a_limit(tmp_path):
    machine = usable_memory_bytes(tmp_path, NOWHERE)
    assert machine > 10**8
    (tmp_path / "memory.max").write_text("max\n")
    assert usable_memory_bytes(tmp_path, NOWHERE) == machine
    (tmp_path / "memory.max").write_text("100000000\n")
    assert usable_memory_bytes(tmp_path, NOWHERE) == 10**8

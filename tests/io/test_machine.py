import math
import os

import pytest

from pipelines.io.machine import usable_cpus, usable_memory_bytes, whole_cpus

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
    assert usable_cpus(tmp_path) == min(HERE, expected)
    assert whole_cpus(tmp_path) == max(1, math.ceil(min(HERE, expected)))


def test_memory_is_the_containers_where_it_has_a_limit(tmp_path):
    machine = usable_memory_bytes(tmp_path)
    assert machine > 10**8
    (tmp_path / "memory.max").write_text("max\n")
    assert usable_memory_bytes(tmp_path) == machine
    (tmp_path / "memory.max").write_text("100000000\n")
    assert usable_memory_bytes(tmp_path) == 10**8

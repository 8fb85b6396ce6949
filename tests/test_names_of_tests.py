"""What tests must not do to each other: have one name twice, or change what the whole process uses."""

import re
from collections import Counter
from pathlib import Path


def test_no_two_files_of_tests_have_one_name():
    """Pytest imports two files of one name as the same module."""
    names = Counter(path.name for path in Path(__file__).parent.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_test_gives_the_whole_process_another_clock():
    """Threads of others read the clock too: the one of fsspec's requests ends when reading it raises."""
    pattern = re.compile(r'setattr\((\w+\.)?time, |\.time\.(monotonic|time|sleep)"')
    files = [path for path in Path(__file__).parent.rglob("*.py") if path != Path(__file__)]
    assert [path.name for path in files if pattern.search(path.read_text(encoding="utf-8"))] == []

"""One folder of made videos for all tests here; each video is made once."""

from pathlib import Path
from typing import Any

import pytest
from video_samples import Make, write_video


@pytest.fixture(scope="session")
def make_video(tmp_path_factory: pytest.TempPathFactory) -> Make:
    folder = tmp_path_factory.mktemp("videos")

    def make(name: str, *arguments: Any, **options: Any) -> Path:
        path = folder / name
        return path if path.exists() else write_video(path, *arguments, **options)

    return make

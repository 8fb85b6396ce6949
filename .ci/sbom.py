"""Writes sbom.json: what is installed, as CycloneDX, with the libraries that wheels carry inside.

cyclonedx-py lists the packages of the environment. Scanners of vulnerabilities look no further, while PyAV, OpenCV and
decord each bring an FFmpeg of their own: these are listed as components under the identifier (CPE) by which
vulnerabilities of FFmpeg are published, and every other bundled library with its hash.

    make sbom
"""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

FFMPEG = re.compile(rb"FFmpeg version ([0-9][\w.]*)")
LIBRARY = re.compile(r"(?P<name>.+?)(-[0-9a-f]{8})?\.so(\.(?P<version>[\w.]+))?$")


def bundled(packages: Path) -> list[dict[str, Any]]:
    """A component for each shared library in the folders that wheels bring beside their package."""
    components = []
    for file in sorted(packages.glob("*.libs/*.so*")):
        content, parts = file.read_bytes(), LIBRARY.match(file.name)
        assert parts is not None, file
        component: dict[str, Any] = {
            "type": "library",
            "bom-ref": f"{file.parent.name}/{file.name}",
            "group": file.parent.name.removesuffix(".libs"),
            "name": parts["name"],
            "version": parts["version"] or "unknown",
            "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}],
        }
        if found := FFMPEG.search(content):
            version = found[1].decode()
            component |= {"version": version, "cpe": f"cpe:2.3:a:ffmpeg:ffmpeg:{version}:*:*:*:*:*:*:*"}
        components.append(component)
    return components


def main() -> None:
    """Write the file that is named."""
    tool, environment, output = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    subprocess.run([tool, "environment", environment, "--output-file", str(output)], check=True)
    document = json.loads(output.read_text())
    (packages,) = Path(environment).glob("lib/python3*/site-packages")
    document["components"] += bundled(packages)
    output.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()

"""Fuzzes a reader of files of others by the branches that it takes: `make fuzz` runs it for each, with atheris.

python tests/io/fuzz_readers.py NAME FOLDER [libFuzzer's options]    or, without a name, prints the names.

It begins with an honest file and with those in the folder, where it keeps what takes other branches. What is neither a
value nor an expected error is written as crash-HASH, and ends it.
"""

import importlib
import json
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
sys.path += [str(TESTS), str(TESTS.parent), str(TESTS / "io")]

# No package of the project: `make fuzz` puts it into a folder of its own.
atheris: Any = importlib.import_module("atheris")

# Of these the branches are watched; of compiled code none can be.
WATCHED = ["pipelines.annotations", "pipelines.calibration", "pipelines.datasets", "pipelines.io", "pipelines.label"]
WATCHED += ["pipelines.keypoint_files", "pipelines.lifters", "pipelines.video", "schemas", "yaml", "tomllib"]

with atheris.instrument_imports(include=WATCHED):
    from test_nonsense import READERS
    from test_nonsense_documents import DOCUMENTS, TEXTS

    from schemas.errors import UserError

TARGETS: dict[str, tuple[Any, tuple[type[Exception], ...]]] = {
    name: (read, expected) for name, (_, read, expected) in READERS.items()
}
TARGETS |= {name: (read, (UserError,)) for name, (_, read) in (DOCUMENTS | TEXTS).items()}


def honest(name: str, folder: Path) -> bytes:
    """A file that the reader takes."""
    if name in READERS:
        return READERS[name][0](folder)
    return TEXTS[name][0].encode() if name in TEXTS else json.dumps(DOCUMENTS[name][0]).encode()


def main() -> None:
    """Fuzz the reader that the command line names."""
    if len(sys.argv) < 2:
        print("\n".join(TARGETS))
        return
    name = sys.argv.pop(1)
    read, expected = TARGETS[name]
    with tempfile.TemporaryDirectory() as working, tempfile.TemporaryDirectory() as seeds:
        Path(seeds, "honest").write_bytes(honest(name, Path(working)))
        file = Path(working, name)

        def once(data: bytes) -> None:
            file.write_bytes(data)
            with suppress(*expected, UnicodeDecodeError):  # texts are decoded before they are read
                read(file)

        atheris.Setup([*sys.argv, seeds], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main()

"""Show what a model, tracks or poses were made from, and what was made from them or from a video.

raylift lineage models:/lifter@champion [json=true] [draw=lineage.svg]
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("lineage"))

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from jobs.command_line.terminal import Terminal
from pipelines.io import storage
from pipelines.io.secrets import redact
from pipelines.lineage.drawing import draw
from pipelines.lineage.trace import Lineage, Node, trace
from pipelines.mlflow_runs.history import read_history
from schemas.configs.lineage import LineageConfig

# Words for the kinds of things, where their names do not tell what they are.
LABELS = {
    "run": "",
    "videos": "videos ",
    "file": "",
    "tracks": "tracks ",
    "model": "model ",
    "scores": "",
    "poses": "poses ",
    "embeddings": "embeddings ",
    "alignment": "alignment ",
}


def main(config: LineageConfig) -> int:
    """Print the lineage."""
    lineage = trace(config.of, read_history())
    if config.draw is not None:
        storage.write_bytes(config.draw, redact(draw(lineage)).encode())
    if config.as_json:
        print(redact(json.dumps(asdict(lineage), indent=2)))
    else:
        show(lineage)
        if config.draw is not None:
            Terminal().print(f"picture {config.draw}")
    return 0


def show(lineage: Lineage) -> None:
    """Print it as two trees."""
    console = Terminal()
    console.print(f"{lineage.kind} {lineage.of}")
    for title, nodes in (("made from", lineage.made_from), ("made with it", lineage.made_with)):
        if nodes:
            console.print(title)
            for line in lines(nodes):
                console.print(line)
    if not lineage.made_from and not lineage.made_with:
        console.print("nothing is known of what it was made from, or what was made with it")
    for note in lineage.notes:
        console.print(f"note  {note}")


def lines(nodes: Sequence[Node], depth: int = 1) -> Iterator[str]:
    """A line for each node, children below their parents and further right."""
    for node in nodes:
        run = f"run {node.run_id[:8]}" if node.run_id else ""
        note = ", ".join(filter(None, (node.note, run)))
        yield f"{'  ' * depth}{LABELS[node.kind]}{node.name}{f'  ({note})' if note else ''}"
        yield from lines(node.children, depth + 1)

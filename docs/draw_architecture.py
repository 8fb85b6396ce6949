"""Draws docs/architecture.svg: the rooms of pipelines/ and who imports whom, as the code's imports say.

python docs/draw_architecture.py

Rooms stand above all that they import. An arrow is drawn only where no way over other rooms leads to the same place:
`lift` imports `io` too, but reaches it through `label`. A test holds the committed picture against the imports.
"""

import ast
from functools import cache
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"
# Rooms that know Ray or MLflow; `tests/test_layers.py` holds them to it.
FLOOR_2 = frozenset(
    (
        *(
            "label",
            "lift",
            "evaluate",
            "evaluate_detector",
            "curate",
            "embed",
            "align",
            "import_poses",
            "lineage",
            "register",
            "serve",
        ),
        *("train", "train_aligner", "train_detector", "training", "triangulate", "tune", "kubernetes"),
        *("mlflow_runs", "ray_cluster"),
    )
)
# Pixels.
WIDTH, ROW, BOX_WIDTH, BOX_HEIGHT, MARGIN = 1215, 84, 124, 34, 20
# Places for rooms in a row, and how long the search for good places goes on.
COLUMNS, STARTS, MOVES = 9, 12, 1500
STYLE = """
  text { font: 13px ui-sans-serif, system-ui, sans-serif; text-anchor: middle; fill: #1b2430 }
  .aside { font-size: 12px; fill: #66707c }
  .box { stroke-width: 1.2; rx: 7 }
  .jobs { fill: #f3e8ff; stroke: #9061c2 } .two { fill: #e3efff; stroke: #4a86c9 }
  .one { fill: #e8f6ec; stroke: #58a06f } .zero { fill: #fff4dc; stroke: #c39a3f }
  .arrow { fill: none; stroke: #8a94a0; stroke-width: 1.1; opacity: .75 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e8edf2 } .aside { fill: #9aa5b1 } .arrow { stroke: #7d8894 }
    .jobs { fill: #3a2a52 } .two { fill: #1f3552 } .one { fill: #1f3d2b } .zero { fill: #463a1c }
  }
"""


def imported_rooms(room: str) -> set[str]:
    """The rooms that the files of a room import, in functions too."""
    rooms = set()
    for file in (ROOT / "pipelines" / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pipelines."):
                rooms.add(str(node.module).split(".")[1])
            elif isinstance(node, ast.ImportFrom) and node.module == "pipelines":
                rooms |= {alias.name for alias in node.names}
    return {name for name in rooms - {room} if (ROOT / "pipelines" / name).is_dir()}


def rooms() -> dict[str, set[str]]:
    """Every room with the rooms that it imports."""
    folders = sorted(file.parent.name for file in (ROOT / "pipelines").glob("*/__init__.py"))
    return {room: imported_rooms(room) for room in folders}


def without_detours(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """The arrows that no way over other rooms replaces (the transitive reduction)."""

    @cache
    def reachable(room: str) -> frozenset[str]:
        return frozenset(arrows[room]).union(*(reachable(other) for other in arrows[room]))

    return {
        room: {other for other in others if not any(other in reachable(between) for between in others)}
        for room, others in arrows.items()
    }


def rows(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Rooms by their height above the ground, the lowest first; rooms of floor 2 stand above those of floor 1."""

    @cache
    def height(room: str) -> int:
        below = [height(other) for other in arrows[room]]
        return max([*below, -1]) + 1

    floors = []
    for two in (False, True):
        floor: dict[int, list[str]] = {}
        for room in arrows:
            if (room in FLOOR_2) == two:
                floor.setdefault(height(room), []).append(room)
        floors += [floor[level] for level in sorted(floor)]
    return floors


def places(arrows: dict[str, set[str]]) -> dict[str, tuple[float, float]]:
    """The middle of each room's upper edge, chosen so that arrows are short and pass behind few boxes.

    Each row has `COLUMNS` places. A search with a fixed seed moves rooms within their rows as long as that helps.
    """
    lines = rows(arrows)
    row_of = {room: number for number, line in enumerate(lines) for room in line}
    random = Random(0)
    best: tuple[float, dict[str, int]] | None = None
    for _ in range(STARTS):
        column = {
            room: place
            for line in lines
            for room, place in zip(line, random.sample(range(COLUMNS), len(line)), strict=True)
        }
        cost = untidiness(arrows, row_of, column)
        for _ in range(MOVES):
            room, target = random.choice(list(column)), random.randrange(COLUMNS)
            moved = column | {room: target}
            for other in lines[row_of[room]]:
                if other != room and column[other] == target:
                    moved[other] = column[room]
            if (after := untidiness(arrows, row_of, moved)) <= cost:
                column, cost = moved, after
        if best is None or cost < best[0]:
            best = cost, column
    assert best is not None
    # Above the rows there is jobs/, below them schemas/.
    top = MARGIN + ROW
    step = WIDTH / COLUMNS
    return {
        room: (step * (place + 0.5), top + ROW * (len(lines) - 1 - row_of[room])) for room, place in best[1].items()
    }


def untidiness(arrows: dict[str, set[str]], row_of: dict[str, int], column: dict[str, int]) -> float:
    """The length of all arrows, in columns, and much more for each box that one passes behind."""
    boxes = {(row_of[room], place) for room, place in column.items()}
    total = 0.0
    for room, others in arrows.items():
        for other in others:
            start, end = column[room], column[other]
            total += abs(start - end)
            between = row_of[room] - row_of[other]
            for step in range(1, between):
                x = start + (end - start) * smooth(step / between)
                total += 6 * sum((row_of[room] - step, near) in boxes for near in (int(x + 0.55), int(x + 0.45)))
    return total


def smooth(share: float) -> float:
    """How far to the side an arrow has come after this share of its way down, see `draw`."""
    t = share
    for _ in range(8):
        # The curve's height at t is 1.5 t (1 - t)² + 1.5 t² (1 - t) + t³; Newton's method finds the t of a height.
        t -= (1.5 * t * (1 - t) + t**3 - share) / max(1.5 - 3 * t + 3 * t**2, 0.1)
    return 3 * t**2 - 2 * t**3


def box(label: str, kind: str, x: float, y: float, width: float = BOX_WIDTH) -> str:
    """A room."""
    corner = f'x="{x - width / 2:.0f}" y="{y:.0f}"'
    return (
        f'<rect class="box {kind}" {corner} width="{width:.0f}" height="{BOX_HEIGHT}"/>'
        f'<text x="{x:.0f}" y="{y + BOX_HEIGHT / 2 + 4.5:.0f}">{label}</text>'
    )


def draw() -> str:
    """The picture."""
    arrows = without_detours(rooms())
    at = places(arrows)
    bottom = max(y for _, y in at.values()) + ROW
    height = bottom + BOX_HEIGHT + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        'aria-label="The rooms of pipelines/ and who imports whom">',
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0.8 L7,4 L0,7.2" fill="none" stroke="#8a94a0" stroke-width="1.2"/></marker></defs>',
    ]
    for room, others in arrows.items():
        for other in sorted(others):
            (x, y), (to_x, to_y) = at[room], at[other]
            start, end = y + BOX_HEIGHT, to_y - 2
            bend = (end - start) / 2
            path = f"M{x:.0f},{start:.0f} C{x:.0f},{start + bend:.0f} {to_x:.0f},{end - bend:.0f} {to_x:.0f},{end:.0f}"
            parts.append(f'<path class="arrow" data-arrow="{room} {other}" marker-end="url(#tip)" d="{path}"/>')
    middle, wide = WIDTH / 2, WIDTH - 2 * MARGIN
    parts.append(box("jobs/ — entry points: one short file a job", "jobs", middle, MARGIN, wide))
    parts += [box(room, "two" if room in FLOOR_2 else "one", x, y) for room, (x, y) in at.items()]
    parts.append(
        box("schemas/ — configs of jobs, formats on disk, joint layouts, cameras", "zero", middle, bottom, wide)
    )
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")

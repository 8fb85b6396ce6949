"""Draws a lineage as SVG: the origins on the left, and what was made from them on the right."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from itertools import pairwise
from statistics import mean

from pipelines.io.secrets import printable
from pipelines.lineage.trace import Lineage, Node

# Sizes of a box, and the space between boxes, px.
_WIDTH, _HEIGHT, _ACROSS, _DOWN, _MARGIN, _HEAD = 236, 58, 60, 16, 28, 46
# A line of this many characters fits into a box.
_LETTERS = 31
# At most this many boxes of one kind are drawn beside each other for one origin; one more box counts the others.
_MOST = 10
_SWEEPS = 12
_COLOURS = {
    **{"videos": "#64748b", "video": "#64748b", "file": "#94a3b8", "tracks": "#0f8b8d", "run": "#475569"},
    **{"model": "#d97706", "scores": "#7c5cbf", "poses": "#3f8f3f", "embeddings": "#3f8f3f", "alignment": "#3f8f3f"},
}
_STYLE = (
    "text{font-family:system-ui,'Segoe UI','DejaVu Sans',sans-serif;fill:#1e293b}"
    ".kind{font-size:10px;letter-spacing:.06em;font-weight:600}.name{font-size:12.5px}"
    ".note{font-size:10.5px;fill:#64748b}.head{font-size:15px;font-weight:600}"
    ".edge{fill:none;stroke:#94a3b8;stroke-width:1.4}.box{fill:#fff;stroke:#cbd5e1}.asked{stroke:#1e293b;stroke-width:2}"
)

# A thing is identified by its kind and name; a point is a place in the picture, px.
_Key = tuple[str, str]
_Point = tuple[float, float]


@dataclass
class _Graph:
    """The things of both trees, each of them once.

    Attributes:
        things: The things by kind and name, without their children.
        edges: Pairs of keys: what something was made from, and it.
    """

    things: dict[_Key, Node] = field(default_factory=dict)
    edges: dict[tuple[_Key, _Key], None] = field(default_factory=dict)

    def add(self, nodes: Sequence[Node], of: _Key, forwards: bool) -> None:
        """Add the origins of a thing, or what was made of it."""
        for node in _folded(nodes, of):
            key = node.kind, node.name
            known = self.things.setdefault(key, node)
            if node.note not in known.note:
                # Tracks may be read for several purposes, so notes are joined.
                self.things[key] = replace(known, note="; ".join(filter(None, (known.note, node.note))))
            if key != of:
                self.edges[(of, key) if forwards else (key, of)] = None
            self.add(node.children, key, forwards)


def draw(lineage: Lineage) -> str:
    """The picture of a lineage, an SVG document; whole addresses and runs appear under the mouse pointer."""
    of = printable(lineage.of)  # browsers show no SVG that holds a control character
    graph, centre = _Graph(), (lineage.kind, of)
    graph.things[centre] = Node(lineage.kind, of)
    graph.add([*map(_printable, lineage.made_from)], centre, forwards=False)
    graph.add([*map(_printable, lineage.made_with)], centre, forwards=True)
    places, lines = _layout(graph)
    width = max(x for x, _ in places.values()) + _WIDTH + _MARGIN
    bottom = max(y for _, y in places.values()) + _HEIGHT + _MARGIN
    notes = [f"note: {printable(note)}" for note in lineage.notes]
    height = bottom + 18 * len(notes)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
            f'height="{height:.0f}" role="img" aria-label="Lineage of {escape(of, quote=True)}">',
            f"<style>{_STYLE}</style>",
            '<rect width="100%" height="100%" fill="#f8fafc"/>',
            f'<text class="head" x="{_MARGIN}" y="30">Lineage of {escape(_short(of, 80))}</text>',
            *map(_edge, lines),
            *(_box(node, places[key], key == centre) for key, node in graph.things.items()),
            *(
                f'<text class="note" x="{_MARGIN}" y="{bottom + 18 * number:.0f}">{escape(note)}</text>'
                for number, note in enumerate(notes)
            ),
            "</svg>",
            "",
        ]
    )


def _printable(node: Node) -> Node:
    """The node with control characters of its texts, and of those below it, as their escapes."""
    children = tuple(map(_printable, node.children))
    run_id = None if node.run_id is None else printable(node.run_id)
    return replace(node, name=printable(node.name), note=printable(node.note), run_id=run_id, children=children)


def _folded(nodes: Sequence[Node], of: _Key) -> Iterator[Node]:
    """The nodes; of a kind with very many, only the first ones, and one more that counts the others."""
    by_kind: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        by_kind[node.kind].append(node)
    for kind, alike in by_kind.items():
        leaves = [node for node in alike if not node.children]
        shown = leaves if len(leaves) <= _MOST + 1 else leaves[:_MOST]
        yield from (node for node in alike if node.children)
        yield from shown
        if left := len(leaves) - len(shown):
            yield Node(kind, f"{left:,} more of {_short(of[1], 18)}")


def _columns(graph: _Graph) -> dict[_Key, int]:
    """The column of each thing: right of its origins, and near what was made from it."""
    column = dict.fromkeys(graph.things, 0)
    for _ in graph.things:  # finds the longest path, and ends even for cycles, which no job makes
        for first, second in graph.edges:
            column[second] = max(column[second], column[first] + 1)
    for key in sorted(graph.things, key=lambda key: -column[key]):
        later = [column[second] for first, second in graph.edges if first == key]
        column[key] = max(column[key], min(later, default=1) - 1)
    return column


def _layout(graph: _Graph) -> tuple[dict[_Key, _Point], list[list[_Point]]]:
    """Where things and edges are, px.

    Returns:
        The upper left corner of each box, and for each edge the points that it goes through, boxes left out.
    """
    column, ways = _columns(graph), []
    for number, (first, second) in enumerate(graph.edges):
        # An edge reserves a place in each column that it crosses, so that no box hides it.
        crossed = [("edge", f"{number} {at}") for at in range(column[first] + 1, column[second])]
        column |= {key: column[first] + 1 + at for at, key in enumerate(crossed)}
        ways.append([first, *crossed, second])
    beside: dict[_Key, list[_Key]] = defaultdict(list)
    for first, second in (pair for way in ways for pair in pairwise(way)):
        beside[first].append(second)
        beside[second].append(first)
    columns: dict[int, list[_Key]] = defaultdict(list)
    for key, number in column.items():
        columns[number].append(key)
    y = {key: float(row * _HEIGHT) for keys in columns.values() for row, key in enumerate(keys)}
    for sweep in range(_SWEEPS):
        for number in sorted(columns, reverse=bool(sweep % 2)):
            wanted = {
                key: mean(y[other] for other in beside[key]) if beside[key] else y[key] for key in columns[number]
            }
            columns[number].sort(key=lambda key: wanted[key])
            y |= _spread(columns[number], wanted)
    top = min(y[key] - _height(key) / 2 for key in y)
    middle = {key: (_MARGIN + column[key] * (_WIDTH + _ACROSS), _MARGIN + _HEAD + y[key] - top) for key in column}
    lines = [[point for key in way for point in _ends(middle[key], key, key == way[0], key == way[-1])] for way in ways]
    return {key: (middle[key][0], middle[key][1] - _HEIGHT / 2) for key in graph.things}, lines


def _ends(place: _Point, key: _Key, is_first: bool, is_last: bool) -> Iterator[_Point]:
    """The points of an edge in a column: at the right or the left of a box, or all the way across."""
    if not is_first:
        yield place
    if not is_last:
        yield place[0] + _WIDTH, place[1]


def _height(key: _Key) -> float:
    return _HEIGHT if key[0] != "edge" else 0


def _spread(keys: Sequence[_Key], wanted: Mapping[_Key, float]) -> dict[_Key, float]:
    """The middles of the things of a column, px: as near to the wanted places as possible without overlap."""
    # Groups of touching things: the things, the place that the group's first one wants, and the height of the group.
    groups: list[tuple[list[_Key], float, float]] = []
    for key in keys:
        room = _height(key) + _DOWN
        group, at, height = [key], wanted[key] - room / 2, room
        while groups and groups[-1][1] + groups[-1][2] > at:
            before, above, taller = groups.pop()
            at = (above * len(before) + (at - taller) * len(group)) / (len(before) + len(group))
            group, height = before + group, taller + height
        groups.append((group, at, height))
    y: dict[_Key, float] = {}
    for group, at, _ in groups:
        for key in group:
            y[key] = at + (_height(key) + _DOWN) / 2
            at += _height(key) + _DOWN
    return y


def _edge(points: Sequence[_Point]) -> str:
    (x, y), (last_x, last_y) = points[0], points[-1]
    path = [f"M{x:.0f},{y:.0f}"]
    for (x1, y1), (x2, y2) in pairwise([*points[:-1], (last_x - 5, last_y)]):
        bend = _ACROSS / 2 if y1 != y2 else 0
        path.append(f"C{x1 + bend:.0f},{y1:.0f} {x2 - bend:.0f},{y2:.0f} {x2:.0f},{y2:.0f}")
    tip = f"M{last_x - 6:.0f},{last_y - 4:.0f} L{last_x:.0f},{last_y:.0f} L{last_x - 6:.0f},{last_y + 4:.0f} Z"
    return f'<path class="edge" d="{" ".join(path)}"/><path d="{tip}" fill="#94a3b8"/>'


def _box(node: Node, place: _Point, asked: bool) -> str:
    x, y = place
    run = f"run {node.run_id}" if node.run_id else ""
    colour, whole = _COLOURS[node.kind], escape("\n".join(filter(None, (node.name, node.note, run))))
    lines = [("kind", node.kind.upper(), 17), ("name", _short(node.name, _LETTERS), 34), ("note", node.note, 50)]
    texts = "".join(
        f'<text class="{style}" x="{x + 14:.0f}" y="{y + down:.0f}"{colours}>{escape(_short(text, 40))}</text>'
        for style, text, down in lines
        for colours in [f' style="fill:{colour}"' if style == "kind" else ""]
    )
    shape = f'x="{x:.0f}" y="{y:.0f}" height="{_HEIGHT}" rx="5"'
    return (
        f'<g><title>{whole}</title><rect class="box{" asked" * asked}" width="{_WIDTH}" {shape}/>'
        f'<rect width="5" fill="{colour}" {shape}/>{texts}</g>'
    )


def _short(text: str, letters: int) -> str:
    """The end of a long address, where names differ; of other long texts the beginning."""
    if len(text) <= letters:
        return text
    if "/" not in text:
        return f"{text[: letters - 1]}…"
    parts = text.rstrip("/").split("/")
    kept = parts[-1]
    for part in parts[-2::-1]:
        if len(part) + len(kept) + 3 > letters:
            break
        kept = f"{part}/{kept}"
    return f"…/{kept}" if len(kept) + 2 <= letters else f"…{kept[1 - letters :]}"

"""The text on the page of a registered version: what the lifter reads and predicts, and how good it is."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.register.gate import HIGHER_IS_BETTER, Outcome
from pipelines.register.source import Source

PICTURE = "poses.png"


def describe(
    source: Source, lineage: Mapping[str, Any], outcome: Outcome | None = None, run_id: str | None = None
) -> str:
    """A description in Markdown, which MLflow's web interface shows.

    Args:
        source: What is registered.
        lineage: Its origin, as `lineage_of` gives it.
        outcome: What came of the gate; None if it was not asked.
        run_id: The run that holds a picture of poses, `PICTURE`; None if there is none.
    """
    sentence = f"{source.kind.sentence(source.card)} Registered from `{source.fetched.name}`."
    rows = [*_properties(source, lineage), *(_gate(outcome) if outcome else ())]
    table = ["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows)]
    notes = [f"Note: {note}." for note in lineage["notes"]]
    # MLflow's server gives artifacts of runs at this address, relative to its page of a version.
    shown = f"![poses of a track of the test, labels in grey](get-artifact?path={PICTURE}&run_uuid={run_id})"
    return "\n\n".join([sentence, "\n".join(table), *notes, *([shown] if run_id else [])])


def _properties(source: Source, lineage: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    card = source.card
    yield from source.kind.properties(source.model, card)
    for entry in lineage["tracks"]:
        yield f"trained on, {entry['role']}", f"`{entry['uri']}`" + (", out of reach" if "error" in entry else "")
    for read in lineage["datasets"]:
        yield f"read for {read['context']}", f"{read['name']}, dataset digest {read['digest']}"
    if card.subjects:
        yield "trained on people", ", ".join(card.subjects)
    if (parent := card.lineage.get("parent")) is not None:
        yield "began with", f"`{parent}`"
    if (validation := source.kind.validation(source.training or {})) is not None:
        yield "validation", f"{validation} on people held out, by which its epoch was chosen"


def _gate(outcome: Outcome) -> Iterator[tuple[str, str]]:
    if outcome.value is not None and outcome.data is not None:
        chosen = [name for kind in ("subjects", "actions", "cameras") for name in outcome.data[kind] or ()]
        where = f" of {', '.join(chosen)}" if chosen else ""
        digest = outcome.data["dataset_digest"]
        yield "scored", f"{outcome.metric} {outcome.value:.2f} on tracks{where}, dataset digest {digest}"
        if outcome.holder_value is not None:
            gain = outcome.holder_value - outcome.value
            gain = -gain if outcome.metric in HIGHER_IS_BETTER else gain
            which = f"{gain:.2f} better" if gain > 0 else f"{-gain:.2f} worse" if gain < 0 else "as good"
            yield "compared", f"{which} than {outcome.holder}, then the {outcome.alias}"
    for requirement in outcome.requirements:
        met, digest = "met" if requirement.met else "not met", requirement.dataset_digest
        yield "condition", f"{requirement.condition}: {requirement.value:.2f}, {met}, dataset digest {digest}"
    yield (
        outcome.alias,
        {"passed": "promoted", "kept": "promoted", "forced": "promoted by force", "refused": "refused"}[
            outcome.verdict
        ],
    )

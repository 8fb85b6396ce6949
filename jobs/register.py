"""Register a lifter or aligner as a version of an MLflow model, and promote it if it is no worse than the champion.

raylift register model=out/lifter/best.pt name=lifter
raylift register model=out/lifter/best.pt name=lifter promote=champion data=out/mocap/tracks subjects=[S7]
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("register"))

from typing import Any

from jobs.command_line.terminal import Terminal
from jobs.evaluate import progress_bar
from pipelines.mlflow_runs import runs, tracking_server
from pipelines.register import run
from pipelines.register.gate import Listener
from schemas.configs.register import RegisterConfig
from schemas.frame_window import frames_read

# The command that uses a registered model; {} is the model's address.
USES = {
    "lifter": "raylift lift model={} tracks=… output=…",
    "aligner": "raylift align aligner={} tracks=… reference=… output=…",
}


def main(config: RegisterConfig) -> int:
    """Register it and promote it if asked to; returns 1 if the gate refuses it."""
    job = run.prepare(config)  # reports mistakes before anything is written
    work = run.survey(job)
    errors = Terminal(stderr=True)
    listener = Listener(lambda line: errors.print(f"register: {line}"), progress_bar)
    tracking_server.connect(registry=True)  # it goes nowhere without
    with runs.record("register", config) as record:
        report = run.execute(job, work, listener, record)
    show(report)
    return int(report["gate"] is not None and report["gate"]["verdict"] == "refused")


def show(report: dict[str, Any]) -> None:
    """Print the summary."""
    card, training, lineage = report["card"], report["training"] or {}, report["lineage"]
    trained = f"run {card['lineage']['run_id']}" if "run_id" in card["lineage"] else "not by raylift"
    named = [report["alias"]] if report["alias"] else []
    if (gate := report["gate"]) is not None and gate["verdict"] != "refused":
        named.append(gate["alias"])
    rows = [
        ("version", f"{report['model']}, " + ("new" if report["new"] else "registered before")),
        ("alias", ", ".join(named) or "none given"),
        (report["kind"], lifter_line(card) if report["kind"] == "lifter" else aligner_line(card)),
        ("trained", trained + held_out_part(training)),
        *(("tracks", track_line(entry)) for entry in lineage["tracks"][:4]),
        *(("note", note) for note in lineage["notes"]),
        *(("gate", line) for line in gate_lines(report)),
    ]
    use = f"models:/{report['name']}@{named[-1]}" if named else report["model"]
    rows += [
        ("use", USES[report["kind"]].format(use)),
        ("", f"mlflow models serve -m {use} --env-manager local"),
    ]
    console = Terminal()
    for name, value in rows:
        console.print(f"{name:<9}{value}")


def lifter_line(card: dict[str, Any]) -> str:
    """Describe a lifter."""
    return (
        f"{card['lifter']} of {frames_read(card)} frames at {card['fps']:g} frames/s, {card['input_layout']} "
        f"→ {card['output_layout']}, {'with' if card['trajectory'] else 'without'} a trajectory"
    )


def aligner_line(card: dict[str, Any]) -> str:
    """Describe an aligner."""
    return f"{card['aligner']}, trained on pairs of one {card['pairs']}"


def held_out_part(training: dict[str, Any]) -> str:
    """How good a model was on people held out."""
    if (error_mm := training.get("best_validation_mpjpe_mm")) is not None:
        return f", {error_mm:.1f} mm held out"
    tau = training.get("best_kendalls_tau")
    return "" if tau is None else f", Kendall's tau {tau:.3f} held out"


def track_line(entry: dict[str, Any]) -> str:
    """Describe a folder of tracks that the training read, and the job that wrote it."""
    if "error" in entry:
        return f"{entry['role']}, {entry['uri']}: out of reach"
    by = f", written by {entry['job']}" if "job" in entry else ""
    by += f", run {entry['run_id']}" if "run_id" in entry else ""
    return f"{entry['role']}, {entry['uri']}: {entry['digest']}{by}"


def gate_lines(report: dict[str, Any]) -> list[str]:
    """Describe the comparison: the scores and the verdict."""
    gate = report["gate"]
    if gate is None:
        return []
    if gate["verdict"] == "kept":
        return [f"version {report['version']} is the {gate['alias']} already: nothing to compare"]
    lines = []
    if gate["data"] is not None:
        data = gate["data"]
        where = data["uri"] if isinstance(data["uri"], str) else ", ".join(data["uri"])
        chosen = ", ".join(name for kind in ("subjects", "actions", "cameras") for name in data[kind] or ())
        lines.append(f"{gate['metric']} on {where}" + (f" ({chosen})" if chosen else "") + f", {data['digest']}")
    if gate["value"] is not None:
        other = (
            "" if gate["holder_value"] is None else f", {gate['holder']} ({gate['alias']}) {gate['holder_value']:.2f}"
        )
        lines.append(f"{report['model']} {gate['value']:.2f}{other}")
    lines += [
        f"{each['condition']}: {each['value']:.2f}, {'met' if each['met'] else 'not met'}"
        for each in gate["requirements"]
    ]
    lines += [gate["note"]] if gate["note"] else []
    verdicts = {
        "passed": "no worse" if gate["holder"] else "the first one",
        "forced": "promoted anyway because of force=true, which is recorded",
        "refused": f"{_why_refused(gate)}: not promoted, exit code 1; force=true overrules",
    }
    return [*lines, verdicts[gate["verdict"]]]


def _why_refused(gate: dict[str, Any]) -> str:
    return "worse" if all(each["met"] for each in gate["requirements"]) else "a condition is not met"

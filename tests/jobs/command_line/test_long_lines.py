"""Messages about huge values fit on a screen."""

from jobs.command_line.main import run_job


def test_a_message_with_a_huge_value_keeps_its_beginning_and_its_end(capsys):
    assert run_job("import_lifter", [f"model={'x' * 100_000}", "input_layout=coco17", "output=lifter.pt"]) == 2
    line = capsys.readouterr().err
    assert len(line) < 10_000
    assert line.startswith("import_lifter: ")
    assert "xxx … xxx" in line
    assert line.endswith("give the path of a lifter\n")

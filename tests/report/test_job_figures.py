"""What a training and an evaluation come to, as pictures that can be opened; what shows nothing is not drawn."""

import io

import PIL.Image
import pytest

from pipelines.report.job_figures import evaluation_figures, training_figures

NAMES = {"mpjpe_mm": "MPJPE"}


def epoch(number, validation, **losses):
    return {"epoch": number, "loss": losses, "validation": validation}


@pytest.mark.parametrize(
    ("history", "files"),
    [
        ([epoch(1, {"mpjpe_mm": 60.0}, total=1.0), epoch(2, {"mpjpe_mm": 50.0}, total=0.5, bones=0.1)], 2),
        ([epoch(1, {}, total=0.0), epoch(2, {}, total=-1.0)], 1),
        ([epoch(1, {"pck_150mm": 60.0}, total=float("nan"))], 1),
    ],
)
def test_curves_of_a_training(history, files):
    drawn = training_figures(history, NAMES, "mm", 2)
    assert sorted(drawn) == ["held_out.png", "losses.png"][-files:]
    for content in drawn.values():
        assert PIL.Image.open(io.BytesIO(content)).width > 600


def test_errors_of_an_evaluation():
    assert evaluation_figures({}, {}) == {}, "nobody has labels"
    few, many = ({f"action {n}": float(n) for n in range(count)} for count in (3, 500))
    drawn = evaluation_figures({"left knee": 40.0}, few)
    assert sorted(drawn) == ["actions.png", "joints.png"]
    images = [PIL.Image.open(io.BytesIO(files["actions.png"])) for files in (drawn, evaluation_figures({}, many))]
    assert images[0].height < images[1].height < 1200


def test_names_are_drawn_letter_by_letter():
    """Between two $ matplotlib reads a formula, and raises an error if it is none."""
    names = ("$\\frac$", "\\$ $", "$^$ <b>", "\x1b[2J\n" * 50, "x" * 10_000)
    for name in names:
        (content,) = evaluation_figures({name: 1.0}, {}).values()
        assert PIL.Image.open(io.BytesIO(content)).height < 300
        epochs = [epoch(number, {"validation/mm": 1.0}) for number in (1, 2)]
        assert training_figures(epochs, {"mm": name}, "mm", 1)

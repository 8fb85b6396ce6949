"""Where a detector sees joints, as fit_noise has written it."""

import pytest
import yaml

from jobs.command_line.recipes import recipe_path
from pipelines.triangulate.joint_places import read_places
from schemas.errors import UserError


def test_a_recipe_of_fit_noise_is_read(tmp_path):
    errors = {"hip": {"outwards": 0.1, "along": 0.2, "slow": 0.01}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({"data": {"world": {"errors": errors}}}))
    places = read_places(str(tmp_path / "recipe.yaml"))
    assert (places["hip"], places["knee"]) == ({"outwards": 0.1, "along": 0.2}, {"outwards": 0, "along": 0})


def test_the_recipe_that_comes_with_raylift_is_read():
    assert read_places(str(recipe_path("errors_blazepose")))["ankle"]["along"] == 0.0473


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file; give a recipe that fit_noise has written"),
        (b"epochs: 3", "is no recipe of fit_noise"),
        (b"[1, 2]", "is no recipe of fit_noise"),
        (b"data: {world: {errors: {hip: {outwards: far}}}}", "is no recipe of fit_noise"),
        (b"data: {", "is no recipe of fit_noise"),
        (b"\xff\xfe\x00", "is no recipe of fit_noise"),
    ],
)
def test_another_file_is_one_line(tmp_path, content, message):
    file = tmp_path / "recipe.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=f"^joint_map={file}: {message}") as error:
        read_places(str(file))
    assert "\n" not in str(error.value)

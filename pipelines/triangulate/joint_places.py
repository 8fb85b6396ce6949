"""Reads where a detector sees joints relative to those of motion capture, as `fit_noise` has measured it.

A detector's hips, ankles and wrists are those that annotators have clicked, some centimetres from the joints' centres.
"""

import yaml
from pydantic import ValidationError

from pipelines.io import storage
from schemas.configs.made_views import PARTS, DetectorErrorsConfig
from schemas.errors import UserError
from schemas.plain_yaml import load_plain


def read_places(recipe: str) -> dict[str, dict[str, float]]:
    """The joint map in a recipe of `fit_noise`: the fields of a `DetectorErrorsConfig` that describe it.

    Args:
        recipe: Its address.

    Raises:
        UserError: The recipe cannot be read, or contains no errors of a detector.
    """
    try:
        document = load_plain(storage.read_bytes(recipe))
        errors = DetectorErrorsConfig.model_validate(document["data"]["world"]["errors"])
    except FileNotFoundError:
        raise UserError(
            f"joint_map={recipe}: there is no such file; give a recipe that fit_noise has written"
        ) from None
    except (yaml.YAMLError, KeyError, TypeError, ValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"joint_map={recipe}: is no recipe of fit_noise ({reason}); it needs data.world.errors"
        ) from None
    return errors.model_dump(include={part: {"outwards", "along"} for part in PARTS})

"""Where the detector of some tracks sees joints, from where motion capture has them, as `fit_noise` has measured it.

A detector's hips, ankles and wrists are those that annotators have clicked, some centimetres from the joints' centres.
"""

import yaml
from pydantic import ValidationError

from pipelines.io import storage
from schemas.configs.made_views import PARTS, DetectorErrorsConfig
from schemas.errors import UserError
from schemas.plain_yaml import load_plain


def read_places(recipe: str) -> dict[str, dict[str, float]]:
    """What a recipe of `fit_noise` says of the places: the fields of a `DetectorErrorsConfig` that tell them.

    Args:
        recipe: Its address.

    Raises:
        UserError: It cannot be read, or says nothing of a detector's errors.
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

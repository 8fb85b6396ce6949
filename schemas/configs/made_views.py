"""What is drawn of motion alone in training: other bodies, cameras, and the errors of a detector."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from schemas.job_config import JobConfig
from schemas.ranges import ASCENDING, PositiveRange
from schemas.text_form import Factor

FieldOfView = Annotated[float, Field(gt=0, lt=180)]
Elevation = Annotated[float, Field(gt=-90, lt=90)]
NotNegative = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]

# The joints of the limbs, named without their side.
PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")


class JointErrorsConfig(JobConfig):
    """Errors of a detector at one kind of joint, left and right alike.

    The errors are standard deviations along each axis of the picture, as shares of the stature as it is seen.
    """

    offset: NotNegative = 0.006
    """Error that is constant over a window."""

    slow: NotNegative = 0.006
    """Error that changes slowly."""

    white: NotNegative = 0.003
    """Error that is independent in each frame."""

    outliers: Probability = 0.03
    """Share of the windows in which the joint is grossly wrong."""

    outlier_size: NotNegative = 0.06
    """Error that is constant over such a window."""

    outwards: float = 0.0
    """How far from the joint of motion capture the detector sees it, away from the same joint of the other side, as a
    share of the distance between the two."""

    along: float = 0.0
    """How far from the joint of motion capture the detector sees it, towards the joint before it (of an ankle the knee,
    of a knee or a shoulder the hip, of a hip or an elbow the shoulder, of a wrist the elbow), as a share of the
    distance between the two."""


class DetectorErrorsConfig(JobConfig):
    """Errors of a keypoint detector; the fit_noise job measures them.

    The defaults follow measurements of BlazePose on real people (docs/method.md, made errors).
    """

    shoulder: JointErrorsConfig = JointErrorsConfig(offset=0.011, slow=0.0085)
    """Errors at the shoulders."""

    elbow: JointErrorsConfig = JointErrorsConfig(offset=0.011, slow=0.0105)
    """Errors at the elbows."""

    wrist: JointErrorsConfig = JointErrorsConfig(offset=0.0085, slow=0.0135)
    """Errors at the wrists."""

    hip: JointErrorsConfig = JointErrorsConfig(offset=0.013, slow=0.0085)
    """Errors at the hips."""

    knee: JointErrorsConfig = JointErrorsConfig(offset=0.011, slow=0.0105)
    """Errors at the knees."""

    ankle: JointErrorsConfig = JointErrorsConfig(offset=0.0065, slow=0.007)
    """Errors at the ankles."""

    other: JointErrorsConfig = JointErrorsConfig()
    """Errors at all other joints."""

    slow_s: float = Field(default=0.45, gt=0)
    """Time constant of the slow error, seconds."""

    shared: Probability = 1 / 3
    """Share of the variance of the slow error that all joints of a person have in common."""

    level_sd: NotNegative = 0.4
    """Standard deviation of the logarithm of how large the slow and the white errors of a window are."""

    swapped: Probability = 0.5
    """Share of the windows in which left and right are exchanged for some frames: of the body, the arms or the legs."""

    missing: Probability = 0.2
    """Share of the windows in which joints are missing: those beyond an edge of the picture, a limb, or some frames."""

    @model_validator(mode="before")
    @classmethod
    def _over_defaults(cls, values: Any) -> Any:
        """Errors that are given for a joint in part keep that joint's defaults for the rest."""
        if not isinstance(values, dict):
            return values
        defaults = {part: cls.model_fields[part].default.model_dump() for part in values if part in (*PARTS, "other")}
        return values | {
            part: default | values[part] for part, default in defaults.items() if isinstance(values[part], dict)
        }

    def of(self, joint: str) -> JointErrorsConfig:
        """The errors at a joint, by the body part in its name."""
        return next((getattr(self, part) for part in PARTS if part in joint), self.other)


class MadeViewsConfig(JobConfig):
    """Made views of the labeled motion: other bodies, cameras and errors of a detector in every step.

    The tracks' own keypoints are not used. Lengths are shares of the person's stature, seen from the camera.
    """

    enabled: bool = False
    """Train on made views instead of the labeled tracks' own cameras and keypoints."""

    samples_per_epoch: int = Field(default=102_400, ge=1)
    """Samples that count as an epoch."""

    diversity: bool = True
    """Choose rare poses more often: each frame with the inverse square root of the number of frames like it."""

    subject_weights: tuple[Factor, ...] = ()
    """How often to choose frames of subjects, relative to others, by name or pattern: [S60=0.5, REACTIDLE_*=0.1]."""

    speed: PositiveRange = (0.6, 1.4)
    """Least and greatest speed of the motion, relative to the recording."""

    bone_sd: float = Field(default=0.08, ge=0)
    """Standard deviation of the logarithm of a bone's length; left and right bones are alike."""

    stature_sd: float = Field(default=0.06, ge=0)
    """Standard deviation of the logarithm of the stature."""

    distance_m: PositiveRange = (1.5, 9.0)
    """Least and greatest distance of the camera, m; near ones are as frequent as far ones by their logarithm."""

    elevation_deg: Annotated[tuple[Elevation, Elevation], ASCENDING] = (-15.0, 60.0)
    """Least and greatest elevation of the camera over the person, degrees; low ones are more frequent."""

    roll_sd_deg: float = Field(default=5.0, ge=0)
    """Standard deviation of the camera's roll, degrees."""

    fov_deg: Annotated[tuple[FieldOfView, FieldOfView], ASCENDING] = (35.0, 90.0)
    """Least and greatest field of view along the longer side of the picture, degrees."""

    errors: DetectorErrorsConfig = DetectorErrorsConfig()
    """Errors of the detector."""

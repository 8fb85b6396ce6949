"""Any config comes back from the command line that says it, whatever the order of its fields."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.command_line.arguments import read_config
from schemas.configs.label import LabelConfig
from schemas.configs.train import TrainConfig

# Without what YAML takes for a line break or refuses unless it is escaped.
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cn", "Co", "Cs", "Zl", "Zp"]), min_size=1)
# Absolute ones come back as they are; others are made absolute when they are read.
ADDRESS = st.text(st.characters(categories=["L", "N"], include_characters=" -_'\"{}[],&!|>"), min_size=1).map(
    "/corpus/{}".format
)
POSITIVE = st.floats(1e-12, 1e12)

LABEL = {
    "videos": ADDRESS | st.lists(ADDRESS, min_size=1, max_size=3),
    "output": ADDRESS,
    "max_failed": st.none() | st.integers(0, 10**12),
    "assumed_fov_deg": st.none() | st.floats(1, 179),
    "decode.max_side": st.integers(64, 10_000),
    "decode.timeout_s": POSITIVE,
    "detector.tiles": st.integers(1, 4),
    "link.max_gap_s": st.floats(0, 10),
}
TRAIN = {
    "labeled": ADDRESS,
    "output": ADDRESS,
    "data.validation_subjects": st.lists(TEXT, max_size=3, unique=True),
    "lifter.filter_widths": st.lists(st.sampled_from([1, 3, 5]), min_size=1, max_size=4),
    "lifter.causal": st.booleans(),
    "optimization.learning_rate": st.floats(1e-12, 1.0),
    "optimization.seed": st.integers(0, 2**31),
}


def leaves(value, path=""):
    """Every value of a config that is no group of others, with its path."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path, value


def check(config_class, values, draw):
    # JSON quotes a text wherever YAML might take it for something else.
    arguments = [f"{path}={json.dumps(value, ensure_ascii=False)}" for path, value in values.items()]
    config = read_config(config_class, draw(st.permutations(arguments)))
    dumped = config.model_dump(mode="json")
    read = dict(leaves(dumped))
    assert {path: read[path] for path in values} == values
    # All fields at once, the defaults too.
    again = [f"{path}={json.dumps(value, ensure_ascii=False)}" for path, value in leaves(dumped)]
    assert read_config(config_class, again) == config


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries(LABEL), st.data())
def test_a_label_command_comes_back(values, data):
    check(LabelConfig, values, data.draw)


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries(TRAIN), st.data())
def test_a_train_command_comes_back(values, data):
    check(TrainConfig, values, data.draw)

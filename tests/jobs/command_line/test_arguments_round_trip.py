"""Any config comes back from the command line that says it, whatever the order of its fields."""

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.command_line.arguments import read_config
from schemas.configs.label import LabelConfig
from schemas.configs.train import TrainConfig
from schemas.typed_text import Typed, write

# Without surrogates, which no argument of a process holds.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
# Blanks alone are no address.
ADDRESS = TEXT.filter(str.strip)
POSITIVE = st.floats(1e-12, 1e12)

LABEL = {
    "videos": ADDRESS.filter(lambda text: text[0] != "[") | st.lists(ADDRESS, min_size=1, max_size=3),
    "output": ADDRESS,
    "max_failed": st.none() | st.integers(0, 10**12),
    "assumed_fov_deg": st.none() | st.floats(1, 179),
    "decode.max_side": st.integers(64, 10_000),
    "decode.timeout_s": POSITIVE,
    "detector.tiles": st.integers(1, 4),
    "link.max_gap_s": st.floats(0, 10),
}
TRAIN = {
    "labeled": st.lists(ADDRESS, min_size=1, max_size=3),
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


def argument(path, value):
    return f"{path}={write(path, Typed(value) if isinstance(value, str) else value)}"


def check(config_class, values, draw):
    arguments = [argument(path, value) for path, value in values.items()]
    config = read_config(config_class, draw(st.permutations(arguments)), resolve=str)
    dumped = config.model_dump(mode="json")
    read = dict(leaves(dumped))
    assert {path: read[path] for path in values} == values
    # All fields at once, the defaults too.
    assert read_config(config_class, [argument(*leaf) for leaf in leaves(dumped)], resolve=str) == config


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries(LABEL), st.data())
def test_a_label_command_comes_back(values, data):
    check(LabelConfig, values, data.draw)


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries(TRAIN), st.data())
def test_a_train_command_comes_back(values, data):
    check(TrainConfig, values, data.draw)

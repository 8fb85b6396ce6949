"""Imports published lifters; their kind is recognised by the names of the weights."""

from pipelines.io.torch_files import read_checkpoint
from pipelines.io.unknown_origin import blamed
from pipelines.lifters.checkpoint import LifterCard
from pipelines.lifters.model import LiftingModel
from pipelines.lifters.published import load_published
from pipelines.lifters.published_dstformer import is_dstformer, load_dstformer
from pipelines.lifters.published_martinez import is_martinez, load_martinez
from schemas.configs.import_lifter import ImportLifterConfig
from schemas.layouts import layout


def import_published(config: ImportLifterConfig) -> tuple[LiftingModel, LifterCard]:
    """Load the checkpoint that a config names.

    Raises:
        UserError: There is no such file, it is damaged, or it has other weights or other joints than the layouts.
    """
    uri, layouts = config.model, (layout(config.input_layout), layout(config.output_layout))
    content = read_checkpoint(uri, "lifter")
    # The shapes of damaged weights may imply impossible options, such as no channels at all.
    with blamed(uri, "weights of another architecture"):
        if is_dstformer(content):
            return load_dstformer(uri, content, *layouts, config.fps, config.unit_m)
        if is_martinez(content):
            return load_martinez(uri, content, config.statistics, *layouts, config.fps)
        return load_published(uri, *layouts, fps=config.fps, causal=config.causal)

"""Small models of transformers with random weights, of the families that detectors load."""

import torch
import transformers


def made(name, *arguments, **fields):
    return getattr(transformers, name)(*arguments, **fields)


def small_detr(family):
    common = {
        "encoder_in_channels": [16, 32, 64],
        "encoder_hidden_dim": 32,
        "encoder_ffn_dim": 32,
        "encoder_attention_heads": 2,
        "d_model": 32,
        "decoder_in_channels": [32, 32, 32],
        "decoder_ffn_dim": 32,
        "decoder_layers": 2,
        "decoder_attention_heads": 2,
        "num_queries": 30,
        "hidden_expansion": 0.5,
        "id2label": {0: "background", 1: "person", 2: "bicycle"},
    }
    torch.manual_seed(0)
    if family == "DFine":
        backbone = made(
            "HGNetV2Config",
            embedding_size=16,
            hidden_sizes=[16, 16, 32, 64],
            stem_channels=[3, 8, 16],
            stage_in_channels=[16, 16, 16, 32],
            stage_mid_channels=[8, 8, 8, 8],
            stage_out_channels=[16, 16, 32, 64],
            stage_num_blocks=[1, 1, 1, 1],
            stage_numb_of_layers=[1, 1, 1, 1],
            out_indices=[2, 3, 4],
        )
    else:
        backbone = made(
            "RTDetrResNetConfig",
            embedding_size=8,
            hidden_sizes=[8, 16, 32, 64],
            depths=[1, 1, 1, 1],
            layer_type="basic",
            out_indices=[2, 3, 4],
        )
    return made(f"{family}ForObjectDetection", made(f"{family}Config", backbone_config=backbone, **common)).eval()

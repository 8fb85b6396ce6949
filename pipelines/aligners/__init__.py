"""Embeddings of frames in which recordings of one action are in step: sequences, the network, samples, checkpoints."""

"""Corpora: Speech Commands, speaker features, the embedded corpus; packed and memory-mapped."""

"""Corpora: Speech Commands, speaker features, the embedded corpus; read once, packed, memory-mapped."""

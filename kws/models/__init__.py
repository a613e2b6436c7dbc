"""Models for sequences of audio features, one idea a file: (features, valid) in, logits out."""

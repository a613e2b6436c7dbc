"""Models for sequences of audio features, one idea a file: (mel, valid) in, logits out."""

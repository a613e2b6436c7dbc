"""Models for sequences of audio features, one idea a file. All take (mel, valid) and return logits."""

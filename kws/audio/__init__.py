"""Recordings as numbers: reading, features, augmentation, and back to sound."""

SAMPLE_RATE = 16_000  # Hz
CLIP_SAMPLES = SAMPLE_RATE  # one second: the length of a Speech Commands clip
FULL_SCALE = 1 << 15  # a 16-bit sample of this size would be 1.0

"""Recordings as numbers: reading, features, augmentation, and back to sound."""

SAMPLE_RATE = 16_000  # Hz
CLIP_SAMPLES = SAMPLE_RATE  # one second: the length of a Speech Commands clip
FULL_SCALE = 1 << 15  # a 16-bit sample of this size would be 1.0
WINDOW = SAMPLE_RATE * 25 // 1000  # 400 samples, 25 ms: also the length of the FFT
HOP = SAMPLE_RATE * 10 // 1000  # 160 samples, 10 ms: 100 frames a second

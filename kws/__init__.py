"""Audio Transformers from the ground up: keyword spotting and speaker recognition.

Importing this package prints nothing, starts nothing and imports no torch: `kws.audio.recordings`,
`kws.audio.features`, `kws.models`, `kws.data` and `kws.training.loop` are where the work is.
"""

__version__ = "0.1.0"

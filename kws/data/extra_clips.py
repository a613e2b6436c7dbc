"""Number of clips of silence and of other words in a split: each 10 %, rounded up.

Source: TensorFlow's `speech_commands/input_data.py`.
"""

from kws.data.protocols import Protocol


def silence_count(protocol: Protocol, wanted: int) -> int:
    return _percent(wanted, protocol.silence_percentage) if protocol.silence_label else 0


def unknown_count(protocol: Protocol, wanted: int) -> int:
    return _percent(wanted, protocol.unknown_percentage) if protocol.unknown_label else 0


def _percent(count: int, percentage: int) -> int:
    return -(-count * percentage // 100)  # rounded up, in integers

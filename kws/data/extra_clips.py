"""How many clips of silence and of other words a split gets beside those of wanted words.

Source: TensorFlow's `speech_commands/input_data.py`: 10 % of each, rounded up.
"""

from kws.data.protocols import Protocol


def silence_count(protocol: Protocol, wanted: int) -> int:
    return _percent(wanted, protocol.silence_percentage) if protocol.silence_label else 0


def unknown_count(protocol: Protocol, wanted: int) -> int:
    return _percent(wanted, protocol.unknown_percentage) if protocol.unknown_label else 0


def _percent(count: int, percentage: int) -> int:
    return -(-count * percentage // 100)  # rounded up, in integers

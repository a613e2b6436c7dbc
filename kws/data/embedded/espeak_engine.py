"""The speech engine's side of the pipe: `espeak.py` runs this file as a program of its own.

espeak-ng is GPL-3. It is loaded here and nowhere else: text goes in, samples come out.
Standard input: one JSON object, `{"library": PATH, "voice": NAME, "seed": INT, "events":
BOOL, "utterances": [{"text": TEXT, "rate": WORDS_PER_MINUTE, "pitch": 0..99, "range": 0..99},
...]}`. The engine's data lie in the working directory: the library refuses long paths.
Standard output: for each utterance a little-endian uint32, the number of samples, and then these
samples as int16 at 22,050 Hz. With "events" there follow another uint32, a number of bytes, and as
many bytes of JSON: `[[KIND, SAMPLE, PHONEME], ...]`, where KIND is "word", "phoneme" or "end" and
SAMPLE the place where it begins. Being asked for events changes no sample.

Only the standard library is imported, so that starting costs some 50 ms.
"""

import ctypes
import json
import sys

SYNCHRONOUS, DO_NOT_EXIT, UTF8 = 2, 0x8000, 1  # from espeak's speak_lib.h
PARAMETERS = {"rate": 1, "pitch": 3, "range": 4}
PHONEME_EVENTS = 1  # an option of espeak_Initialize
KINDS = {1: "word", 5: "end", 7: "phoneme"}  # of espeak's events those that are reported
SAMPLE_RATE = 22_050


class Identity(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class EspeakEvent(ctypes.Structure):
    """espeak_EVENT of speak_lib.h; `sample` is exact, `audio_position` the same in whole ms."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", Identity),
    )


CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(EspeakEvent)
)


def main() -> None:
    request = json.load(sys.stdin)
    library = ctypes.CDLL(request["library"])
    options = DO_NOT_EXIT | (PHONEME_EVENTS if request["events"] else 0)
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, b".", options)
    if rate != SAMPLE_RATE:
        sys.exit(f"espeak_Initialize: expected {SAMPLE_RATE} Hz, got {rate}")
    library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
    library.espeak_ng_SetRandSeed(request["seed"])  # otherwise seeded by the clock
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint,
        ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    spoken, happened = bytearray(), []

    def collect(samples, count, events):
        place = 0
        while events and (event := events[place]).type:  # the list ends in an event of type 0
            if kind := KINDS.get(event.type):
                phoneme = event.id.string.decode() if kind == "phoneme" else ""
                happened.append((kind, event.sample, phoneme))
            place += 1
        if samples and count > 0:
            spoken.extend(ctypes.string_at(samples, 2 * count))
        return 0

    keep = CALLBACK(collect)  # the library holds only a pointer
    library.espeak_SetSynthCallback(keep)
    if library.espeak_SetVoiceByName(request["voice"].encode()):
        sys.exit(f"espeak-ng has no voice {request['voice']!r}")
    for utterance in request["utterances"]:
        for name, number in PARAMETERS.items():
            library.espeak_SetParameter(number, utterance[name], 0)
        spoken.clear()
        happened.clear()
        text = utterance["text"].encode()
        if library.espeak_Synth(text, len(text) + 1, 0, 0, 0, UTF8, None, None):
            sys.exit(f"espeak-ng cannot say {utterance['text']!r}")
        library.espeak_Synchronize()
        sys.stdout.buffer.write((len(spoken) // 2).to_bytes(4, "little") + spoken)
        if request["events"]:
            line = json.dumps(happened).encode()
            sys.stdout.buffer.write(len(line).to_bytes(4, "little") + line)


if __name__ == "__main__":
    main()

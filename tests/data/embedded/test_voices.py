"""Voices, engine and recording: what each knob does, and what must hold for every draw."""

import math
import re

import numpy as np
import pytest

from kws.data.embedded import voices
from kws.data.embedded.backgrounds import backgrounds
from kws.data.embedded.espeak import Utterance, speak, stock_variants
from kws.data.embedded.recording import (
    BLOCK,
    ENGINE_BLOCK,
    Setup,
    draw_setup,
    microphone,
    noise,
    record,
    response,
    trim,
)
from kws.data.protocols import SPLITS
from kws.data.split_rule import which_split

TEXT = stock_variants()["f2"]
LINE = Utterance(text="seven", rate=150, pitch=50, range=50)
PLAIN = Setup(
    gains=(0.0,) * 10,
    highpass=1e-3,
    lowpass=1e9,
    reverberation=0.2,
    predelay=0.005,
    direct_to_reverberant=300.0,
    room_seed=0,
    noise_slope=0.0,
    signal_to_noise=30.0,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def spectral_center(waveform: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(waveform.astype(float))) ** 2
    return float((power * np.arange(len(power))).sum() / power.sum() / len(power))


def test_speaker_ids_are_split_by_the_official_hash_as_the_search_finds_them(monkeypatch):
    for seed in (0, 5, "secret"):
        found = voices.speaker_splits(30, seed)
        ids = list(found)
        assert len(set(ids)) == 30
        assert all(re.fullmatch("[0-9a-f]{8}", name) for name in ids)
        splits = [which_split(f"{name}_nohash_0.wav") for name in ids]
        assert splits == list(found.values())
        for i in (0, 10, 20):
            assert sorted(splits[i : i + 10]) == ["testing"] + ["training"] * 8 + ["validation"]
        assert list(voices.speaker_splits(10, seed)) == ids[:10]
    known = voices.speaker_splits(200, 0)
    monkeypatch.setattr(voices, "SPEAKERS", ())
    assert voices.speaker_splits(200, 0) == known
    assert list(voices.speaker_splits(201, 0).items())[:200] == list(known.items())


def test_82_people_like_variants_of_which_every_split_has_tall_and_small_ones():
    pools = voices.variant_pools()
    everybody = [name for split in SPLITS for name in pools[split]]
    assert len(everybody) == len(set(everybody)) == 82
    assert len(pools["validation"]) >= 8
    assert len(pools["testing"]) >= 8
    assert not {"whisper", "robosoft3", "Demonic"} & set(everybody)

    def height(name):
        return voices.voice_size(stock_variants()[name])

    everybody = sorted(height(name) for pool in voices.variant_pools().values() for name in pool)
    low, high = np.percentile(everybody, (30, 70))
    for pool in voices.variant_pools().values():
        assert any(height(name) < low for name in pool)
        assert any(height(name) > high for name in pool)


def test_a_definition_is_read_back_and_a_sibling_has_another_vocal_tract():
    changes = []
    for seed in range(40):
        sibling = voices.vary(TEXT, rng(seed))
        before, after = voices.vocal_tract(TEXT), voices.vocal_tract(sibling)
        changes += [math.log(b / a) for a, b in zip(before, after, strict=True)]
    # s.d. of 0.03 for the voice and 0.012 for each formant: 0.032 together, of which 0.15 is 4.6
    assert 0.02 < np.std(changes) < 0.05
    assert max(map(abs, changes)) < 0.15
    for name, text in stock_variants().items():
        entries = voices.read_definition(text)
        again = voices.read_definition(voices.write_definition(entries))
        assert again == {  # rounded to whole numbers
            key: [v if isinstance(v, str) else float(f"{v:.0f}") for v in values]
            for key, values in entries.items()
        }, name


def test_some_speakers_have_foreign_habits_one_substitute_for_a_phoneme():
    lines = [voices.foreign_habits(rng(seed)).splitlines() for seed in range(200)]
    foreign = [one for one in lines if one]
    assert 0.3 < len(foreign) / len(lines) < 0.5  # FOREIGN is 0.4, its s.d. for 200 voices 0.035
    for one in foreign:
        assert all(re.fullmatch(r"replace 00 \S+ \S+", line) for line in one)
        phonemes = [line.split()[2] for line in one]
        assert len(set(phonemes)) == len(phonemes)
        assert 1 <= len(one) <= 4


WORD_WITH = {
    **{"T": "three", "w": "one", "v": "five", "z": "zero"},
    **{"I": "six", "oU": "go", "eI": "eight", "r": "three"},
}


@pytest.mark.parametrize(("phoneme", "word"), WORD_WITH.items())
def test_every_habit_is_heard(phoneme, word, tmp_path):
    line = Utterance(text=word, rate=150, pitch=50, range=50)
    usual = speak("gmw/en-US", TEXT, [line], seed=0, scratch=tmp_path)[0]
    for before, after in voices.HABITS:
        if before == phoneme:
            habit = f"{TEXT}\nreplace 00 {before} {after}\n"
            (other,) = speak("gmw/en-US", habit, [line], seed=0, scratch=tmp_path)
            assert other.tobytes() != usual.tobytes()
            assert 0.8 < len(trim(other)) / len(trim(usual)) < 1.4  # nothing is swallowed


def test_engine_says_the_same_bytes_again_others_with_another_seed_and_no_unknown_accent(tmp_path):
    lines = [LINE, LINE]

    def sound(seed):
        spoken = speak("gmw/en-US", TEXT, lines, seed=seed, scratch=tmp_path)
        return [samples.tobytes() for samples in spoken]

    first = sound(1)
    assert sound(1) == first
    assert sound(2) != first
    assert not list(tmp_path.iterdir())
    with pytest.raises(RuntimeError, match=r"no voice 'gmw/en-XX\+own'"):
        speak("gmw/en-XX", TEXT, [LINE], seed=0, scratch=tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"accent": "gmw/en-GB-scotland"},
        {"variant": stock_variants()["m2"]},
        {"line": Utterance(text="nine", rate=150, pitch=50, range=50)},
        {"line": Utterance(text="seven", rate=250, pitch=50, range=50)},
        {"line": Utterance(text="seven", rate=150, pitch=80, range=50)},
        {"line": Utterance(text="seven", rate=150, pitch=50, range=90)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_knob_of_the_engine_changes_the_sound(change, tmp_path):
    usual = {"accent": "gmw/en-US", "variant": TEXT, "line": LINE}

    def sound(accent, variant, line):
        return speak(accent, variant, [line], seed=0, scratch=tmp_path)[0].tobytes()

    assert sound(**usual) != sound(**{**usual, **change})


@pytest.mark.parametrize("accent", voices.ACCENTS)
def test_every_accent_and_a_parametric_voice_speaks(accent, tmp_path):
    voice = voices.draw_parametric_voice(rng())
    for text in (TEXT, voice.definition):
        (spoken,) = speak(accent, text, [LINE], seed=0, scratch=tmp_path)
        assert 0.2 < len(trim(spoken)) / 22050 < 1.2
        assert np.abs(spoken.astype(int)).max() > 3000


def test_resampling_keeps_a_tone_and_drops_what_16_khz_cannot_hold():
    t = np.arange(ENGINE_BLOCK * 60) / 22_050
    for frequency, share in ((1000, 1.0), (7000, 1.0), (9000, 0.0)):
        tone = (20_000 * np.sin(2 * np.pi * frequency * t)).astype(np.int16)
        (received,) = record([tone], None)
        assert len(received) == BLOCK * 60
        u = np.arange(len(received)) / 16_000
        expected = share * 20_000 / 32_768 * np.sin(2 * np.pi * frequency * u)
        middle = slice(2000, -2000)
        assert np.abs(received - expected)[middle].max() < 2e-3


def test_a_plain_setup_changes_nothing_and_every_field_changes_something():
    spoken = [(8000 * rng().standard_normal(9000)).astype(np.int16)]
    (plain,) = record(spoken, PLAIN)
    (bare,) = record(spoken, None)
    # the microphone takes away the mean, 7e-4 here
    np.testing.assert_allclose(plain[: len(bare)], bare, atol=1e-3)
    audible = {
        "gains": (0.0, 6.0) * 5,
        "highpass": 300.0,
        "lowpass": 3000.0,
        "direct_to_reverberant": 5.0,
    }
    echo = Setup(**{**vars(PLAIN), "direct_to_reverberant": 5.0})
    for base, changes in (
        (PLAIN, audible),
        (echo, {"reverberation": 0.4, "predelay": 0.01, "room_seed": 1}),
    ):
        (before,) = record(spoken, base)
        for name, value in changes.items():
            (after,) = record(spoken, Setup(**{**vars(base), name: value}))
            assert np.abs(after - before).max() > 5e-3, name


def test_reverberation_has_the_energy_asked_for_after_the_direct_sound():
    setup = Setup(**{**vars(PLAIN), "direct_to_reverberant": 9.0})
    impulse = np.fft.irfft(response(setup, 9600), 9600)
    direct, rest = impulse[0] ** 2, (impulse[1:] ** 2).sum()
    # the response is complex64, its mean is lost: 0.003 dB, 5e-5
    assert 10 * np.log10(direct / rest) == pytest.approx(9.0, abs=0.01)
    assert np.abs(impulse[1:79]).max() < 1e-3  # before the first echo, 5 ms later


def test_the_microphone_has_its_cut_offs_for_the_noise_of_the_room_too():
    gain = microphone(Setup(**{**vars(PLAIN), "highpass": 200.0, "lowpass": 4000.0}), 16_000)
    assert gain[200] == pytest.approx(0.5, abs=0.01)  # one bin is 1 Hz
    assert gain[4000] == pytest.approx(0.5**0.5, abs=0.01)
    assert gain[1000] == pytest.approx(1 / (1 + 0.2**2))  # the lower one's; the upper leaves 1e-7
    setup = Setup(**{**vars(PLAIN), "lowpass": 2000.0})
    assert spectral_center(noise(rng(), 16_000, 0.0, setup)) < 0.2
    # its power is 1, its mean a little off 0
    assert np.std(noise(rng(), 16_000, 0.0, setup)) == pytest.approx(1, abs=1e-3)


def test_noise_falls_by_3_db_an_octave_and_slope():
    for slope in (0.0, 1.0, 2.0):
        power = np.abs(np.fft.rfft(noise(rng(), 160_000, slope))) ** 2
        low, high = power[5_000:6_000].mean(), power[40_000:48_000].mean()  # three octaves apart
        # four s.d. of means over 1,000 and 8,000 bins: 4.3 dB * sqrt(1 / 1000 + 1 / 8000) each
        assert 10 * np.log10(low / high) == pytest.approx(9 * slope, abs=0.6)


def test_setups_differ_and_stay_in_range():
    setups = [draw_setup(rng(seed)) for seed in range(50)]
    assert len(set(setups)) == 50
    assert all(10 < setup.signal_to_noise < 75 for setup in setups)
    assert np.ptp([setup.signal_to_noise for setup in setups]) > 40


def test_trim_keeps_the_word():
    silence, word = np.zeros(1000, np.int16), np.full(500, 5000, np.int16)
    assert len(trim(np.concatenate([silence, word, silence]))) == 699
    assert len(trim(silence)) == 1000


def test_background_recordings_are_six_different_sounds():
    chatter = [rng(i).standard_normal(5000) for i in range(3)]
    recordings = backgrounds(rng(), 32_000, chatter)
    assert len(recordings) == 6
    assert all(waveform.shape == (32_000,) for waveform in recordings.values())
    assert all(np.abs(waveform).max() == pytest.approx(0.5) for waveform in recordings.values())
    assert len({round(spectral_center(waveform), 3) for waveform in recordings.values()}) == 6

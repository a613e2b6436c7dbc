"""Hidden checks of assignment 9: its contract, codes of hidden clips, their perplexity, samples."""

import pytest

from grader.course.hidden.clean_clips import (
    codes_of,
    drawn_codes,
    hidden_clips,
    mels_of,
    prepare,
    prior_perplexity,
    recognized_share,
    used,
)
from grader.course.probes.accuracy import built, ramp
from grader.course.trials import check_trial
from grader.grading.trained_weights import load_weights
from kws.course.a09_codes import contract as codes

PREPARE = prepare  # with the secret seed, before the first of a class is graded

ALIVE, FEW = 115, 40  # codes in use for all points, and for none
PERPLEXITY, WILD = 7.0, 15.0
DECODED, LOST = 0.80, 0.30  # share of decoded words that are recognized, for all points and none
FULL, NONE = 0.66, 0.15  # the same of samples: [reached] in assignment.toml

test_rates_values = check_trial(codes.rates_values, points=1)
test_nearest_values = check_trial(codes.nearest_values, points=2)
test_perplexity_values = check_trial(codes.perplexity_values, points=1)
test_quantize_values = check_trial(codes.quantize_values, points=2)
test_quantize_gradients = check_trial(codes.quantize_gradients, points=2)
test_follow_values = check_trial(codes.follow_values, points=2)
test_restart_values = check_trial(codes.restart_values, points=1)
test_restart_fair = check_trial(codes.restart_fair, points=1)
test_codebook_values = check_trial(codes.codebook_values, points=2)
test_codebook_begins = check_trial(codes.codebook_begins, points=1)
test_codec_values = check_trial(codes.codec_values, points=2)
test_bigram_values = check_trial(codes.bigram_values, points=1)
test_prior_causality = check_trial(codes.prior_causality, points=2)
test_prior_places = check_trial(codes.prior_places, points=1)
test_nats_values = check_trial(codes.nats_values, points=1)
test_probabilities_values = check_trial(codes.probabilities_values, points=2)
test_generate_values = check_trial(codes.generate_values, points=1)
test_generate_fair = check_trial(codes.generate_fair, points=1)
test_model_values = check_trial(codes.model_values, points=1)


def handed_in(student, weights):
    """The trained model, its codec as two functions."""
    model = load_weights(built(student, "CodeModel"), weights).eval()
    encode = lambda mel: student.encode_mels(model, mel)  # noqa: E731
    decode = lambda some: student.decode_codes(model, some)  # noqa: E731
    return model, encode, decode


def decoded(record, decode, found, labels):
    """The share of decoded words that are recognized, worth a share of what the codes earn."""
    measured = recognized_share(mels_of(decode, found), labels)
    ramp(record, "words recognized after decoding", measured, none=LOST, full=DECODED)


@pytest.mark.check("9.8", points=2, concept="section 9.5", timeout=120)
def test_alive(student, weights, secret, record):
    """the codec uses its codes on new recordings, as far as decoded words are recognized."""
    _, encode, decode = handed_in(student, weights)
    mel, labels = hidden_clips(secret)
    found = codes_of(encode, mel)
    ramp(record, "codes in use", used(found), full=ALIVE, none=FEW)
    decoded(record, decode, found, labels)


@pytest.mark.check("9.8", points=2, concept="section 9.5", timeout=120)
def test_decoded(student, weights, secret, record):
    """what is decoded from the codes of new recordings is recognized as their words."""
    _, encode, decode = handed_in(student, weights)
    mel, labels = hidden_clips(secret)
    decoded(record, decode, codes_of(encode, mel), labels)


@pytest.mark.check("9.8", points=3, concept="section 9.6", timeout=240)
def test_perplexity(student, weights, secret, record):
    """the prior predicts the codes of new recordings, as far as decoded words are recognized."""
    model, encode, decode = handed_in(student, weights)
    mel, labels = hidden_clips(secret)
    found = codes_of(encode, mel)
    ramp(record, "codes in use", used(found), full=FEW + 1, none=FEW)
    value = prior_perplexity(model, labels, found)
    ramp(record, "the perplexity of a code", value, full=PERPLEXITY, none=WILD)
    decoded(record, decode, found, labels)


@pytest.mark.check("9.8", points=3, concept="section 9.7", timeout=240)
def test_samples(student, weights, secret, record):
    """samples at temperature 1 are recognized as the words that were asked for, each different."""
    model, _, decode = handed_in(student, weights)
    words, drawn = drawn_codes(model, secret.generator("samples of assignment 9"))
    different = len(drawn.unique(dim=0)) / len(drawn)
    ramp(record, "share of samples that differ", different, full=0.9, none=0.3)
    measured = recognized_share(mels_of(decode, drawn), words)
    ramp(record, "samples recognized", measured, none=NONE, full=FULL)

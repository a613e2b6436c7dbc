"""Greedy and beam search, CTC's prefix scores, both in one search; the decoder's cache."""

import itertools
import math

import pytest
import torch

from kws.decoding.beam import beam_search
from kws.decoding.cached import CachedDecoder
from kws.decoding.ctc_prefix import CtcPrefixScorer
from kws.decoding.greedy import greedy
from kws.decoding.joint import joint_step
from kws.errors import UsageError
from kws.models.ctc import ctc_loss
from kws.models.fast import use_fast_layers
from kws.models.speech_transformer import SpeechTransformer, SpeechTransformerConfig

SOS, EOS, V = 1, 2, 5
ENDS = {"sos": SOS, "eos": EOS}


def automaton(seed: int):
    """A step whose scores follow from the last two symbols."""
    table = torch.randn(V, V, V, generator=torch.Generator().manual_seed(seed)).double()

    def step(symbols):
        before = symbols[:, -2] if symbols.shape[1] > 1 else torch.zeros_like(symbols[:, -1])
        return table[before, symbols[:, -1]].log_softmax(dim=-1)

    return step


def score_of(step, text: list[int]) -> float:
    """The log-probability of a text and its end."""
    symbols = torch.tensor([[SOS, *text]])
    places = zip(range(1, len(text) + 2), [*text, EOS], strict=True)
    return sum(float(step(symbols[:, :n])[0, symbol]) for n, symbol in places)


@pytest.mark.parametrize("seed", range(5))
def test_width_one_is_greedy_and_a_wide_beam_is_exhaustive(seed):
    step, longest = automaton(seed), 4
    (text,) = greedy(step, 1, **ENDS, longest=longest)
    narrow = beam_search(step, 1, **ENDS, longest=longest)[0]
    assert narrow.text == text
    others = [v for v in range(V) if v != EOS]
    texts = [list(t) for n in range(longest) for t in itertools.product(others, repeat=n)]
    best = max(texts, key=lambda t: score_of(step, t))
    wide = beam_search(step, V**longest, **ENDS, longest=longest)[0]
    assert wide.text == best
    assert math.isclose(wide.score, score_of(step, best), abs_tol=1e-12)


def test_rows_are_independent_and_a_bonus_makes_no_text_shorter():
    def counting(symbols):
        done = symbols.shape[1] - 1
        following = torch.tensor([EOS if done >= b else 3 for b in range(len(symbols))])
        return torch.nn.functional.one_hot(following, V).float()

    assert greedy(counting, 4, **ENDS, longest=3) == [[], [3], [3, 3], [3, 3, 3]]
    for seed in range(5):
        step = automaton(seed)
        plain = beam_search(step, 625, **ENDS, longest=4)[0]
        long = beam_search(step, 625, **ENDS, longest=4, length_weight=3.0)[0]
        assert len(long.text) >= len(plain.text)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: beam_search(automaton(0), 0, **ENDS, longest=3), "width 0"),
        (lambda: beam_search(automaton(0), 2, **ENDS, longest=0), "longest=0"),
        (lambda: greedy(automaton(0), 2, **ENDS, longest=0), "longest=0"),
        (lambda: joint_step(automaton(0), CtcPrefixScorer(torch.zeros(2, V), EOS), 1.5), "1.5"),
    ],
)
def test_a_search_for_nothing_is_refused(call, words):
    with pytest.raises(UsageError, match=words):
        call()


@pytest.mark.parametrize("seed", range(3))
def test_prefix_scores_are_sums_over_all_texts_that_begin_so(seed):
    frames = 4
    generator = torch.Generator().manual_seed(seed)
    log_p = torch.randn(frames, V, generator=generator).double()
    log_p[:, [SOS, EOS]] = -math.inf  # CTC writes neither
    log_p = log_p.log_softmax(dim=-1)
    p: dict[tuple[int, ...], float] = {(): log_p[:, 0].sum().exp().item()}  # blanks alone
    for n in range(1, frames + 1):
        for text in itertools.product((3, 4), repeat=n):
            p[text] = (-ctc_loss(log_p, torch.tensor(text))).exp().item()
    assert math.isclose(sum(p.values()), 1, abs_tol=1e-12)
    scorer = CtcPrefixScorer(log_p, EOS)
    for text in ((), (3,), (4, 4), (3, 4, 3)):
        scores = scorer(text).exp()
        for symbol in (3, 4):
            longer = (*text, symbol)
            total = sum(q for t, q in p.items() if t[: len(longer)] == longer)
            assert math.isclose(scores[symbol], total, abs_tol=1e-12)
        assert math.isclose(scores[EOS], p[text], abs_tol=1e-12)
        assert scores[0] == 0


def test_a_joint_score_is_the_weighted_sum_of_both():
    step, log_p = automaton(1), torch.randn(6, V).double().log_softmax(dim=-1)
    scorer = CtcPrefixScorer(log_p, EOS)
    both = joint_step(step, scorer, 0.3)
    text, total = [3, 4, 4], 0.0
    for n, symbol in enumerate([*text, EOS]):
        total += float(both(torch.tensor([[SOS, *text[:n]]]))[0, symbol])
    expected = 0.7 * score_of(step, text) + 0.3 * float(scorer(tuple(text))[EOS])
    assert math.isclose(total, expected, abs_tol=1e-12)


@pytest.fixture(params=[False, True], ids=["torch", "fast"])
def model(request):
    torch.manual_seed(0)
    config = SpeechTransformerConfig(num_classes=7, num_features=5, d_model=6, num_heads=3, d_ff=11)
    model = SpeechTransformer(config).eval().double()
    return use_fast_layers(model) if request.param else model


def test_logits_equal_those_of_whole_texts_as_a_beam_continues_them(model):
    memory, valid = torch.randn(1, 13, 6, dtype=torch.float64), torch.ones(1, 13).bool()
    valid[0, 10:] = False
    step, symbols = CachedDecoder(model, memory, valid), torch.tensor([[1]])
    for parents in ([], [0, 0, 0], [2, 0, 2], [1], [0, 0]):
        if parents:
            new = torch.arange(len(parents)) + 2
            symbols = torch.cat([symbols[parents], new[:, None]], dim=1)
        many = (memory.expand(len(symbols), -1, -1), valid.expand(len(symbols), -1))
        expected = model.decode(symbols, *many)[:, -1]
        torch.testing.assert_close(step(symbols), expected, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="does not continue"):
        step(symbols)


def test_equal_texts_of_several_utterances_have_their_own_memories(model):
    memory = torch.randn(3, 13, 6, dtype=torch.float64)
    step, symbols = CachedDecoder(model, memory), torch.ones(3, 1).long()
    for _ in range(3):
        expected = model.decode(symbols, memory)[:, -1]
        torch.testing.assert_close(step(symbols), expected, rtol=0, atol=1e-12)
        symbols = torch.cat([symbols, torch.full((3, 1), 4)], dim=1)

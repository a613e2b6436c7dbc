"""Checks whose right results are the same for every secret seed: what can be typed, or forged.

A trial runs beside a student's code, and only its results come back. Where the right ones hang on
secret numbers, whoever forges them has to compute them, as an answer does. Where they do not
(counts of parameters, yes and no, tables of sizes that stand in the kit), they can be known before:
that gains points without an answer, visibly so in the notebook.
"""

from grader.authoring.answers import try_trial
from grader.core.seed import Seed
from grader.course.trials import hidden_seed, our_answers
from kws.contracts import all_trials
from kws.contracts.compare import difference
from kws.contracts.trial import Trial

# as `measured` finds them: a slow test compares
TRIALS = {
    "01": (
        "1.2-hann-values",
        "1.3-power-tone",
        "1.4-mel-scale",
        "1.4-filterbank-values",
        "1.5-log-mel-silence",
        "1.6-dct-values",
        "1.8-extra-count-values",
        "1.8-choose-counts",
        "1.8-choose-drawn",
        "1.8-choose-same",
        "1.9-spans-values",
        "1.9-augment-masks",
    ),
    "02": (
        "2.3-self-attention-count",
        "2.4-sinusoids-values",
        "2.5-layer-count",
        "2.6-encoder-count",
        "2.7-count-values",
    ),
    "03": (
        "3.1-collate-mask",
        "3.3-schedule-values",
        "3.3-schedule-ends",
        "3.4-model-logits",
        "3.4-model-padding",
        "3.4-model-budget",
        "3.4-model-norm",
        "3.4-model-gradients",
        "3.5-step-mode",
        "3.6-predict-values",
        "3.6-predict-mode",
        "3.7-best-values",
        "3.7-best-equals",
        "3.8-recipe-values",
    ),
    "04": (
        "4.2-depthwise-count",
        "4.3-convolution-count",
        "4.4-feed-forward-count",
        "4.5-block-count",
        "4.6-encoder-count",
        "4.6-formula-values",
        "4.7-head-values",
        "4.7-logits-padding",
        "4.7-classifier-size",
    ),
    "05": (
        "5.1-tokens-values",
        "5.1-memory-values",
        "5.2-stem-count",
        "5.3-token-count",
        "5.3-token-start",
        "5.4-transformer-without-layers",
        "5.4-transformer-count",
        "5.5-parameters-values",
        "5.5-parameters-built",
        "5.7-confusion-absent",
        "5.9-table-words",
    ),
    "06": (
        "6.1-count-values",
        "6.2-embedding-count",
        "6.3-sinusoids-values",
        "6.3-positions-count",
        "6.4-weights-values",
        "6.5-structured-values",
        "6.5-unstructured-values",
        "6.5-patchout-fair",
        "6.6-transformer-without-layers",
        "6.6-transformer-count",
        "6.6-transformer-patchout",
        "6.6-parameters-values",
        "6.7-cost-values",
        "6.8-carry-over-refuses",
        "6.8-groups-values",
        "6.9-rows-values",
        "6.9-rows-fair",
        "6.9-small-model-learns",
        "6.9-recipe-values",
    ),
    "07": (
        "7.2-frames-values",
        "7.2-subsampling-count",
        "7.4-mask-values",
        "7.4-layer-count",
        "7.9-model-padding",
        "7.9-model-hears",
        "7.9-model-size",
        "7.9-recipe-values",
    ),
    "08": (
        "8.3-block-count",
        "8.3-block-padding",
        "8.6-model-size",
        "8.6-recipe-values",
    ),
    "09": (
        "9.1-rates-values",
        "9.4-restart-fair",
        "9.5-codebook-begins",
        "9.5-codec-values",
        "9.6-prior-causality",
        "9.6-prior-places",
        "9.7-generate-fair",
        "9.8-model-values",
    ),
}
# no trials, but judged by what the student's own process says of a model's form
OTHERS = (
    "3.8-trained-model-ignores-padding",
    "4.7-budget",
    "5.6-recipe",
    "5.6-small-model-learns",
    "6.9-budget",
    "7.9-budget",
    "8.6-budget",
)


def foreseen(number: str) -> frozenset[str]:
    """The ids of these checks, of one assignment."""
    chapter = f"{int(number)}."
    return frozenset(TRIALS[number]).union(one for one in OTHERS if one.startswith(chapter))


def measured(number: str) -> list[str]:
    """The trials of an assignment to which our answers give the same for two secret seeds."""
    return [trial.id for trial in all_trials(number) if _is_same(trial)]


def _is_same(trial: Trial) -> bool:
    one, other = (
        try_trial(trial, our_answers(trial.number), hidden_seed(trial, Seed(text)), hidden=True)
        for text in ("one", "another")
    )
    return len(one) == len(other) and all(
        difference(value, same, trial.rtol, trial.atol) is None
        for (_, value), (_, same) in zip(one, other, strict=True)
    )

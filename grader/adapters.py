"""The course's table of contents: which task asks for which names.

A hidden check says `student.attend`; here stands which task asks for `attend`, which earlier tasks
it builds on, and what may not be used to answer it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kws.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Task:
    """One TODO.

    Attributes:
        id: "2.1", as in the notebook's heading.
        title: the heading.
        names: what the notebook defines for it.
        after: tasks whose definitions this one uses; where a student's failed, ours stand in.
        forbidden: dotted names of torch, torchaudio or kws that answer the task by themselves.
    """

    id: str
    title: str
    names: tuple[str, ...]
    after: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One notebook: `solutions/NN_slug.py`, `assignments/NN_slug.ipynb`, `grader/test_NN_slug.py`.

    Attributes:
        withheld: `kws` modules that the students' kit lacks and an answer may not import.
        weights: whether trained weights are handed in beside it.
    """

    number: str
    slug: str
    title: str
    tasks: tuple[Task, ...]
    withheld: tuple[str, ...] = ()
    weights: bool = False

    @property
    def stem(self) -> str:
        """`02_attention`."""
        return f"{self.number}_{self.slug}"

    @property
    def forbidden(self) -> tuple[str, ...]:
        """What may not answer one of its tasks."""
        return tuple(dict.fromkeys(name for task in self.tasks for name in task.forbidden))

    def task(self, task_id: str) -> Task:
        """The task called `task_id`."""
        return next(task for task in self.tasks if task.id == task_id)


_SPECTROGRAM = ("torch.stft", "torchaudio")
_01 = Assignment(
    number="01",
    slug="features",
    title="Sound to features",
    tasks=(
        Task(
            id="1.1",
            title="One second",
            names=("pad_or_trim",),
            forbidden=("kws.length.pad_or_trim",),
        ),
        Task(
            id="1.2",
            title="Frames and a window",
            names=("hann", "frame"),
            forbidden=("torch.hann_window", "torch.signal.windows.hann"),
        ),
        Task(
            id="1.3",
            title="The power spectrum",
            names=("power_spectrum",),
            after=("1.2",),
            forbidden=_SPECTROGRAM,
        ),
        Task(
            id="1.4",
            title="Mel bands",
            names=("hz_to_mel", "mel_filterbank"),
            forbidden=("torchaudio",),
        ),
        Task(
            id="1.5",
            title="Log-mel spectrograms",
            names=("log_mel",),
            after=("1.2", "1.3", "1.4"),
            forbidden=_SPECTROGRAM,
        ),
        Task(
            id="1.6",
            title="MFCC",
            names=("dct_matrix", "mfcc"),
            after=("1.5",),
            forbidden=_SPECTROGRAM,
        ),
        Task(
            id="1.7",
            title="Who is in the test set?",
            names=("which_split",),
            forbidden=("kws.split_rule.which_split", "kws.split_rule.hash_percentage"),
        ),
        Task(
            id="1.8",
            title="Silence and unknown",
            names=("extra_count", "choose_clips"),
            forbidden=("kws.data.extra_clips",),
        ),
        Task(
            id="1.9",
            title="SpecAugment",
            names=("random_spans", "spec_augment"),
            forbidden=("torchaudio",),
        ),
    ),
    withheld=(
        "kws.augment",
        "kws.data.extra_clips",
        "kws.data.listing",
        "kws.features",
        "kws.length",
        "kws.split_rule",
    ),
)

_ATTENTION = (
    "torch.nn.functional.scaled_dot_product_attention",
    "torch.nn.functional.multi_head_attention_forward",
    "torch.nn.MultiheadAttention",
    "torch.nn.attention",
    "torch.onnx.ops",
    "torch._higher_order_ops.flex_attention.math_attention",
)
_TRANSFORMER = (
    *_ATTENTION,
    "torch.nn.TransformerEncoderLayer",
    "torch.nn.TransformerEncoder",
    "torch.nn.Transformer",
)
_02 = Assignment(
    number="02",
    slug="attention",
    title="Attention",
    tasks=(
        Task(id="2.1", title="A weighted average", names=("attend",), forbidden=_ATTENTION),
        Task(id="2.2", title="Heads", names=("split_heads", "merge_heads")),
        Task(
            id="2.3",
            title="Multi-head self-attention",
            names=("MultiHeadSelfAttention",),
            after=("2.1", "2.2"),
            forbidden=_TRANSFORMER,
        ),
        Task(id="2.4", title="Positional encoding", names=("sinusoids",)),
        Task(
            id="2.5",
            title="The encoder layer",
            names=("EncoderLayer",),
            after=("2.3",),
            forbidden=_TRANSFORMER,
        ),
        Task(
            id="2.6",
            title="A stack of layers",
            names=("Encoder",),
            after=("2.5",),
            forbidden=_TRANSFORMER,
        ),
        Task(id="2.7", title="Count before you build", names=("encoder_parameters",)),
    ),
    withheld=(
        "kws.inference.attention_maps",
        "kws.models.attention",
        "kws.models.conformer",
        "kws.models.interop",
        "kws.models.keyword_transformer",
        "kws.models.positional",
        "kws.models.speaker",
        "kws.models.transformer",
        "kws.models.counts",
    ),
)
_03 = Assignment(
    number="03",
    slug="speakers",
    title="Who is speaking?",
    tasks=(
        Task(id="3.1", title="Batches with masks", names=("collate",)),
        Task(id="3.2", title="From frames to one vector", names=("mean_pool",)),
        Task(id="3.3", title="Warm-up and cosine decay", names=("cosine_warmup",)),
        Task(
            id="3.4",
            title="The model",
            names=("SpeakerClassifier",),
            after=("3.2",),
        ),
        Task(id="3.5", title="One step of training", names=("train_step",)),
        Task(id="3.6", title="Whole utterances", names=("predict",), after=("3.1",)),
        Task(id="3.7", title="The best weights, not the last", names=("Best",)),
        Task(id="3.8", title="Train, and hand in", names=("recipe",)),
    ),
    withheld=(
        "kws.training.batches",
        "kws.models.classifier",
        "kws.models.pooling",
        "kws.models.sequence_classifier",
        "kws.models.speaker",
        "kws.models.tdnn",
        "kws.normalize",
        "kws.training.schedule",
        "kws.training.loop",
    ),
    weights=True,
)

_CONFORMER = ("torchaudio",)
_04 = Assignment(
    number="04",
    slug="conformer",
    title="Conformer",
    tasks=(
        Task(
            id="4.1",
            title="A gate",
            names=("gated_linear_unit",),
            forbidden=("torch.nn.functional.glu", "torch.nn.GLU"),
        ),
        Task(
            id="4.2",
            title="Depthwise convolution",
            names=("DepthwiseConv",),
            forbidden=_CONFORMER,
        ),
        Task(
            id="4.3",
            title="The convolution module",
            names=("ConvolutionModule",),
            after=("4.1", "4.2"),
            forbidden=_CONFORMER,
        ),
        Task(
            id="4.4",
            title="The feed-forward module",
            names=("FeedForwardModule",),
            forbidden=_CONFORMER,
        ),
        Task(
            id="4.5",
            title="The Conformer block",
            names=("ConformerBlock",),
            after=("4.3", "4.4"),
            forbidden=_CONFORMER,
        ),
        Task(
            id="4.6",
            title="The encoder and its parameter count",
            names=("ConformerEncoder", "conformer_parameters"),
            after=("4.5",),
            forbidden=_CONFORMER,
        ),
        Task(
            id="4.7",
            title="Who is speaking?",
            names=("SpeakerConformer", "recipe"),
            after=("4.6",),
            forbidden=_CONFORMER,
        ),
    ),
    withheld=(
        "kws.models.conformer",
        "kws.models.convs2s",
        "kws.models.interop",
        "kws.models.keyword_transformer",
        "kws.models.speaker",
        "kws.models.counts",
    ),
    weights=True,
)

_KEYWORD = (
    "kws.models.frontend.ConvStem",
    "kws.models.frontend.ConvBlock",
    "kws.models.frontend.tokens_of",
    "kws.models.transformer.TransformerEncoder",
)
_05 = Assignment(
    number="05",
    slug="keyword_transformer",
    title="The keyword transformer",
    tasks=(
        Task(
            id="5.1",
            title="Tokens and their memory",
            names=("count_tokens", "attention_bytes"),
        ),
        Task(id="5.2", title="The stem", names=("Stem",), forbidden=_KEYWORD),
        Task(id="5.3", title="The class token", names=("ClassToken",)),
        Task(
            id="5.4",
            title="The keyword transformer",
            names=("KeywordTransformer",),
            after=("5.1", "5.2", "5.3"),
            forbidden=_KEYWORD,
        ),
        Task(
            id="5.5",
            title="Predict the parameter count",
            names=("keyword_parameters",),
            after=("5.4",),
        ),
        Task(
            id="5.6",
            title="Twelve words in a minute",
            names=("small_model", "recipe"),
            after=("5.4",),
            forbidden=("kws.models.recurrent.Crnn", "kws.models.bc_resnet.BcResNet"),
        ),
        Task(
            id="5.7",
            title="The confusion matrix",
            names=("confusion_matrix",),
        ),
        Task(id="5.8", title='"I do not know"', names=("with_threshold",)),
        Task(
            id="5.9",
            title="The table for Kaggle",
            names=("kaggle_table",),
            forbidden=("kws.protocols.get_protocol", "kws.protocols.PROTOCOLS"),
        ),
    ),
    withheld=(
        "kws.inference.attention_maps",
        "kws.inference.confusion",
        "kws.inference.thresholds",
        "kws.models.keyword_transformer",
        "kws.models.counts",
    ),
    weights=True,
)

_UNFOLD = ("torch.nn.functional.unfold", "torch.nn.Unfold")
_INTERPOLATE = (
    "torch.nn.functional.interpolate",
    "torch.nn.functional.upsample",
    "torch.nn.functional.grid_sample",
    "torch.grid_sampler",
    "torch.grid_sampler_2d",
    "torch.nn.Upsample",
)
_AST = (
    "kws.models.spectrogram_transformer.SpectrogramTransformer",
    "kws.models.transformer.TransformerEncoder",
)
_06 = Assignment(
    number="06",
    slug="spectrogram_image",
    title="The spectrogram as an image",
    tasks=(
        Task(
            id="6.1",
            title="Patches",
            names=("count_patches", "cut_patches"),
            forbidden=(*_UNFOLD, "kws.models.patches.cut_patches"),
        ),
        Task(
            id="6.2",
            title="Patch embedding",
            names=("PatchEmbedding",),
            after=("6.1",),
            forbidden=(*_UNFOLD, "kws.models.patches.PatchEmbedding"),
        ),
        Task(
            id="6.3",
            title="Where",
            names=("sinusoids_2d", "GridPositions", "SplitPositions"),
            forbidden=("kws.models.positions_2d",),
        ),
        Task(
            id="6.4",
            title="Another size",
            names=("linear_weights", "resize", "cut_middle"),
            forbidden=(*_INTERPOLATE, "kws.models.positions_2d"),
        ),
        Task(
            id="6.5",
            title="Patchout",
            names=("structured", "unstructured"),
            forbidden=("kws.models.patchout",),
        ),
        Task(
            id="6.6",
            title="The spectrogram transformer",
            names=("SpectrogramTransformer", "ast_parameters"),
            after=("6.1", "6.2", "6.3", "6.5"),
            forbidden=_AST,
        ),
        Task(id="6.7", title="Predict the speed-up", names=("cost",)),
        Task(
            id="6.8",
            title="Carry over",
            names=("carry_over", "groups"),
            after=("6.4",),
            forbidden=("kws.training.carry_over",),
        ),
        Task(
            id="6.9",
            title="Few shots",
            names=("few_shot_rows", "small_model", "recipe"),
            after=("6.6",),
            forbidden=("kws.data.few_shot.few_shot_rows",),
        ),
    ),
    withheld=(
        "kws.data.few_shot",
        "kws.models.ast_weights",
        "kws.models.patches",
        "kws.models.patchout",
        "kws.models.positions_2d",
        "kws.models.spectrogram_transformer",
        "kws.training.carry_over",
    ),
    weights=True,
)

_EDITS = ("torchaudio.functional.edit_distance",)
_DECODER = (
    "torch.nn.MultiheadAttention",
    "torch.nn.functional.multi_head_attention_forward",
    "torch.nn.TransformerEncoderLayer",
    "torch.nn.TransformerEncoder",
    "torch.nn.Transformer",
    "torch.nn.TransformerDecoderLayer",
    "torch.nn.TransformerDecoder",
)
_CTC = (
    "torch.nn.functional.ctc_loss",
    "torch.nn.CTCLoss",
    "torch.ctc_loss",
    "torchaudio.functional.forced_align",
    "torchaudio.functional.merge_tokens",
    "torchaudio.functional.rnnt_loss",
)
_07 = Assignment(
    number="07",
    slug="speech_to_text",
    title="Speech to text",
    tasks=(
        Task(
            id="7.1",
            title="Count the errors",
            names=("count_edits", "word_error_rate"),
            forbidden=_EDITS,
        ),
        Task(id="7.2", title="Fewer frames", names=("subsampled", "ConvSubsampling")),
        Task(id="7.3", title="Attention in two dimensions", names=("attend_2d",)),
        Task(
            id="7.4",
            title="The decoder layer",
            names=("causal_mask", "CrossAttention", "DecoderLayer"),
            forbidden=_DECODER,
        ),
        Task(
            id="7.5",
            title="Teacher forcing",
            names=("shift", "smoothed_loss"),
            forbidden=("torch.nn.functional.cross_entropy", "torch.nn.CrossEntropyLoss"),
        ),
        Task(
            id="7.6",
            title="CTC: without knowing when",
            names=("collapse", "frames_needed", "ctc_loss"),
            forbidden=_CTC,
        ),
        Task(id="7.7", title="Greedy search", names=("greedy",)),
        Task(
            id="7.8",
            title="Beam search, and a second opinion",
            names=("beam_search", "joint_step"),
        ),
        Task(
            id="7.9",
            title="A recognizer",
            names=("SpeechTransformer", "joint_loss", "recipe"),
            after=("7.2", "7.4", "7.5"),
            forbidden=("torch.nn.Transformer", "torch.nn.TransformerDecoder"),
        ),
    ),
    withheld=(
        "kws.decoding.beam",
        "kws.decoding.greedy",
        "kws.decoding.joint",
        "kws.models.attention_2d",
        "kws.models.ctc",
        "kws.models.decoder",
        "kws.models.speech_transformer",
        "kws.training.transcription",
        "kws.word_errors",
    ),
    weights=True,
)

_REPEAT = ("torch.repeat_interleave", "torch.Tensor.repeat_interleave")
_08 = Assignment(
    number="08",
    slug="text_to_speech",
    title="Speech from text",
    tasks=(
        Task(
            id="8.1",
            title="Durations",
            names=("frames_of",),
            forbidden=("kws.data.durations.frames_of",),
        ),
        Task(
            id="8.2",
            title="The length regulator",
            names=("regulate", "paced"),
            forbidden=(*_REPEAT, "kws.models.length_regulator"),
        ),
        Task(
            id="8.3",
            title="The block",
            names=("FftBlock", "duration_loss", "frames_from"),
            forbidden=("kws.models.fft_block",),
        ),
        Task(
            id="8.4",
            title="What Transformer-TTS needs",
            names=(
                "ScaledPositions",
                "PreNet",
                "shifted",
                "stop_targets",
                "stop_loss",
                "guide_weights",
                "guided_loss",
            ),
            forbidden=(
                "torch.nn.functional.binary_cross_entropy_with_logits",
                "torch.nn.BCEWithLogitsLoss",
                "torch.binary_cross_entropy_with_logits",
                "kws.models.transformer_tts",
            ),
        ),
        Task(
            id="8.5",
            title="From mels to sound",
            names=("mel_to_power", "griffin_lim"),
            forbidden=("torchaudio", "kws.griffin_lim"),
        ),
        Task(
            id="8.6",
            title="Say it",
            names=("FastSpeech", "speech_loss", "recipe"),
            after=("8.2", "8.3", "8.4"),
            forbidden=("kws.models.fastspeech", "kws.training.synthesis"),
        ),
    ),
    withheld=(
        "kws.data.durations",
        "kws.griffin_lim",
        "kws.cli.say",
        "kws.inference.synthesizer",
        "kws.models.fastspeech",
        "kws.models.fft_block",
        "kws.models.length_regulator",
        "kws.models.transformer_tts",
        "kws.training.synthesis",
    ),
    weights=True,
)

_CODEBOOK = ("kws.models.codebook", "kws.models.codec")
_09 = Assignment(
    number="09",
    slug="codes",
    title="Codes and a prior",
    tasks=(
        Task(
            id="9.1",
            title="How long is a song?",
            names=("code_rate", "bit_rate", "context_seconds"),
        ),
        Task(
            id="9.2",
            title="The nearest code",
            names=("nearest", "perplexity"),
            forbidden=_CODEBOOK,
        ),
        Task(
            id="9.3",
            title="Straight through",
            names=("quantize",),
            after=("9.2",),
            forbidden=_CODEBOOK,
        ),
        Task(
            id="9.4",
            title="A codebook that follows",
            names=("follow", "restart"),
            forbidden=_CODEBOOK,
        ),
        Task(
            id="9.5",
            title="The codec",
            names=("Codebook", "Codec"),
            after=("9.2", "9.3", "9.4"),
            forbidden=_CODEBOOK,
        ),
        Task(
            id="9.6",
            title="A prior",
            names=("bigram", "CodePrior", "nats"),
            forbidden=("kws.models.code_prior",),
        ),
        Task(
            id="9.7",
            title="Sampling",
            names=("probabilities", "generate"),
            forbidden=("kws.decoding.sampling",),
        ),
        Task(
            id="9.8",
            title="Hand in",
            names=("CodeModel", "encode_mels", "decode_codes"),
            after=("9.5", "9.6"),
            forbidden=(*_CODEBOOK, "kws.models.code_prior"),
        ),
    ),
    withheld=(
        "kws.decoding.sampling",
        "kws.models.code_prior",
        "kws.models.codebook",
        "kws.models.codec",
    ),
    weights=True,
)

ASSIGNMENTS: Mapping[str, Assignment] = MappingProxyType(
    {one.number: one for one in (_01, _02, _03, _04, _05, _06, _07, _08, _09)}
)


def get_assignment(number: str) -> Assignment:
    """The assignment called "02" (or "2"); UsageError, with those there are, for another."""
    found = ASSIGNMENTS.get(number.zfill(2))
    if found is None:
        there = ", ".join(ASSIGNMENTS)
        raise UsageError(f"assignment {number!r} does not exist: choose one of {there}")
    return found

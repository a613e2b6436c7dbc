# %% [markdown]
# # 4. Conformer
#
# **You will build** the encoder that most speech recognizers of today are made of: attention for
# the whole utterance, convolution for the neighborhood. With a classifier on top it will name the
# speaker of a sentence, and you will find out what the normalization in front of the classifier
# is worth.
# **You need** notebooks 2 and 3. What you built there comes with the package from here on:
# `MultiHeadSelfAttention` and `mean_pool`.
# **Time** about three hours; the notebook itself runs in two to three minutes, without a GPU.
#
# As before: fill in each **TODO**, run the check below it, keep the names of functions and classes.
#
# Shape letters: `B` batch, `T` frames, `D` model width, `E` feed-forward width, `K` kernel size,
# `F` mel bands, `C` speakers. `valid` (B, T) is True on real frames and False on padding.
#
# Source: Gulati et al. 2020, *Conformer: Convolution-augmented Transformer for Speech Recognition*,
# <https://arxiv.org/abs/2005.08100>, figures 1 to 4.

# %% tags=["export"]
import torch
import torch.nn.functional as F
from torch import nn

from kws.models.attention import MultiHeadSelfAttention
from kws.models.batch_norm import MaskedBatchNorm
from kws.models.pooling import mean_pool

_ = torch.manual_seed(0)

# %%
import math
import time

import matplotlib.pyplot as plt
import torchaudio
from safetensors.torch import save_file

from kws.checking import check, expect_close, expect_equal
from kws.data.embedded.speaker_corpus import make_speaker_corpus
from kws.data.speakers import load_speakers
from kws.files import cache_dir
from kws.metrics import Proportion
from kws.training.schedule import cosine_warmup

# %% [markdown]
# ## 4.1 A gate
#
# A layer can decide how much of its output to let through. It makes twice as many columns as it
# needs: the first half is *what* to say, the second half *how loudly*. A sigmoid turns the second
# half into a factor between 0 and 1 (Dauphin et al. 2017, <https://arxiv.org/abs/1612.08083>):
#
# $$\mathrm{glu}(x) = x_{\text{first half}} \cdot \sigma(x_{\text{second half}})$$
#
# **Before you go on:** what comes out where the second half is 0, and where it is very negative?


# %% tags=["export"]
def gated_linear_unit(x):
    """x (..., 2D) -> (..., D): the first half of the columns, gated by the second."""
    # BEGIN SOLUTION 4.1
    #: Cut the last axis into two halves.
    content, gate = x.chunk(2, dim=-1)
    #: Return the first, times the sigmoid of the second.
    return content * gate.sigmoid()
    # END SOLUTION


# %% [markdown]
# The sigmoid of 0 is 1/2, that of $\ln 3$ is $3/4$: out of 6 and 8 come 3 and 6.

# %% tags=["check"]
x = torch.tensor([[6.0, 8.0, 0.0, math.log(3)]])
with check("4.1-gate-by-hand", "the gate agrees with pencil and paper"):
    suspects = {
        "the second half is the gate, the first half the content": x[:, 2:] * x[:, :2].sigmoid(),
        "is there a sigmoid?": torch.tensor([[0.0, 8 * math.log(3)]]),
        "a sigmoid takes each column by itself: is it a softmax?": torch.tensor([[1.5, 6.0]]),
        "halves stand side by side: columns 0 ... D - 1, then D ... 2D - 1": x[:, ::2]
        * x[:, 1::2].sigmoid(),
    }
    expect_close("gated_linear_unit(x)", gated_linear_unit(x), [[3.0, 6.0]], suspects)

# %%
time_axis = torch.linspace(0, 1, 400)
content = torch.sin(2 * torch.pi * 12 * time_axis)
gate = 8 * torch.sin(2 * torch.pi * 2 * time_axis)
gated = gated_linear_unit(torch.stack([content, gate], dim=-1))[:, 0]
figure, axes = plt.subplots(figsize=(6, 2.8), layout="constrained")
axes.plot(time_axis, content, color="lightgray", label="first half: content")
axes.plot(time_axis, gate.sigmoid(), "--", label="σ(second half): gate")
axes.plot(time_axis, gated, label="gated")
axes.set(xlabel="time (s)", ylabel="value", ylim=(-1.1, 1.6))
_ = axes.legend(frameon=False, loc="upper center", ncols=3)

# %% [markdown]
# **Think:** the Conformer's activation is $\mathrm{silu}(x) = x\,\sigma(x)$, also called swish. Of
# which `x` is it the gate?
#
# ## 4.2 Look at the neighbors
#
# Attention sees everything and knows no order; a frame's neighbors matter most all the same. A
# convolution along time looks at `K` frames around each frame. *Depthwise* means that each column
# has a kernel of its own and sees no other column:
#
# $$y_{t,d} = b_d + \sum_{j=0}^{K-1} w_{d,j}\; x_{t + j - (K-1)/2,\;d}$$
#
# Beyond both ends of an utterance there is nothing, so zeros are taken. **And padding is beyond the
# end**, whatever numbers stand there (be it NaN): put zeros in their place first. (`nn.Conv1d`
# wants (B, D, T): swap the axes, and swap them back.)
#
# **Before you go on:** how many parameters has this for `D = 80` and `K = 31`, and how many an
# ordinary `nn.Conv1d(80, 80, 31)`?


# %% tags=["export"]
class DepthwiseConv(nn.Module):
    """x (B, T, D), valid (B, T) bool or None -> (B, T, D); kernel_size is odd."""

    def __init__(self, d_model, kernel_size):
        super().__init__()
        # BEGIN SOLUTION 4.2
        #: Refuse an even kernel_size with a ValueError: it has no middle.
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size} must be odd to keep T unchanged")
        #: Make an nn.Conv1d of D columns in D groups, padded so that T stays what it is.
        self.conv = nn.Conv1d(
            d_model, d_model, kernel_size, padding=kernel_size // 2, groups=d_model
        )
        # END SOLUTION

    def forward(self, x, valid=None):
        # BEGIN SOLUTION 4.2
        #: Where valid is given, set the padded frames to zero.
        if valid is not None:
            x = x.masked_fill(~valid[..., None], 0)
        #: Convolve along time, and return (B, T, D).
        return self.conv(x.mT).mT
        # END SOLUTION


# %% [markdown]
# Three columns, `K = 3`: the kernels (1, 0, 0), (0, 1, 0) and (0, 0, 1) take the frame before, the
# frame itself, and the frame after. The fourth frame is padding, and 9 must not get out of it.

# %% tags=["check"]
with check("4.2-depthwise-by-hand", "each column has its own kernel, and padding counts as zero"):
    convolution = DepthwiseConv(3, kernel_size=3)
    with torch.no_grad():
        for parameter in convolution.parameters():
            parameter.copy_(torch.eye(3)[:, None] if parameter.ndim == 3 else torch.zeros(3))
    x = torch.tensor([1.0, 2, 3, 9])[None, :, None].expand(1, 4, 3)
    valid = torch.tensor([[True, True, True, False]])
    expected = torch.tensor([[[0.0, 1, 2], [1, 2, 3], [2, 3, 0]]])
    hint = "is the padding set to zero before the convolution?"
    suspects = {hint: torch.cat([expected[:, :2], torch.tensor([[[2.0, 3, 9]]])], 1)}
    actual = convolution(x, valid)
    shapes = {
        "swap the axes back": (1, 3, 4),
        "without a padding of (K - 1) / 2 at both ends frames get lost": (1, 2, 3),
    }
    expect_equal("the shape of convolution(x, valid)", tuple(actual.shape), (1, 4, 3), shapes)
    expect_close("convolution(x, valid), real frames,", actual[:, :3], expected, suspects)

# %% [markdown]
# **Think:** two such layers, one after the other. How many frames does the second one see of the
# input, and which layer must hide the padding again?
#
# ## 4.3 The convolution module
#
# Figure 2 of the paper, from left to right:
#
# | | |
# |---|---|
# | layer norm | numbers near 1, whatever comes in |
# | pointwise, `D` to `2D` | a linear layer: each frame by itself |
# | gate | section 4.1, back to `D` |
# | depthwise | section 4.2 |
# | batch norm | each *column* gets mean 0 and variance 1, over all frames of the batch |
# | silu | |
# | pointwise, `D` to `D` | |
#
# "All frames of the batch" must not mean the padded ones: `MaskedBatchNorm(D, channels_last=True)`
# takes `(x, valid)` and leaves them out. It is given, because a batch norm is not today's subject.
#
# **Before you go on:** add up the parameters. It should be $3 D^2 + (8 + K) D$.


# %% tags=["export"]
class ConvolutionModule(nn.Module):
    """x (B, T, D), valid (B, T) bool or None -> (B, T, D), without the detour around it."""

    def __init__(self, d_model, kernel_size):
        super().__init__()
        # BEGIN SOLUTION 4.3
        #: Make the seven parts of the table; gate and silu need no module.
        self.norm = nn.LayerNorm(d_model)
        self.expand = nn.Linear(d_model, 2 * d_model)
        self.depthwise = DepthwiseConv(d_model, kernel_size)
        self.norm_columns = MaskedBatchNorm(d_model, channels_last=True)
        self.contract = nn.Linear(d_model, d_model)
        # END SOLUTION

    def forward(self, x, valid=None):
        # BEGIN SOLUTION 4.3
        #: Normalize, widen, gate.
        x = gated_linear_unit(self.expand(self.norm(x)))
        #: Convolve, and normalize the columns: both need valid.
        x = self.norm_columns(self.depthwise(x, valid), valid)
        #: Apply silu and the second pointwise layer.
        return self.contract(F.silu(x))
        # END SOLUTION


# %% [markdown]
# The frame (1, 3) becomes (-1, 1). With an identity on top of zeros for the first pointwise layer
# the gate is $\sigma(0) = 1/2$ everywhere, and (-0.5, 0.5) goes on. A kernel with a single 1 in
# its middle changes nothing, nor does a fresh batch norm that is not training. So the answer is
# $\mathrm{silu}(\mp 0.5) = \mp 0.5\,\sigma(\mp 0.5)$.


# %%
def with_identities(module):
    """Matrices become identities, kernels a 1 in the middle, biases zero; norms keep their ones."""
    with torch.no_grad():
        for p in module.parameters():
            eye = torch.eye(p.shape[0], p.shape[1] if p.ndim > 1 else 1)
            middle = torch.arange(p.shape[-1]) == p.shape[-1] // 2
            if p.ndim == 3:
                p.copy_((eye[..., None] if p.shape[1] > 1 else 1) * middle)
            elif not (p == 1).all():
                p.copy_(eye if p.ndim == 2 else torch.zeros(len(p)))
    return module


# %% tags=["check"]
with check("4.3-module-by-hand", "the convolution module agrees with pencil and paper"):
    module = with_identities(ConvolutionModule(2, kernel_size=3)).eval()
    x, half = torch.tensor([[[1.0, 3.0]]]), torch.tensor([[[-0.5, 0.5]]])
    suspects = {
        "is there a silu after the batch norm?": half,
        "is the input normalized first?": F.silu(x / 2),
        "the activation is silu": F.relu(half),
        "the detour belongs to the block, not to the module": x + half * half.sigmoid(),
    }
    expect_close("module(x)", module(x), half * half.sigmoid(), suspects, atol=1e-4)

# %% [markdown]
# **Think:** a batch norm looks at the other utterances of the batch. Is the answer to an utterance
# then still its own? What is different after `.eval()`?
#
# ## 4.4 The feed-forward module
#
# The Transformer's feed-forward network with two changes: silu in place of ReLU, and a layer norm
# *in front* (**pre-norm**), so that each branch of the block sees numbers near 1 and the detour
# around it is never normalized away.


# %% tags=["export"]
class FeedForwardModule(nn.Module):
    """x (B, T, D) -> (B, T, D), each frame by itself, without the detour around it."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        # BEGIN SOLUTION 4.4
        #: A layer norm, a linear layer D to E, a linear layer E to D.
        self.norm = nn.LayerNorm(d_model)
        self.expand = nn.Linear(d_model, d_ff)
        self.contract = nn.Linear(d_ff, d_model)
        # END SOLUTION

    def forward(self, x):
        # BEGIN SOLUTION 4.4
        #: Normalize, widen, apply silu, narrow.
        return self.contract(F.silu(self.expand(self.norm(x))))
        # END SOLUTION


# %% tags=["check"]
with check("4.4-feed-forward-by-hand", "the feed-forward module agrees with pencil and paper"):
    module = with_identities(FeedForwardModule(2, d_ff=3))
    one = torch.tensor([[[-1.0, 1.0]]])  # (1, 3), normalized
    suspects = {
        "silu, not ReLU": one.relu(),
        "is the input normalized first?": F.silu(torch.tensor([[[1.0, 3.0]]])),
        "is there a silu between the two layers, and the norm in front of both?": one,
        "the detour belongs to the block, not to the module": F.silu(one) + one * one + one + 1,
    }
    expect_close(
        "module(x)", module(torch.tensor([[[1.0, 3.0]]])), F.silu(one), suspects, atol=1e-4
    )

# %% [markdown]
# ## 4.5 The block
#
# A macaron is two half shells around a filling. The block has two feed-forward modules that go
# *half* a step each, around attention and convolution; a norm closes it:
#
# $$\begin{aligned}
# x &\leftarrow x + \tfrac12\,\mathrm{feedforward}_1(x) \\
# x &\leftarrow x + \mathrm{attention}(\mathrm{norm}(x)) \\
# x &\leftarrow x + \mathrm{convolution}(x) \\
# x &\leftarrow x + \tfrac12\,\mathrm{feedforward}_2(x) \\
# x &\leftarrow \mathrm{norm}(x)
# \end{aligned}$$
#
# (The paper's attention knows distances, as in Transformer-XL. Ours does not: the convolution in
# front of the next block tells it about order.)


# %% tags=["export"]
class ConformerBlock(nn.Module):
    """x (B, T, D), valid (B, T) bool or None -> (B, T, D), no dropout."""

    def __init__(self, d_model, num_heads, d_ff, kernel_size):
        super().__init__()
        # BEGIN SOLUTION 4.5
        #: Two FeedForwardModules: the shells are not the same.
        self.first_half = FeedForwardModule(d_model, d_ff)
        self.second_half = FeedForwardModule(d_model, d_ff)
        #: A layer norm in front of a MultiHeadSelfAttention(d_model, num_heads).
        self.norm_attention = nn.LayerNorm(d_model)
        self.attention = MultiHeadSelfAttention(d_model, num_heads)
        #: A ConvolutionModule, and the layer norm at the end.
        self.convolution = ConvolutionModule(d_model, kernel_size)
        self.norm = nn.LayerNorm(d_model)
        # END SOLUTION

    def forward(self, x, valid=None):
        # BEGIN SOLUTION 4.5
        #: Half a step with the first feed-forward module.
        x = x + 0.5 * self.first_half(x)
        #: A step with attention, normalized in front; it needs valid.
        x = x + self.attention(self.norm_attention(x), valid)
        #: A step with the convolution module; it needs valid, too.
        x = x + self.convolution(x, valid)
        #: Half a step with the second feed-forward module, and the last norm.
        x = x + 0.5 * self.second_half(x)
        return self.norm(x)
        # END SOLUTION


# %% [markdown]
# Silence all matrices, and let both shells always say (2, -2, 2, -2). Two halves are one: out of
# (1, 1, -1, -1) comes (3, -1, 1, -3), with mean 0 and variance 5.

# %% tags=["check"]
with check("4.5-block-by-hand", "two half steps make a whole one"):
    block = ConformerBlock(4, num_heads=2, d_ff=3, kernel_size=3).eval()
    says = torch.tensor([2.0, -2, 2, -2])
    with torch.no_grad():
        for module in block.modules():
            shell = isinstance(module, FeedForwardModule)
            for p in module.parameters() if shell or module is block else ():
                if not (p == 1).all():
                    p.copy_(says if shell and p.shape == (4,) else torch.zeros_like(p))
    x = torch.tensor([[[1.0, 1, -1, -1]]])
    suspects = {
        "is each feed-forward step only half a step?": F.layer_norm(x + 2 * says, (4,)),
        "is there a feed-forward module at each end?": F.layer_norm(x + says / 2, (4,)),
        "is there a norm at the end?": x + says,
    }
    expect_close("block(x)", block(x), F.layer_norm(x + says, (4,)), suspects, atol=1e-4)

# %% [markdown]
# **Think:** why is there a norm at the end of the block, when every branch begins with one?
#
# ## 4.6 A stack, and its count
#
# The encoder is `num_layers` blocks of their own. Count before you build: with $D$, $E$, $K$ as
# above, add the parameters of one block: two feed-forward modules, attention with its norm, the
# convolution module of section 4.3, and the last norm. Norms have $2D$ each, attention
# $4D^2 + 4D$.


# %% tags=["export"]
class ConformerEncoder(nn.Module):
    """x (B, T, D), valid (B, T) bool or None -> (B, T, D): num_layers blocks of their own."""

    def __init__(self, d_model, num_heads, d_ff, kernel_size, num_layers):
        super().__init__()
        # BEGIN SOLUTION 4.6
        #: Make num_layers separate ConformerBlocks, in an nn.ModuleList.
        self.blocks = nn.ModuleList(
            ConformerBlock(d_model, num_heads, d_ff, kernel_size) for _ in range(num_layers)
        )
        # END SOLUTION

    def forward(self, x, valid=None):
        # BEGIN SOLUTION 4.6
        #: Send x through one block after the other; each of them needs valid.
        for block in self.blocks:
            x = block(x, valid)
        return x
        # END SOLUTION


def conformer_parameters(d_model, d_ff, kernel_size, num_layers):
    """The number of parameters of `ConformerEncoder`, without building one."""
    # BEGIN SOLUTION 4.6
    #: Two feed-forward modules: a norm, and two matrices with their biases.
    shells = 2 * (2 * d_model + 2 * d_model * d_ff + d_ff + d_model)
    #: Attention and its norm.
    attention = 4 * d_model**2 + 4 * d_model + 2 * d_model
    #: The convolution module, and the last norm.
    convolution = 3 * d_model**2 + (8 + kernel_size) * d_model
    #: Return the sum, times the number of layers.
    return num_layers * (shells + attention + convolution + 2 * d_model)
    # END SOLUTION


# %% [markdown]
# torchaudio's Conformer has the same parts: four layers, `D = 80`, `E = 128`, `K = 31`: 361,024.


# %% tags=["check"]
def count(module):
    """Trainable numbers; what is used twice counts once."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


with check(
    "4.6-encoder-counts", "the formula gives the count of a published encoder, and of yours"
):
    published = conformer_parameters(80, 128, 31, num_layers=4)
    suspects = {
        "is every block counted?": 361_024 // 4,
        "are there two feed-forward modules?": 361_024 - 4 * 20_848,
        "are the norms counted: one for each branch, and the last one?": 361_024 - 4 * 160,
    }
    expect_equal("conformer_parameters(80, 128, 31, 4)", published, 361_024, suspects)
    three, one = count(ConformerEncoder(6, 2, 5, 3, 3)), count(ConformerBlock(6, 2, 5, 3))
    suspects = {"is it one block, used three times?": one}
    expect_equal("parameters of ConformerEncoder(6, 2, 5, 3, 3)", three, 3 * one, suspects)

# %% [markdown]
# A report counted **225.72k** for its Conformer of "three layers" with `D = 80` and two
# feed-forward networks of 500. How many blocks is that?

# %%
for layers in (1, 3):
    print(f"{layers} block(s): {conformer_parameters(80, 500, 3, num_layers=layers):,}")

# %% [markdown]
# Their block differs from ours in small parts, and still: one block fits, three do not. It was one
# block, used three times — again.
#
# Now the promise of the whole notebook: **what stands in the padding changes no real frame.** We
# make an utterance of 60 frames, pad it to 90, and change the padding only. To compare, the same
# with `torchaudio.models.Conformer`, which hides padding from attention, and from nothing else.

# %%
ours = ConformerEncoder(16, num_heads=2, d_ff=32, kernel_size=15, num_layers=1).eval()
theirs = torchaudio.models.Conformer(16, 2, 32, 1, 15).eval()
quiet, lengths = torch.randn(2, 90, 16), torch.tensor([60, 90])
valid = torch.arange(90) < lengths[:, None]
loud = torch.where(valid[..., None], quiet, 5 * torch.randn(2, 90, 16))
with torch.inference_mode():
    moved = {
        "torchaudio": (theirs(quiet, lengths)[0] - theirs(loud, lengths)[0])[0],
        "yours": (ours(quiet, valid) - ours(loud, valid))[0],
    }
figure, axes = plt.subplots(figsize=(6, 2.8), layout="constrained")
for (name, change), line in zip(moved.items(), ("o-", "s-"), strict=True):
    change = change[:60].abs().amax(-1)
    axes.plot(change, line, markersize=3, label=f"{name}: up to {change.max():.2g}")
axes.set(xlabel="real frame, 59 is the last", ylabel="change of the output", xlim=(40, 60))
axes.set(xticks=range(40, 61, 5))
_ = axes.legend(frameon=False)

# %% [markdown]
# Within half a kernel of the end torchaudio's frames move, because its convolution reads the
# padding. With more layers the leak reaches further; while training, its batch norm carries it to
# every utterance of the batch.
#
# **Think:** somebody evaluates such a model with batches of 1, and again with batches of 64. Are
# the two accuracies equal?
#
# ## 4.7 Who is speaking?
#
# On top of the encoder: the mean over the real frames, a **normalization**, and one linear layer.
# The normalization is the laboratory's finding: *without one in front of the classifier the
# Conformer did not converge.* Why could that be? Each frame leaves the encoder with mean 0 and
# variance 1 over its columns, but the *mean over frames* is much the same vector for every
# speaker: what tells them apart are small differences between utterances. A batch norm takes away
# what all have in common, and makes the differences large. Build both, and try it.
#
# Frames come every 10 ms. Two side by side halve the work: `side_by_side` is given.
#
# The budget is that of notebook 3, **500,000 numbers**, and every block is used once.


# %% tags=["export"]
def side_by_side(mel, valid=None):
    """Pairs of frames, mel (B, T, F) -> (B, T // 2, 2F); a pair is real if both frames are."""
    even = mel[:, : mel.shape[1] // 2 * 2]
    if valid is not None:
        valid = valid[:, : even.shape[1]].unflatten(1, (-1, 2)).all(dim=2)
    return even.unflatten(1, (-1, 2)).flatten(2), valid


class SpeakerConformer(nn.Module):
    """mel (B, T, F), valid (B, T) bool or None -> logits (B, C)."""

    def __init__(self, n_mels, num_speakers, normalize=True):
        super().__init__()
        # BEGIN SOLUTION 4.7
        #: A linear layer from pairs of frames, 2F columns, to a width D of your choice (64 will
        #: do), and a ConformerEncoder (2 blocks, 4 heads, E = 128, K = 15 will do).
        d_model = 64
        self.widen = nn.Linear(2 * n_mels, d_model)
        self.encoder = ConformerEncoder(d_model, 4, 128, 15, num_layers=2)
        #: nn.BatchNorm1d(D) or nn.LayerNorm(D) if normalize, else nn.Identity().
        self.norm = nn.BatchNorm1d(d_model) if normalize else nn.Identity()
        #: A linear layer to the speakers.
        self.classify = nn.Linear(d_model, num_speakers)
        # END SOLUTION

    def forward(self, mel, valid=None):
        # BEGIN SOLUTION 4.7
        #: Put frames side by side, and send them through layer and encoder.
        x, valid = side_by_side(mel, valid)
        x = self.encoder(self.widen(x), valid)
        #: Average the real frames with mean_pool(x, valid).
        x = mean_pool(x, valid)
        #: Normalize, then classify. No softmax: the loss takes logits.
        return self.classify(self.norm(x))
        # END SOLUTION


# %% [markdown]
# The check listens at the last linear layer. While training, what it reads must have been
# normalized: each column over the batch, or each row by itself, has standard deviation 1.

# %% tags=["check"]
with check("4.7-logits", "one logit for each speaker, from normalized features"):
    model = SpeakerConformer(n_mels=40, num_speakers=11)
    heard = []
    for part in model.modules():
        if isinstance(part, nn.Linear) and part.out_features == 11:
            part.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0].detach()))
    lengths = torch.tensor([31, 20, 31, 9, 30])
    logits = model(torch.randn(5, 31, 40), torch.arange(31) < lengths[:, None])
    expect_equal("the shape of model(mel, valid)", tuple(logits.shape), (5, 11))
    spread = torch.stack([heard[0].std(axis, correction=0).mean() for axis in (0, 1)])
    nearest = spread[(spread - 1).abs().argmin()]
    expect_close("the standard deviation of what the last layer reads", nearest, 1.0, atol=0.02)

# %% [markdown]
# The data are those of notebook 3: a hundred voices, eight sentences each to learn from, two to
# choose by, three for testing. If they are not there yet, they are made now (half a minute).

# %%
folder = make_speaker_corpus(cache_dir() / "course-speakers", speakers=100, utterances=10)
data = load_speakers(folder, validation=0.2, seed=0)
print(data.train.describe(), "·", data.validation.describe(), "·", data.test.describe())


# %%
@torch.inference_mode()
def accuracy(model, batches):
    """Share of right answers over batches of (mel, valid, labels, index), with its interval."""
    model.eval()
    right = [(model(mel, valid).argmax(1) == labels) for mel, valid, labels, _ in batches]
    model.train()
    right = torch.cat(right)
    return Proportion(correct=int(right.sum()), n=len(right))


def crops(split):
    """The 128 frames in the middle of every utterance: quick to evaluate, and harder."""
    return split.crop_batches(256)


def whole(split):
    """Every utterance in full, padded to the longest of its batch: what is asked in the end."""
    return split.full_batches(25_600)


# %% [markdown]
# Training is notebook 3's loop: random crops, AdamW, a warm-up and half a cosine.


# %%
def fit(model, steps, lr, seed=0, batch_size=32):
    """Train on crops; returns rows of (step, mean loss since the last row, accuracy on crops)."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    history, losses = [], []
    for step in range(steps):
        rows = torch.randint(len(data.train), (batch_size,), generator=generator)
        mel, valid = data.train.crops(rows, generator)
        share = cosine_warmup(step, warmup_steps=50, total_steps=steps)
        optimizer.param_groups[0]["lr"] = lr * share
        loss = F.cross_entropy(model(mel, valid), data.train.labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if (step + 1) % 50 == 0:
            correct = accuracy(model, crops(data.validation)).value
            history.append((step + 1, sum(losses[-50:]) / 50, correct))
    return history


# %% [markdown]
# ### The ablation
#
# Two models from the same seed, on the same crops, one with a normalization and one without. Write
# down what you expect before you run it.

# %%
histories = {}
for normalize in (True, False):
    torch.manual_seed(1)
    name = "with normalization" if normalize else "without"
    model, start = SpeakerConformer(40, len(data.speakers), normalize), time.time()
    histories[name] = fit(model, steps=400, lr=1e-3)
    seconds = time.time() - start
    print(f"{name}: {seconds:.0f} s, whole utterances {accuracy(model, whole(data.validation))}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for (name, history), line in zip(histories.items(), ("o-", "s--"), strict=True):
    steps, losses, shares = zip(*history, strict=True)
    left.plot(steps, losses, line, label=name)
    right.plot(steps, [100 * share for share in shares], line, label=name)
left.axhline(math.log(len(data.speakers)), color="gray", linewidth=0.8, label="guessing: ln 100")
left.set(xlabel="optimizer step", ylabel="training loss (nats)", ylim=(0, 5))
right.set(xlabel="optimizer step", ylabel="validation accuracy, crops (%)", ylim=(0, 100))
_ = left.legend(frameon=False)

# %% [markdown]
# What we saw, with this seed and with others: **here the finding does not hold as it was told.**
# Without a normalization our Conformer converges too, only a little later and a little lower (on
# the 300 test sentences 88.7 % in place of 91.7 % after these 400 steps; with three times the
# learning rate and 600 steps 97.3 % in place of 99.7 %; the intervals overlap). The report's models
# differ from ours in more than that one line, so its sentence is about *its* Conformer. That is how
# findings are: they come with their conditions.
#
# **Think:** what would you have to keep equal, and how many seeds would you need, to write
# "does not converge without" yourself?
#
# ### Your model
#
# Train the one that you hand in: more steps, a higher learning rate. It is graded by what it says
# about sentences of the same voices that nobody has heard: all the points for what our own recipe
# reaches with any seed, a part of them from half of that on.

# %%
torch.manual_seed(0)
model = SpeakerConformer(40, len(data.speakers))
history = fit(model, steps=600, lr=3e-3)
save_file(model.state_dict(), "04_conformer.safetensors")

# %% [markdown]
# Validation on crops and on whole utterances are two measurements. Keep them in two columns.

# %%
print(f"{'':12}{'crops of 128 frames':>24}{'whole utterances':>24}")
for name, split in (("validation", data.validation), ("test", data.test)):
    measured = [accuracy(model, batches(split)) for batches in (crops, whole)]
    print(f"{name:12}", *(f"{100 * one.value:15.1f} % (n={one.n})" for one in measured))

# %% [markdown]
# **Think:** the test sentences hold no word of the training sentences, and still the model knows
# the voice. Which parts of the spectrogram can it have learned from? And how would your number
# change if the same sentence had been said by all?

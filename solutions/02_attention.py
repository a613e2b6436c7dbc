# %% [markdown]
# # 2. Attention
#
# **You will build** a Transformer encoder out of nothing but matrix products: attention, heads,
# positional encoding, an encoder layer with residual connections, a stack of layers, and a formula
# that predicts its parameter count.
# **You need** notebook 1, and pencil and paper: every check is small enough to do by hand.
# **Time** about three hours; the notebook itself runs in seconds, without a GPU.
#
# Each **TODO** lists what is missing, in numbered steps. The cell below it checks your answer at
# once. Replace the line `raise NotImplementedError(...)` last, and keep the names of functions and
# classes: the grader looks for them. Names *inside* them are yours to choose. Answers use public
# names: nothing of a library that begins with `_`, no `torch.ops`, no `eval` or `inspect`, no file.
#
# Shape letters: `B` batch, `T` query frames, `S` key frames (in self-attention `S = T`),
# `D` model width, `H` heads, `K` width of one head (`D = H * K`), `E` feed-forward width.
#
# Source: Vaswani et al. 2017, *Attention Is All You Need*, <https://arxiv.org/abs/1706.03762>. The
# student report of notebook 5 recommends the videos of 3Blue1Brown, who draws attention, and of
# Karpathy, who writes a GPT.

# %% tags=["export"]
import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

_ = torch.manual_seed(0)

# %%
import matplotlib.pyplot as plt

from kws.course.checking import check, check_values, expect_close, expect_equal
from kws.course.diagrams import diagram

# %%
diagram("encoder")

# %% [markdown]
# ## 2.1 A weighted average
#
# A vowel at 0.3 s is easier to recognize when you have heard the consonant at 0.2 s. So each frame
# attends to all frames. Each frame has a *query* `q` (what it looks for), a *key* `k` (what
# it is compared by) and a *value* `v` (what it passes on). The **attention score** of a query and a
# key is their dot product; the softmax of the scores gives the **attention weights**; the output is
# the average of the values under these weights:
#
# $$\mathrm{attend}(Q, K, V) = \mathrm{softmax}\!\left(\frac{Q K^\top}{\sqrt{K}}\right) V$$
#
# (The $K$ under the root is the width of a head. The dot product of two vectors of $K$ standard
# normal numbers has standard deviation $\sqrt{K}$; divided by it, the scores have standard
# deviation 1 at any width. Hence the paper's name, *scaled dot-product attention*.)
#
# Utterances of different lengths share a batch, so the short ones are padded. `valid` is the mask:
# True on real frames and False on padding. Padded keys get attention weight zero.
#
# **Before you go on**, write down the shape of $Q K^\top$ for `q` (2, 3, 7, 5) and `k`
# (2, 3, 11, 5).
#
# <details><summary>An answer</summary>
#
# (2, 3, 7, 11): a score for each of the 7 queries and 11 keys, in every head of every utterance.
#
# </details>
#
# **Contract.** `attend(q, k, v, valid=None)`: q (B, H, T, K), k and v (B, H, S, K), valid (B, S)
# bool or None → (B, H, T, K). Use tensor operations and `softmax`; the attention
# functions of a library, `F.scaled_dot_product_attention` for one, do not count as an answer.

# %%
diagram("attention")


# %% tags=["export"]
def attend(q, k, v, valid=None):
    """q (B, H, T, K), k and v (B, H, S, K), valid (B, S) bool or None -> (B, H, T, K)."""
    # BEGIN SOLUTION 2.1
    #: Score every query against every key: (B, H, T, S), divided by the root of K.
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    #: If valid is given, set the scores of padded keys (columns, not rows) to minus infinity.
    if valid is not None:
        scores = scores.masked_fill(~valid[:, None, None, :], -math.inf)
    #: Take the softmax over the keys: each query's attention weights.
    weights = scores.softmax(dim=-1)
    #: Return the average of the values under these weights.
    return weights @ v
    # END SOLUTION


# %% [markdown]
# Two queries, two keys, `K = 4`. The first query has the scores 0 and $2 \ln 3 / \sqrt 4 = \ln 3$.
# Their softmax is $(1/4, 3/4)$, and $1/4 \cdot 8 + 3/4 \cdot 4 = 5$. The second query is zero, so
# it averages 8 and 4 evenly: 6. The same utterance a second time, with its second key padded:
# twice 8.

# %% tags=["check"]
q = torch.tensor([[2.0, 0, 0, 0], [0, 0, 0, 0]]).reshape(1, 1, 2, 4)
k = torch.tensor([[0, 0, 0, 0], [math.log(3), 0, 0, 0]]).reshape(1, 1, 2, 4)
v = torch.tensor([[8.0, 0, 0, 0], [4, 0, 0, 0]]).reshape(1, 1, 2, 4)
with check("2.1-attend-by-hand", "attend agrees with pencil and paper"):
    expect_close("attend(q, k, v)[..., 0]", attend(q, k, v)[..., 0], [[[5.0, 6.0]]])
    two = [each.expand(2, -1, -1, -1) for each in (q, k, v)]
    y = attend(*two, torch.tensor([[True, True], [True, False]]))
    expect_close("attend(q, k, v, valid)[..., 0]", y[..., 0], [[[5.0, 6.0]], [[8.0, 8.0]]])
check_values("2.1-attend-values", attend)
check_values("2.1-attend-padding", attend)
check_values("2.1-attend-gradients", attend)

# %% [markdown]
# Why the root? Draw random queries and keys of growing width. Without it the softmax of a wide head
# puts nearly all its weight on one key: it no longer averages, and its gradient is nearly zero.

# %%
widths = [2**n for n in range(1, 11)]
top = {"divided by √K": [], "not divided": []}
for width in widths:
    q, k = torch.randn(2, 1, 1, 500, width)
    one_hot = torch.eye(500)[None, None]  # average these, and out come the weights themselves
    top["divided by √K"].append(attend(q, k, one_hot).amax(-1).mean())
    top["not divided"].append(attend(q * width**0.5, k, one_hot).amax(-1).mean())
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
for (label, weights), line in zip(top.items(), ("o-", "s--"), strict=True):
    axes.semilogx(widths, weights, line, base=2, label=label)
axes.set(xlabel="K, width of a head", ylabel="largest of 500 weights", ylim=(0, 1))
_ = axes.legend(frameon=False)

# %% [markdown]
# **Think:** the scores of padded keys are set to minus infinity *before* the softmax. What goes
# wrong if you set their weights to zero *after* it? And what is the softmax of a row in which every
# key is padded?
#
# <details><summary>An answer</summary>
#
# After the softmax the weights of the real keys no longer sum to 1: part of the sum went to the
# padding, so the output is too small, and depends on the scores of padded keys. If every key of a
# row is padded, all its scores are minus infinity; the softmax divides 0 by 0, and gives NaN.
#
# </details>

# %% [markdown]
# ## 2.2 Heads
#
# One average per frame is not much: a frame may need the last vowel *and* the room's noise. So the
# `D` features are split into `H` heads of `K = D / H` features. Each head computes its own
# attention, and the results are concatenated:
#
# $$(B, T, D) \;\to\; (B, T, H, K) \;\to\; (B, H, T, K) \qquad\text{and back.}$$
#
# **Before you go on:** which features of frame 0 belong to head 1, if `D = 6` and `H = 2`?
#
# <details><summary>An answer</summary>
#
# Features 3, 4 and 5, counted from 0: each head has `K = 6 / 2 = 3` features, and head 0 has the
# first three.
#
# </details>
#
# **Contract.** `split_heads(x, num_heads)`: (B, T, D) → (B, H, T, K). `merge_heads(x)`: (B, H, T,
# K) → (B, T, D). Use any tensor operations that move axes.


# %% tags=["export"]
def split_heads(x, num_heads):
    """x (B, T, D) -> (B, H, T, K): head h gets features h * K to (h + 1) * K of every frame."""
    # BEGIN SOLUTION 2.2
    #: Split the last axis into (H, K).
    x = x.unflatten(-1, (num_heads, -1))
    #: Transpose, so that H comes before T. (A reshape alone would mix frames.)
    return x.transpose(1, 2)
    # END SOLUTION


def merge_heads(x):
    """x (B, H, T, K) -> (B, T, D): the inverse of `split_heads`."""
    # BEGIN SOLUTION 2.2
    #: Transpose H and T back, then join the last two axes.
    return x.transpose(1, 2).flatten(2)
    # END SOLUTION


# %% tags=["check"]
x = torch.arange(12.0).reshape(1, 2, 6)  # frame 0 is 0 ... 5, frame 1 is 6 ... 11
by_hand = torch.tensor([[[[0.0, 1], [6, 7]], [[2, 3], [8, 9]], [[4, 5], [10, 11]]]])
with check("2.2-split-by-hand", "each head gets its own features of every frame"):
    expect_close("split_heads(x, 3)", split_heads(x, 3), by_hand)
    expect_close("merge_heads(split_heads(x, 3))", merge_heads(split_heads(x, 3)), x)
check_values("2.2-heads-values", split_heads, merge_heads)

# %% [markdown]
# ## 2.3 Multi-head self-attention
#
# Where do queries, keys and values come from? From the same frames, by three learned projections
# (linear layers); a fourth projection mixes the heads afterwards:
#
# $$y = W_O\,\mathrm{merge}\big(\mathrm{attend}(\mathrm{split}(W_Q x),\ \mathrm{split}(W_K x),\
# \mathrm{split}(W_V x))\big)$$
#
# All four have a bias, which makes $4 D^2 + 4 D$ parameters, however many heads there are.
# (One packed layer from `D` to `3 D` in place of the first three is allowed, too, in the order
# queries, keys, values.)
#
# **Contract.** `MultiHeadSelfAttention(d_model, num_heads)`; `forward(x, valid=None)`: x (B, T,
# D), valid (B, T) bool or None → (B, T, D), without dropout; padded frames of the output may
# contain anything. Use `nn.Linear` or `nn.Parameter` and your own `attend`, not
# `nn.MultiheadAttention`. `load_attention`, below, loads known weights.


# %% tags=["export"]
class MultiHeadSelfAttention(nn.Module):
    """x (B, T, D), valid (B, T) bool or None -> (B, T, D)."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        # BEGIN SOLUTION 2.3
        #: Remember the number of heads.
        self.num_heads = num_heads
        #: Make four nn.Linear(D, D): for queries, keys, values, and the output.
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
        self.out = nn.Linear(d_model, d_model)
        # END SOLUTION

    def forward(self, x, valid=None):
        # BEGIN SOLUTION 2.3
        #: Project the frames to queries, keys and values, and split each into heads.
        q = split_heads(self.query(x), self.num_heads)
        k = split_heads(self.key(x), self.num_heads)
        v = split_heads(self.value(x), self.num_heads)
        #: Attend (with the mask valid), merge the heads, and apply the output layer.
        return self.out(merge_heads(attend(q, k, v, valid)))
        # END SOLUTION


# %% [markdown]
# The checks compare your module with ours *at the same weights*. `load_attention` copies these
# weights into your module.


# %% tags=["export"]
def load_attention(module, weights):
    """Copy known weights into the module: {"query.weight": (D, D), "query.bias": (D,), ...}.

    The names are query, key, value and out. If your module is arranged differently, change this
    function: the checks use nothing else inside the module.
    """
    module.load_state_dict(weights)


# %% [markdown]
# With identity matrices for all four layers and two heads of width 1 you can do it by hand. Head 0
# gets the features $(a, 0)$: frame 0 has scores $(a^2, 0) = (\ln 3, 0)$ and its output is
# $0.75\,a$; frame 1 has scores $(0, 0)$ and its output is $0.5\,a$.


# %% tags=["check"]
names = ("query", "key", "value", "out")
identities = {f"{name}.weight": torch.eye(2) for name in names}
identities |= {f"{name}.bias": torch.zeros(2) for name in names}
a = math.log(3) ** 0.5
x = torch.tensor([[[a, 0], [0, a]]])
with check("2.3-attention-by-hand", "two heads of width 1 agree with pencil and paper"):
    attention = MultiHeadSelfAttention(2, num_heads=2)
    load_attention(attention, identities)
    expect_close("attention(x)", attention(x), [[[0.75 * a, 0.5 * a], [0.5 * a, 0.75 * a]]])
    seen = torch.tensor([[True, False]])
    expect_close("attention(x, valid) with frame 1 padded", attention(x, seen)[:, 0], [[a, 0]])
check_values("2.3-self-attention-count", MultiHeadSelfAttention)
check_values("2.3-self-attention-values", MultiHeadSelfAttention, load_attention)
check_values("2.3-self-attention-padding", MultiHeadSelfAttention, load_attention)

# %% [markdown]
# What do attention weights look like? Here are six frames, three of them equal: the equal ones
# attend to each other, wherever they are. Each row belongs to one query, and sums to 1.

# %%
kinds = torch.tensor([0, 1, 0, 2, 1, 0])
x = 4 * F.one_hot(kinds, 3).float()[None]
weights = attend(x[:, None], x[:, None], torch.eye(6)[None, None])[0, 0]
figure, axes = plt.subplots(figsize=(3.6, 3), layout="constrained")
image = axes.imshow(weights.numpy(), vmin=0, vmax=1, cmap="cividis")
axes.set(xlabel="key frame", ylabel="query frame", title="frames 0, 2, 5 are equal")
axes.set(xticks=range(6), yticks=range(6))
_ = figure.colorbar(image, label="attention weight")

# %% [markdown]
# **Think:** exchange frames 3 and 4, and the outputs are exchanged with them, otherwise unchanged.
# Could this model distinguish *"on"* from *"no"*?
#
# <details><summary>An answer</summary>
#
# No. Self-attention treats the frames as a set: if the frames come in another order, the outputs
# come in the same other order, with the same values. *"On"* and *"no"* contain nearly the same
# sounds in opposite order, so after a mean over time almost nothing is left to distinguish them.
# The model needs to know positions.
#
# </details>

# %% [markdown]
# ## 2.4 Positional encoding
#
# Attention is a weighted average, and an average ignores order. So we add to each frame a vector
# that depends on its position $p$ only. The paper takes sines and cosines, from high to low
# frequency:
#
# $$P_{p,\,2i} = \sin\!\frac{p}{10000^{2i/D}} \qquad P_{p,\,2i+1} = \cos\!\frac{p}{10000^{2i/D}}$$
#
# Think of a clock with $D / 2$ hands. The first pair of features has a period of $2\pi$ frames, the
# last pair one of about 60,000.
#
# **Before you go on:** what is row 0, for any `D`?
#
# <details><summary>An answer</summary>
#
# 0, 1, 0, 1, …: the sine of 0 is 0, and its cosine is 1, at every frequency.
#
# </details>
#
# **Contract.** `sinusoids(num_frames, d_model)`, d_model even → (num_frames, d_model), float32.
# Use tensor operations and `math`.


# %% tags=["export"]
def sinusoids(num_frames, d_model):
    """Positions 0 ... num_frames - 1 -> (num_frames, d_model), float32; d_model is even."""
    # BEGIN SOLUTION 2.4
    #: The exponents 2i / D for i = 0 ... D / 2 - 1.
    exponents = torch.arange(0, d_model, 2) / d_model
    #: The angles p / 10000 ** exponent, as (num_frames, D / 2).
    angles = torch.arange(num_frames)[:, None] / 10_000**exponents
    #: Interleave them: sines are the even features, cosines the odd ones.
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
    # END SOLUTION


# %% [markdown]
# For `D = 4` the two hands turn by 1 and by $1 / 10000^{2/4} = 0.01$ radian a frame.

# %% tags=["check"]
with check("2.4-positions-by-hand", "two positions of width 4 agree with pencil and paper"):
    row = [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)]
    expected = torch.tensor([[0, 1, 0, 1], row])
    expect_close("sinusoids(2, 4)", sinusoids(2, 4), expected)
check_values("2.4-sinusoids-values", sinusoids)

# %%
table = sinusoids(200, 64)
figure, (above, below) = plt.subplots(2, 1, figsize=(6, 5), layout="constrained", sharex=True)
image = above.imshow(table.T.numpy(), origin="lower", aspect="auto", cmap="cividis")
above.set(ylabel="feature", title="sinusoids(200, 64)")
figure.colorbar(image, ax=above, label="value")
for place, line in ((50, "-"), (100, "--"), (150, ":")):
    below.plot(table @ table[place], line, label=f"position {place}")
below.set(xlabel="position (frames of 10 ms)", ylabel="dot product")
below.set(ylim=(0, 50), title="dot product with three positions")
_ = below.legend(frameon=False, ncols=3)

# %% [markdown]
# **Think:** the three curves of the lower plot have the same shape. Which identity of sine and
# cosine says that the dot product of two positions depends on their distance only?
#
# <details><summary>An answer</summary>
#
# $\cos a \cos b + \sin a \sin b = \cos(a - b)$. Each pair of features adds the cosine of its
# frequency times the distance $p - q$, so the dot product of two positions is a sum of such
# cosines, whatever $p$ itself is. At distance 0 each of the 32 pairs adds 1, and the curves
# reach 32.
#
# </details>

# %% [markdown]
# ## 2.5 The encoder layer
#
# An encoder layer has two *sublayers*. Self-attention mixes frames; the **feed-forward network**
# then transforms each frame by itself: linear from `D` to `E`, an activation, linear back to `D`.
# Each sublayer is wrapped in a **residual connection** (or *skip connection*): its output is
# *added* to its input, $x + f(x)$, so that a layer only has to learn a correction, and gradients
# have a direct path to the early layers. A **layer norm** gives the features of each frame mean 0
# and variance 1, and then a learned scale and shift. The paper normalizes *after* the sum
# (**post-norm**):
#
# $$x \leftarrow \mathrm{norm}_1(x + \mathrm{attention}(x)) \qquad
#   x \leftarrow \mathrm{norm}_2(x + W_2\,\mathrm{relu}(W_1 x))$$
#
# **Before you go on:** how many parameters does `nn.LayerNorm(D)` have?
#
# <details><summary>An answer</summary>
#
# $2D$: a scale (`weight`) and a shift (`bias`) for each feature.
#
# </details>
#
# **Contract.** `EncoderLayer(d_model, num_heads, d_ff)`; `forward(x, valid=None)`: x (B, T, D) →
# (B, T, D); without dropout, so the output is deterministic. Use `nn.Linear`, `nn.LayerNorm` and
# your own attention, not `nn.TransformerEncoderLayer`. `load_layer` loads known weights.


# %% tags=["export"]
class EncoderLayer(nn.Module):
    """x (B, T, D), valid (B, T) bool or None -> (B, T, D), post-norm, no dropout."""

    def __init__(self, d_model, num_heads, d_ff):
        super().__init__()
        # BEGIN SOLUTION 2.5
        #: One MultiHeadSelfAttention.
        self.attention = MultiHeadSelfAttention(d_model, num_heads)
        #: Two linear layers, D to E and E to D, both with a bias.
        self.expand = nn.Linear(d_model, d_ff)
        self.contract = nn.Linear(d_ff, d_model)
        #: Two nn.LayerNorm(D): each of them learns its own scale and shift.
        self.norm_attention = nn.LayerNorm(d_model)
        self.norm_feed_forward = nn.LayerNorm(d_model)
        # END SOLUTION

    def forward(self, x, valid=None):
        # BEGIN SOLUTION 2.5
        #: Self-attention with its residual connection: add its output to x, then normalize.
        x = self.norm_attention(x + self.attention(x, valid))
        #: The same for the feed-forward network, with ReLU between its two layers.
        return self.norm_feed_forward(x + self.contract(self.expand(x).relu()))
        # END SOLUTION


# %% tags=["export"]
def load_layer(module, weights):
    """Copy known weights into the layer; change this function if yours is arranged differently.

    Their names are those of `load_attention` after "attention.", and expand, contract,
    norm_attention and norm_feed_forward, each with .weight and .bias.
    """
    inside = "attention."
    own = {name: w for name, w in weights.items() if not name.startswith(inside)}
    kept = module.attention.state_dict().items()
    module.load_state_dict(own | {inside + name: w for name, w in kept})  # every name has to fit
    rest = {name.removeprefix(inside): w for name, w in weights.items() if name not in own}
    load_attention(module.attention, rest)


# %% [markdown]
# With all matrices and biases zero both sublayers output zero, and only the residual connections
# and the norms are left: $(1, 3)$ has mean 2 and standard deviation 1, so the output is $(-1, 1)$.


# %% tags=["check"]
zeros = {f"attention.{name}": torch.zeros_like(w) for name, w in identities.items()}
zeros |= {"expand.weight": torch.zeros(3, 2), "expand.bias": torch.zeros(3)}
zeros |= {"contract.weight": torch.zeros(2, 3), "contract.bias": torch.zeros(2)}
for name in ("norm_attention", "norm_feed_forward"):
    zeros |= {f"{name}.weight": torch.ones(2), f"{name}.bias": torch.zeros(2)}
with check("2.5-layer-by-hand", "a layer whose sublayers output zero still normalizes"):
    layer = EncoderLayer(2, num_heads=1, d_ff=3)
    load_layer(layer, zeros)
    x = torch.tensor([[[1.0, 3.0]]])
    expect_close("layer(x)", layer(x), [[[-1.0, 1.0]]], atol=1e-4)
check_values("2.5-layer-count", EncoderLayer)
check_values("2.5-layer-values", EncoderLayer, load_layer)
check_values("2.5-layer-padding", EncoderLayer, load_layer)

# %% [markdown]
# ## 2.6 A stack of layers
#
# An encoder is `num_layers` layers, one after the other, each with its own weights. A common
# mistake is
#
# ```python
# nn.ModuleList([layer] * 3)   # one layer, three times
# ```
#
# Nothing crashes, and the loss goes down. Only the parameter count shows that the three share their
# weights. (Models share layers on purpose too, ALBERT for one. It should be on purpose.)
#
# **Contract.** `Encoder(d_model, num_heads, d_ff, num_layers)`; `forward(x, valid=None)`: x (B,
# T, D) → (B, T, D). Use your own layer, not `nn.TransformerEncoder`. `load_encoder` loads known
# weights.


# %% tags=["export"]
class Encoder(nn.Module):
    """x (B, T, D), valid (B, T) bool or None -> (B, T, D): num_layers separate layers."""

    def __init__(self, d_model, num_heads, d_ff, num_layers):
        super().__init__()
        # BEGIN SOLUTION 2.6
        #: Make num_layers separate EncoderLayers in an nn.ModuleList (a list hides parameters).
        self.layers = nn.ModuleList(
            EncoderLayer(d_model, num_heads, d_ff) for _ in range(num_layers)
        )
        # END SOLUTION

    def forward(self, x, valid=None):
        # BEGIN SOLUTION 2.6
        #: Apply the layers one after the other; each of them needs valid.
        for layer in self.layers:
            x = layer(x, valid)
        return x
        # END SOLUTION


# %% tags=["export"]
def load_encoder(module, weights):
    """Copy known weights into the encoder: a list with the weights of each layer, in order."""
    for layer, own in zip(module.layers, weights, strict=True):
        load_layer(layer, own)


# %% tags=["check"]
def count(module):
    """The number of trainable parameters; a shared tensor counts once."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


with check("2.6-encoder-counts", "three layers have three times the parameters of one"):
    one, three = count(EncoderLayer(6, 2, 5)), count(Encoder(6, 2, 5, num_layers=3))
    expect_equal("parameters of Encoder(6, 2, 5, num_layers=3)", three, 3 * one)
check_values("2.6-encoder-count", Encoder)
check_values("2.6-encoder-values", Encoder, load_encoder)
check_values("2.6-encoder-padding", Encoder, load_encoder)

# %% [markdown]
# `nn.TransformerEncoder` makes its layers by `copy.deepcopy`: they start with *equal* weights, but
# are three layers. Do they become different in training, although they start equal?

# %%
first = EncoderLayer(6, num_heads=2, d_ff=5)
copies = nn.ModuleList([first, copy.deepcopy(first), copy.deepcopy(first)])
optimizer = torch.optim.SGD(copies.parameters(), lr=0.1)
x, target = torch.randn(2, 4, 7, 6)
for step in range(4):
    y = x
    for layer in copies:
        y = layer(y)
    loss = F.mse_loss(y, target)
    weights = [nn.utils.parameters_to_vector(layer.parameters()).detach() for layer in copies]
    distances = [(weights[i] - weights[j]).norm() for i, j in ((0, 1), (0, 2), (1, 2))]
    print(f"step {step}: loss {loss:.3f}, distances", ", ".join(f"{d:.4f}" for d in distances))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %% [markdown]
# They do, from the first step on. With one layer used three times the distances would stay at 0.
#
# **Think:** which test, other than counting, would find shared layers?
#
# <details><summary>An answer</summary>
#
# Change one weight of the first layer, and check whether the same weight of the second one changes.
# Or train for one step, as above, and measure the distances: between shared layers they stay at
# exactly 0. In torch, shared weights are also the same object, which `is` shows.
#
# </details>
#
# ## 2.7 Count before you build
#
# A parameter count is a test that costs nothing: predict it, measure it, and find out why the two
# differ. For one layer of section 2.5 add up:
#
# - attention: four times $D^2 + D$,
# - feed-forward: $D E + E$ on the way up, $E D + D$ on the way down,
# - two layer norms: a scale and a shift for each of the $D$ features, twice.
#
# **Before you go on**, simplify the sum. Does it depend on the number of heads?
#
# <details><summary>An answer</summary>
#
# $4D^2 + 2DE + 9D + E$. The number of heads does not occur in it: more heads divide the same `D`
# features into narrower groups. Check: `D = 256` and `E = 512` give 527,104.
#
# </details>
#
# **Contract.** `encoder_parameters(d_model, d_ff, num_layers)`, whole numbers → a number.
# Use arithmetic; do not build a module.


# %% tags=["export"]
def encoder_parameters(d_model, d_ff, num_layers):
    """The number of parameters of `Encoder`, without building one."""
    # BEGIN SOLUTION 2.7
    #: Attention: four square matrices and their biases.
    attention = 4 * (d_model**2 + d_model)
    #: Feed-forward: two matrices, and two biases of different lengths.
    feed_forward = 2 * d_model * d_ff + d_ff + d_model
    #: Two layer norms, each with a scale and a shift.
    norms = 2 * 2 * d_model
    #: Return the sum, times the number of layers.
    return num_layers * (attention + feed_forward + norms)
    # END SOLUTION


# %% tags=["check"]
with check("2.7-count-by-hand", "the formula gives the count of a published layer"):
    expect_equal("encoder_parameters(5, 7, 1)", encoder_parameters(5, 7, 1), 120 + 82 + 20)
    expect_equal("encoder_parameters(256, 512, 1)", encoder_parameters(256, 512, 1), 527_104)
    expect_equal(
        "encoder_parameters(6, 5, 3)", encoder_parameters(6, 5, 3), count(Encoder(6, 2, 5, 3))
    )
check_values("2.7-count-values", encoder_parameters)

# %% [markdown]
# Compare the counts of two reports with the formula:
#
# 1. A student report on Speech Commands has four layers with `D = 256`, `E = 512` in a model of
#    2,147,404 parameters, which are 8.59 MB in float32. A popular summary tool printed **4.38 MB**.
# 2. Another report, on recognizing speakers, describes three layers of width 80, and gives 154.88k
#    as the size of its "encoder block". *What does this number count?* The formula gives exactly
#    154,880 for **one** layer with `E = 800` and no bias for queries, keys and values.

# %%
whole, attention = 2_147_404, 4 * 4 * (256**2 + 256)
print(f"1. all {4 * whole / 1e6:.2f} MB; without attention {4 * (whole - attention) / 1e6:.2f} MB")
for layers in (1, 3):
    print(f"2. {layers} layer(s): {encoder_parameters(80, 800, layers) - layers * 3 * 80:,}")
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
depths = range(1, 7)
axes.plot(
    depths, [encoder_parameters(80, 800, n) / 1e3 for n in depths], "o-", label="separate layers"
)
axes.plot(depths, [encoder_parameters(80, 800, 1) / 1e3] * 6, "s--", label="one shared layer")
axes.axhline(500, color="gray", linewidth=0.8, label="budget of notebook 3")
axes.set(xlabel="number of layers", ylabel="parameters (thousands)", ylim=(0, None))
_ = axes.legend(frameon=False)

# %% [markdown]
# 1: the tool did not count the parameters inside `nn.MultiheadAttention`, half of the model. 2: one
# block alone may have been counted, or the layers may share their weights; a count alone cannot
# decide. So always say *what* you counted. The gray line is the budget of notebook 3.
#
# **Think:** how many layers of width 80 with `E = 160` fit into 500,000 parameters? And which of
# `D`, `E` and the number of layers would you spend them on?
#
# <details><summary>An answer</summary>
#
# Nine: one layer has 52,080 parameters, nine have 468,720, and ten would be too many. `D` is the
# most expensive, as it enters squared; `E` and the number of layers enter linearly. Which of them
# helps most is not a matter of counting: try it on validation data. (Notebook 3 also limits the
# layers to three, so its budget is spent on `D` and `E`.)
#
# </details>
#
# Self-attention, as you built it here, is a part of every model in notebooks 3 to 8.

"""Parameter counts: measured on a module, and predicted from the shape alone."""

from torch import nn


def count_parameters(module: nn.Module) -> int:
    """Number of trainable scalars; a tensor that several layers share counts once."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def linear_parameters(d_in: int, d_out: int, *, bias: bool = True) -> int:
    """Scalars in `nn.Linear(d_in, d_out, bias)`."""
    return d_in * d_out + bias * d_out


def norm_parameters(d_model: int) -> int:
    """Scalars in a layer or batch normalization: a scale and a shift per feature."""
    return 2 * d_model


def attention_parameters(d_model: int, *, qkv_bias: bool = True, relative: bool = False) -> int:
    """Scalars in `MultiHeadSelfAttention` or `RelativeSelfAttention`; heads drop out.

    >>> attention_parameters(256)  # 4 d² + 4 d
    263168
    """
    distances = linear_parameters(d_model, d_model, bias=False) + 2 * d_model
    return (
        linear_parameters(d_model, 3 * d_model, bias=qkv_bias)
        + linear_parameters(d_model, d_model)
        + relative * distances
    )


def feed_forward_parameters(d_model: int, d_ff: int) -> int:
    """Scalars in `FeedForward(d_model, d_ff)`."""
    return linear_parameters(d_model, d_ff) + linear_parameters(d_ff, d_model)


def encoder_layer_parameters(
    d_model: int, d_ff: int, *, qkv_bias: bool = True, relative: bool = False
) -> int:
    """Scalars in `EncoderLayer`.

    >>> encoder_layer_parameters(256, 512)  # 4 d² + 9 d + 2 d f + f
    527104
    """
    return (
        attention_parameters(d_model, qkv_bias=qkv_bias, relative=relative)
        + feed_forward_parameters(d_model, d_ff)
        + 2 * norm_parameters(d_model)
    )


def convolution_module_parameters(d_model: int, kernel_size: int) -> int:
    """Scalars in the Conformer's `ConvolutionModule`: norm, pointwise, depthwise, norm, pointwise.

    >>> convolution_module_parameters(80, 31)  # 3 d² + (8 + k) d
    22320
    """
    return (
        norm_parameters(d_model)
        + linear_parameters(d_model, 2 * d_model)
        + (kernel_size + 1) * d_model
        + norm_parameters(d_model)
        + linear_parameters(d_model, d_model)
    )


def conformer_layer_parameters(
    d_model: int, d_ff: int, kernel_size: int, *, relative: bool = False
) -> int:
    """Scalars in `ConformerLayer`.

    >>> 4 * conformer_layer_parameters(80, 128, 31)  # 4 × (7 d² + 4 d f + 2 f + (22 + k) d)
    361024
    """
    return (
        2 * (norm_parameters(d_model) + feed_forward_parameters(d_model, d_ff))
        + norm_parameters(d_model)
        + attention_parameters(d_model, relative=relative)
        + convolution_module_parameters(d_model, kernel_size)
        + norm_parameters(d_model)
    )


def classifier_parameters(
    d_model: int, num_classes: int, *, normalized: bool = False, d_hidden: int | None = None
) -> int:
    """Scalars in `Classifier`; `normalized` for any normalization but "none"."""
    norm = normalized * norm_parameters(d_model)
    if d_hidden is None:
        return norm + linear_parameters(d_model, num_classes)
    return norm + linear_parameters(d_model, d_hidden) + linear_parameters(d_hidden, num_classes)


def measured_parts(module: nn.Module) -> dict[str, int]:
    """Trainable scalars of each direct child, and of the module's own parameters, by name.

    Parts without any are left out. A tensor that two parts share counts in the first of them, so
    the parts add up to `count_parameters(module)`.
    """
    parts: dict[str, int] = {}
    for name, parameter in module.named_parameters():
        part = name.partition(".")[0]
        parts[part] = parts.get(part, 0) + parameter.numel() * parameter.requires_grad
    return {part: count for part, count in parts.items() if count}


def shared_tensors(module: nn.Module) -> list[list[str]]:
    """The names of every parameter that has more than one: weights that are used repeatedly.

    >>> layer = nn.Linear(3, 3, bias=False)
    >>> shared_tensors(nn.Sequential(layer, nn.ReLU(), layer))
    [['0.weight', '2.weight']]
    """
    names: dict[nn.Parameter, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    return [group for group in names.values() if len(group) > 1]

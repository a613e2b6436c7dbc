"""AST written out: equal to transformers' with its weights; tokens, patchout, what is refused."""

import dataclasses
import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from benchmarks.ast_weights import config_of, load_ast, read_ast, read_vit
from kws.errors import UsageError
from kws.models.counts import count_parameters, formulas
from kws.models.spectrogram_transformer import (
    AST_SMALL,
    SpectrogramTransformer,
    SpectrogramTransformerConfig,
)
from tests.tolerances import ROUNDING, SAME_SUMS

SIZES = {"d_model": 24, "num_heads": 3, "num_layers": 2, "d_ff": 14}
BANDS, FRAMES, CLASSES = 29, 57, 5


def small(**changes) -> SpectrogramTransformer:
    settings = {**SIZES, "num_features": BANDS, "num_frames": FRAMES, "patch": (7, 5)}
    settings |= {"stride": (4, 3), "num_classes": CLASSES}
    return SpectrogramTransformer(SpectrogramTransformerConfig(**{**settings, **changes}))


@pytest.fixture
def published(tmp_path, float64):
    """A small AST for classification as transformers writes it, with weights that differ from 0."""
    config = transformers.ASTConfig(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=14,
        patch_size=7,
        frequency_stride=4,
        time_stride=3,
        max_length=FRAMES,
        num_mel_bins=BANDS,
        num_labels=CLASSES,
    )
    theirs = transformers.ASTForAudioClassification(config).double().eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    theirs.save_pretrained(tmp_path)
    return tmp_path, theirs


def test_it_equals_transformers_with_its_weights(published):
    folder, theirs = published
    ours, labels = read_ast(folder)
    mel = torch.randn(3, FRAMES, BANDS)
    with torch.inference_mode():
        expected = theirs(mel).logits
        found = ours.double()(mel)
    assert labels == tuple(f"LABEL_{i}" for i in range(CLASSES))
    torch.testing.assert_close(found, expected, rtol=0, atol=SAME_SUMS)
    assert expected.std(dim=0).max() > 1e-3, "logits that do not depend on the clip agree easily"


def test_models_have_their_published_sizes():
    config = config_of({}, num_classes=527)
    with torch.device("meta"):
        model = SpectrogramTransformer(config)
    assert count_parameters(model) == 86_594_063
    assert sum(formula.value for formula in formulas(config).values()) == 86_594_063
    model, seen = SpectrogramTransformer(AST_SMALL), []
    model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    assert model(torch.zeros(2, 101, 64)).shape == (2, 35)
    assert seen == [1 + 24]
    assert dataclasses.asdict(AST_SMALL)["stride"] == AST_SMALL.patch, "patches do not overlap"


@pytest.mark.parametrize("frames", [30, 90])
def test_a_model_for_another_length_takes_the_same_weights(published, frames):
    ours, _ = read_ast(published[0], num_frames=frames)
    longer, _ = read_ast(published[0])
    assert ours.double()(torch.randn(2, frames, BANDS)).isfinite().all()
    table, whole = ours.positions.table, longer.positions.table
    if frames < FRAMES:
        start = (whole.shape[2] - table.shape[2]) // 2
        assert torch.equal(table, whole[:, :, start : start + table.shape[2]])
    else:
        assert table.shape[2] > whole.shape[2]
        assert torch.equal(table[:, :, 0], whole[:, :, 0])


def rewrite(folder, change) -> None:
    """The weights of a folder after `change`."""
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("key", "value", "output"),
    [
        pytest.param("time_stride", 2, r"patches: build the model with the patch", id="stride"),
        pytest.param("patch_size", 8, r"\(24, 1, 7, 7\) in the weights and", id="patch"),
        pytest.param("intermediate_size", 15, r"is \(14, 24\) in the weights and \(15", id="d_ff"),
        pytest.param("model_type", "wav2vec2", r"holds wav2vec2, not AST", id="kind"),
    ],
)
def test_a_configuration_of_another_model_is_refused(published, key, value, output):
    path = published[0] / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(UsageError, match=output):
        read_ast(published[0])


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"cannot be read .*config\.json.*: name a folder"):
        read_ast(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"no such thing")
    with pytest.raises(UsageError, match=r"model\.safetensors is damaged"):
        read_ast(tmp_path)


def test_weights_that_do_not_fit_the_settings_are_refused_by_name(published):
    weights = load_file(published[0] / "model.safetensors")
    with pytest.raises(UsageError, match="build the model with the patch"):
        load_ast(small(patch=(7, 6), distilled=True, head_norm=True), weights, FRAMES)
    with pytest.raises(UsageError, match=r"head_norm\.\w+ is \(24,\) in the weights and absent"):
        load_ast(small(patch=(7, 7), distilled=True), weights, FRAMES)
    folder, _ = published
    rewrite(folder, lambda weights: weights.update(odd=torch.zeros(1)))
    with pytest.raises(UsageError, match=r"^odd has no place in this model: name a folder"):
        read_ast(folder)
    rewrite(
        folder, lambda weights: [weights.pop(name) for name in ("odd", "classifier.dense.bias")]
    )
    with pytest.raises(UsageError, match=r"^classifier\.dense\.bias is missing"):
        read_ast(folder)


SIDE, PATCH = 4, 5  # of an image model: a grid of 4 x 4 patches of 5 x 5


@pytest.fixture
def image_model(tmp_path, float64):
    """`image_model("deit")`: a small random image model as transformers writes it, its folder."""

    def make(kind: str):
        about = {"vit": "ViT", "deit": "DeiT"}[kind]
        sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}
        sizes |= {"intermediate_size": 14, "image_size": SIDE * PATCH, "patch_size": PATCH}
        config = getattr(transformers, f"{about}Config")(**sizes)
        name = "ViTForImageClassification" if kind == "vit" else "DeiTForImageClassification"
        theirs = getattr(transformers, name)(config).double().eval()
        with torch.no_grad():
            for parameter in theirs.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        theirs.save_pretrained(tmp_path)
        return tmp_path, getattr(theirs, kind)

    return make


def for_images(rows: int, columns: int, kind: str = "vit") -> SpectrogramTransformer:
    sizes = {"num_features": rows * PATCH, "num_frames": columns * PATCH, "norm_eps": 1e-12}
    patch = {"patch": (PATCH, PATCH), "stride": (PATCH, PATCH)}
    return small(**sizes, **patch, distilled=kind == "deit").double().eval()


@pytest.mark.parametrize("kind", ["vit", "deit"])
def test_an_image_model_computes_the_same_of_a_gray_picture(image_model, kind):
    folder, theirs = image_model(kind)
    ours = for_images(SIDE, SIDE, kind)
    head = ours.classify.weight.clone()
    read_vit(ours, folder)
    assert torch.equal(ours.classify.weight, head)
    mel = torch.randn(
        3, SIDE * PATCH, SIDE * PATCH
    )  # (B, T, F); a picture is (B, 3, rows, columns)
    with torch.inference_mode():
        hidden = theirs(mel.mT[:, None].repeat(1, 3, 1, 1)).last_hidden_state
        expected = ours.classify(hidden[:, : 1 + (kind == "deit")].mean(1))
        torch.testing.assert_close(ours(mel), expected, rtol=0, atol=SAME_SUMS)


@pytest.mark.parametrize("grid", [(2, 9), (4, 3), (7, 4), (5, 6)])
def test_positions_of_a_square_are_cut_and_interpolated(image_model, grid):
    folder, theirs = image_model("vit")
    ours = for_images(*grid)
    read_vit(ours, folder)
    square = theirs.embeddings.position_embeddings.detach()[:, 1:].mT.unflatten(2, (SIDE, SIDE))
    larger = [max(SIDE, size) for size in grid]
    whole = torch.nn.functional.interpolate(square, larger, mode="bilinear", align_corners=False)[0]
    top, left = ((all_ - own) // 2 for all_, own in zip(larger, grid, strict=True))
    expected = whole[:, top : top + grid[0], left : left + grid[1]]
    torch.testing.assert_close(ours.positions.table, expected, rtol=0, atol=SAME_SUMS)


def test_an_image_model_of_another_kind_or_width_is_refused(image_model):
    folder, _ = image_model("vit")
    with pytest.raises(UsageError, match=r"holds vit: name a vit, or a deit for distilled=True$"):
        read_vit(for_images(4, 4, "deit"), folder)
    with pytest.raises(UsageError, match=r"build the model with the patch"):
        read_vit(small(patch=(7, 7)), folder)


def test_attention_does_not_see_where_a_token_stands_but_positions_tell(float64):
    model, mel = small(stride=(7, 5)).eval(), torch.randn(2, 55, 28)
    mixed = mel.unflatten(1, (11, 5)).roll(3, dims=1).flatten(1, 2)  # columns of patches move
    assert not torch.allclose(model(mixed), model(mel), atol=1e-4)
    with torch.no_grad():
        model.positions.table.zero_()
    torch.testing.assert_close(model(mixed), model(mel), rtol=0, atol=SAME_SUMS)


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        pytest.param({"patchout": (2, 5)}, (6 - 2) * (18 - 5), id="structured"),
        pytest.param({"token_patchout": 31}, 6 * 18 - 31, id="unstructured"),
        pytest.param({"patchout": (1, 0), "token_patchout": 7}, 5 * 18 - 7, id="both"),
    ],
)
def test_patchout_leaves_fewer_tokens_in_training_alone(changes, left):
    model, seen = small(**changes), []
    model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    mel, valid = torch.randn(2, FRAMES, BANDS), torch.arange(FRAMES) < torch.tensor([[57], [33]])
    for arguments in ((mel,), (mel, valid)):
        model.train()(*arguments)
        model.eval()(*arguments)
    assert seen == [1 + left, 1 + 6 * 18] * 2


def test_patchout_moves_no_logit_by_the_padding(float64):
    model = small(patchout=(1, 4), token_patchout=5).train()
    mel, valid = torch.randn(2, FRAMES, BANDS), torch.arange(FRAMES) < torch.tensor([[57], [33]])
    logits = []
    for content in (0.0, 1e3):
        torch.manual_seed(1)
        logits.append(model(mel.masked_fill(~valid[..., None], content), valid))
    torch.testing.assert_close(*logits, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(
    ("changes", "output"),
    [
        ({"positions": "round"}, "positions='round' is none of grid, split"),
        ({"patchout": (6, 0)}, r"patchout=\(6, 0\) and token_patchout=0 leave nothing of 6 x 18"),
        ({"token_patchout": 108}, "token_patchout=108 leave nothing of 6 x 18 patches"),
        ({"num_frames": 4}, r"29 bands x 4 frames are smaller than a patch of 7 x 5"),
        ({"d_model": 26}, "d_model=26 is not divisible by 4"),
        ({"num_heads": 5}, "d_model=24 is not divisible by num_heads=5"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(changes, output):
    with pytest.raises(ValueError, match=output):
        small(**changes)
    longer = "6 x 19 tokens, but positions were made for 6 x 18"
    for frames, refusal in ((60, longer), (4, "smaller")):
        with pytest.raises(ValueError, match=refusal):
            small()(torch.zeros(1, frames, BANDS))

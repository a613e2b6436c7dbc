"""Codes: the nearest vector, gradients straight through, and a codebook that follows its data."""

import pytest
import torch
import torch.nn.functional as F

from kws.models.codebook import (
    Codebook,
    commitment_loss,
    moving_average,
    nearest,
    perplexity,
    restart,
    straight_through,
)
from tests.models.conftest import seeded


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def test_the_nearest_is_that_of_brute_force():
    z, vectors = normal(3, 7, 5), 3 * normal(11, 5, seed=1)
    squares = (z[:, :, None] - vectors).square().sum(-1)
    assert torch.equal(nearest(z, vectors), squares.argmin(-1))
    assert torch.equal(nearest(vectors, vectors), torch.arange(11))


def test_the_gradient_goes_straight_through_and_commitment_moves_the_vectors():
    z, q = normal(4, 3).requires_grad_(), normal(4, 3, seed=1).requires_grad_()
    y, weights = straight_through(z, q), normal(4, 3, seed=2)
    # z + (q - z) is rounded twice, by 1e-16 of values near 1
    torch.testing.assert_close(y, q, rtol=0, atol=1e-15)
    (y * weights).sum().backward()
    torch.testing.assert_close(z.grad, weights, rtol=0, atol=0)
    assert q.grad is None
    z, q = normal(4, 3).requires_grad_(), normal(4, 3, seed=1).requires_grad_()
    loss = commitment_loss(z, q)
    assert loss.item() == pytest.approx((z - q).square().mean().item())
    loss.backward()
    torch.testing.assert_close(z.grad, 2 * (z - q).detach() / 12)
    assert q.grad is None


def test_perplexity_is_how_many_codes_are_as_hard_to_guess():
    assert perplexity(torch.full((9,), 4.0)).item() == pytest.approx(9)
    assert perplexity(torch.tensor([0.0, 7, 0])).item() == pytest.approx(1)
    assert perplexity(torch.zeros(3)).item() == 0
    p = torch.tensor([0.5, 0.25, 0.25])
    assert perplexity(8 * p).item() == pytest.approx(2**1.5)  # an entropy of 1.5 bits


def test_a_moving_average_by_hand():
    counts, sums = torch.tensor([2.0, 4.0]), torch.tensor([[2.0], [8.0]])
    z, codes = torch.tensor([[3.0], [5.0], [7.0]]), torch.tensor([0, 0, 0])
    counts, sums = moving_average(counts, sums, z, codes, momentum=0.5)
    assert counts.tolist() == [2.5, 2]
    assert sums.tolist() == [[8.5], [4]]


def test_on_the_same_batch_again_and_again_it_comes_to_rest_where_k_means_does():
    z, vectors = normal(60, 2), normal(4, 2, seed=1)
    counts, sums = torch.ones(4, dtype=torch.float64), vectors.clone()
    for _ in range(400):
        counts, sums = moving_average(counts, sums, z, nearest(z, vectors), momentum=0.8)
        vectors = sums / counts[:, None]
    codes = nearest(z, vectors)
    means = torch.stack([z[codes == k].mean(0) for k in range(4)])
    torch.testing.assert_close(vectors, means)
    torch.testing.assert_close(counts, codes.bincount(minlength=4).double())


def test_only_dead_codes_begin_again_which_brings_them_to_life():
    counts, sums = torch.tensor([0.5, 3, 1]).double(), normal(3, 2)
    z = normal(5, 2, seed=1)
    new_counts, new_sums = restart(counts, sums, z, 1.0, seeded(0))
    assert new_counts.tolist() == [1, 3, 1]
    assert torch.equal(new_sums[1:], sums[1:])
    assert any(torch.equal(new_sums[0], row) for row in z)
    alive = torch.full((3,), 1.0).double()
    assert torch.equal(restart(alive, sums, z, 1.0)[1], sums)
    assert (trained(floor=0.0) > 0).sum() == 1
    assert (trained(floor=1.0) > 0).sum() > 12


def trained(floor: float) -> torch.Tensor:
    """Counts of 16 codes after 60 batches of four clusters, the codes having begun far away."""
    torch.manual_seed(0)
    book = Codebook(16, 2, momentum=0.8, floor=floor).train()
    book.begun.fill_(True)
    book.vectors.copy_(book.vectors + 20)
    book.vectors[0] = 0
    book.sums.copy_(book.vectors)
    centers = torch.tensor([[0.0, 0], [3, 0], [0, 3], [3, 3]])
    for seed in range(60):
        z = centers[torch.randint(4, (64,), generator=seeded(seed))]
        book(z + 0.3 * torch.randn(64, 2, generator=seeded(100 + seed)))
    z = centers.repeat(64, 1) + 0.3 * torch.randn(256, 2, generator=seeded(999))
    return nearest(z, book.vectors).bincount(minlength=16)


def test_it_begins_with_vectors_of_the_first_batch_and_moves_in_training_only():
    book, z = Codebook(4, 3), normal(2, 5, 3).float()
    before = book.vectors.clone()
    book.eval()(z)
    assert torch.equal(book.vectors, before)
    book.momentum, book.floor = 0.999, 0.0
    y, codes, loss = book.train()(z.requires_grad_())
    assert y.shape == z.shape
    assert codes.shape == (2, 5)
    assert len(codes.unique()) == 4  # each code is one of the vectors, so it is its nearest
    # float32, summed in another order
    assert loss.item() == pytest.approx(0.25 * F.mse_loss(y, z).item(), rel=1e-5)
    assert not list(book.parameters())
    held = book.vectors.clone()
    book(z)
    assert not torch.equal(book.vectors, held)


def test_fewer_vectors_than_codes_begin_several_and_no_sense_is_refused():
    book = Codebook(7, 3, floor=0.0).train()
    book(normal(1, 3, 3).float())
    assert book.vectors.isfinite().all()
    with pytest.raises(ValueError, match="num_codes=1 encodes nothing: choose 2 codes"):
        Codebook(1, 3)
    with pytest.raises(ValueError, match=r"momentum=1\.0 must be"):
        Codebook(2, 3, momentum=1.0)

"""Vector quantization: each vector becomes the nearest of K learned ones, its code.

Sources: van den Oord et al. 2017, "Neural Discrete Representation Learning" (VQ-VAE), section 3 and
appendix A.1 (https://arxiv.org/abs/1711.00937); Dhariwal et al. 2020, "Jukebox", section 3
(https://arxiv.org/abs/2005.00341), which restarts codes that die.

A choice has no gradient, so the gradient of the code's vector is handed to the vector before the
choice: straight through. The codebook follows the vectors it is chosen for by a moving average
(EMA), which is k-means in small steps; a commitment loss keeps the vectors near their codes.

Shape letters: N vectors   D width of a vector   K codes
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from kws.models.batch_norm import gather_over_processes, same_in_all_processes

TINY = 1e-5  # of counts: below, a code's vector stays where it is


def nearest(z: Float[Tensor, "*N D"], vectors: Float[Tensor, "K D"]) -> Int[Tensor, "*N"]:
    """Which of `vectors` is nearest to each z, by Euclidean distance.

    >>> nearest(torch.tensor([[0.9, 0.0], [3.0, 1.0]]), torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    tensor([1, 1])
    """
    # |z - e|² without |z|², which is the same for all e
    return (vectors.square().sum(dim=1) - 2 * z @ vectors.T).argmin(dim=-1)


def straight_through(z: Float[Tensor, "*N D"], q: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
    """The values of `q`, and its gradient for `z` as if z had been handed on."""
    return z + (q - z).detach()


def commitment_loss(z: Float[Tensor, "*N D"], q: Float[Tensor, "*N D"]) -> Float[Tensor, ""]:
    """Mean of (z - q)², which pulls z to its code; the code does not move by it."""
    return F.mse_loss(z, q.detach())


def perplexity(counts: Float[Tensor, "K"]) -> Float[Tensor, ""]:
    """How many codes, used equally often, would be as hard to guess: exp of the entropy.

    1 where one code is always used, K where all are used alike; 0 for no counts at all.

    >>> perplexity(torch.tensor([5.0, 5.0, 0.0]))
    tensor(2.)
    """
    total = counts.sum()
    if not total:
        return torch.zeros((), device=counts.device)
    p = counts / total
    return (-torch.xlogy(p, p).sum()).exp()


def moving_average(
    counts: Float[Tensor, "K"],
    sums: Float[Tensor, "K D"],
    z: Float[Tensor, "N D"],
    codes: Int[Tensor, "N"],
    momentum: float,
) -> tuple[Float[Tensor, "K"], Float[Tensor, "K D"]]:
    """One step of how often each code is chosen, and of the sum of the vectors it is chosen for.

    `momentum` of the old numbers, the rest from this batch. A code's vector is sum / count.
    """
    chosen = F.one_hot(codes, len(counts)).to(z.dtype)
    counts = momentum * counts + (1 - momentum) * chosen.sum(dim=0)
    return counts, momentum * sums + (1 - momentum) * chosen.T @ z


def restart(
    counts: Float[Tensor, "K"],
    sums: Float[Tensor, "K D"],
    z: Float[Tensor, "N D"],
    floor: float,
    generator: torch.Generator | None = None,
) -> tuple[Float[Tensor, "K"], Float[Tensor, "K D"]]:
    """Codes whose count is below `floor` begin again, at vectors of this batch, with that count.

    (Jukebox replaces the vector and leaves the count, so that the code is dead at the next step as
    well unless it is chosen often at once.)
    """
    dead = counts < floor
    drawn = torch.randint(len(z), (len(counts),), generator=generator).to(z.device)
    drawn = same_in_all_processes(drawn)
    sums = torch.where(dead[:, None], floor * z[drawn], sums)
    return counts.masked_fill(dead, floor), sums


class Codebook(nn.Module):
    """K vectors of width D that follow the data; `forward` replaces vectors by their codes.

    K D + K + K D numbers, none of which has a gradient. In training mode every call moves the
    codebook; it begins with vectors of the first batch.

    Args:
        num_codes: K.
        width: D.
        momentum: of the moving average.
        floor: the count below which a code begins again; 0 for never.
        commitment: weight of the commitment loss.

    Raises:
        ValueError: if there are fewer than two codes, or momentum is not between 0 and 1.
    """

    vectors: Tensor
    counts: Tensor
    sums: Tensor
    begun: Tensor

    def __init__(
        self,
        num_codes: int,
        width: int,
        *,
        momentum: float = 0.95,
        floor: float = 1.0,
        commitment: float = 0.25,
    ):
        super().__init__()
        if num_codes < 2:
            raise ValueError(f"num_codes={num_codes} encodes nothing: choose 2 codes or more")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum={momentum} must be 0 or more, and less than 1")
        self.momentum, self.floor, self.commitment = momentum, floor, commitment
        self.register_buffer("vectors", torch.randn(num_codes, width))
        self.register_buffer("counts", torch.ones(num_codes))
        self.register_buffer("sums", self.vectors.clone())
        self.register_buffer("begun", torch.tensor(False))

    def forward(
        self, z: Float[Tensor, "*N D"]
    ) -> tuple[Float[Tensor, "*N D"], Int[Tensor, "*N"], Float[Tensor, ""]]:
        """Vectors of the codes (straight through), the codes, and the weighted commitment loss."""
        flat = z.flatten(0, -2)
        if self.training and not self.begun:
            self._begin(gather_over_processes(flat.detach()))
        codes = nearest(flat, self.vectors)
        q = self.vectors[codes].reshape(z.shape)
        loss = self.commitment * commitment_loss(z, q)
        if self.training:
            self._follow(gather_over_processes(flat.detach()), gather_over_processes(codes))
        return straight_through(z, q), codes.reshape(z.shape[:-1]), loss

    def nearest(self, z: Float[Tensor, "*N D"]) -> Int[Tensor, "*N"]:
        """The codes of vectors; nothing moves."""
        return nearest(z, self.vectors)

    def _begin(self, z: Float[Tensor, "N D"]) -> None:
        """Codes are vectors of a batch, each once where there are enough."""
        order = same_in_all_processes(torch.randperm(len(z)).to(z.device))
        order = order.repeat(-(-len(self.counts) // len(z)))[: len(self.counts)]
        self.vectors.copy_(z[order])
        self.sums.copy_(self.vectors)
        self.begun.fill_(True)

    def _follow(self, z: Float[Tensor, "N D"], codes: Int[Tensor, "N"]) -> None:
        counts, sums = moving_average(self.counts, self.sums, z, codes, self.momentum)
        counts, sums = restart(counts, sums, z, self.floor)
        self.counts.copy_(counts)
        self.sums.copy_(sums)
        # of a code that is not chosen any more, count and sum vanish together: it stays
        chosen = counts[:, None] > TINY
        self.vectors.copy_(torch.where(chosen, sums / counts[:, None], self.vectors))

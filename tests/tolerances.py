"""How far two right answers may be apart in float64, wherever a test says nothing else."""

SAME_SUMS = 1e-12  # the same sums in another order: 1e-15 a term, some hundred terms
ROUNDING = 1e-10  # through a whole model, gradients, or loud padding: two more digits

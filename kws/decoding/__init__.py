"""From scores to text: greedy and beam search, alone or together with CTC."""

"""What the hidden checks measure with: accuracies of trained weights, and training them again."""

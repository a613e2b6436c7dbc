"""Fast twins of layers: equal to the written-out ones, chosen in one place."""

"""Hidden test data, generated from one secret seed."""

"""Training: a recipe and data in, a run folder out. Imports models and data, not inference."""

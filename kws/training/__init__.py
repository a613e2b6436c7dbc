"""Training: a recipe and data in, a run folder out.

Imports models, data and signal code; not inference.
"""

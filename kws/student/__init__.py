"""What a student's own machine does with the notebooks: check, hint, progress, reset, hand in.

Works offline and on saved notebooks. Nothing here knows an answer or a hidden check.
"""

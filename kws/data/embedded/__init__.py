"""The embedded corpus: speech synthesized on the spot, written in the layouts of real data sets."""

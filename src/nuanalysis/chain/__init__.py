"""From light in the ice to a sample: one file per step; each step is settings, what is done, and what was found."""

STEPS = ("simulate", "train", "reconstruct", "select", "benchmark")

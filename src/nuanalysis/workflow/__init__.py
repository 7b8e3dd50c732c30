"""The door: the analysis spec, the steps, the executors, the notebook runner and the command line."""

"""Where trials are run and kept: executors, ensembles, what code made a number."""

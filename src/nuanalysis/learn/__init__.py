"""Networks and trees on what the modules saw: arrays of features in, scores, directions and energies out.

Prediction needs numpy alone.  Training needs JAX, equinox and optax (extra ``learn``), imported only where it happens.
"""

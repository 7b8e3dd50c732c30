"""Where trials are run and kept: executors, ensembles, what code made a number."""

#: What holds a process to one thread for OpenMP, BLAS and numba: workers are the parallelism, threads below them would
#: only fight for the cores.
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "NUMBA_NUM_THREADS",
    ),
    "1",
)

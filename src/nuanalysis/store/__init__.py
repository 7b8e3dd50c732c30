"""Datasets at rest: events in a versioned store, trials in a resumable one (``ensembles``), products in zarr zips.

For other people's programs: ``store.fits`` (FITS, ECSV) and ``store.sky_maps``.

The only room that knows Zarr and icechunk.  It refuses data against the schema, half-written files and stores of
other versions; every write is a commit or a rename, so a reader sees the old state or the new one, never a mixture.
POSIX only (file locks).  Spawn worker processes, never fork them: a forked icechunk hangs.
"""

from nuanalysis.store._events import EventStore
from nuanalysis.store._files import (
    atomic_write,
    beside,
    locked,
    open_lock,
    refusal,
    sha256_file,
    sweep,
    table_ecsv,
    try_lock,
)
from nuanalysis.store._foreign import (
    DOCUMENT,
    MAP,
    TABLE,
    content,
    is_gzipped,
    largest,
    own_tree,
    parse_toml,
    parsing,
    read_json,
    read_parts,
    read_toml,
    refuse_size,
    regular,
    text_of,
    unlinked,
)
from nuanalysis.store._hdf5_nodes import LARGEST_CHUNK, chunk_bytes, hdf5_datasets, holds_numbers
from nuanalysis.store._homes import (
    is_ours,
    is_temporary,
    keep_kernels,
    kernels_kept,
    private_folder,
    provide_home,
    user_cache,
)
from nuanalysis.store._npy import NPY_MAGIC, npy_array, npy_header
from nuanalysis.store._objects import ENDING, Named, read_object, write_object
from nuanalysis.store._places import refuse_file, refuse_folder
from nuanalysis.store._words import MINUS, is_missing, is_sexagesimal, most_rows, numbers_in, refuse_rows
from nuanalysis.store._zarr import read_zip, write_zip

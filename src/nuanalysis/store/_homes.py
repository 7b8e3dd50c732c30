"""Where caches of this user are kept: in the home, or in a private temporary folder where the home is closed to us.

Caches of kernels are pickles, so a folder that anybody else could have filled is never taken for one of ours.
"""

import atexit
import fcntl
import logging
import os
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from nuanalysis.errors import EnvironmentFault

TEMPORARY = ".nuanalysis-caches-"  # begins the names of private folders, and of nothing that a user would make
ROOM = 32 << 20  # bytes; all kernels take 7 MB
KERNELS = "NUMBA_CACHE_DIR"
NUMBA_FILE = ".numba_config.yaml"  # which numba reads in the working directory
SHARED = "NUANALYSIS_PRIVATE_FOLDER"  # by which child processes are told of it; not for users
MODEL = Path(__file__).resolve().parents[1] / "model"  # where all files of kernels begin

_log = logging.getLogger(__name__)


def is_temporary(path: Path) -> bool:
    """Whether a path lies in a private folder, of this process or of the one that started it."""
    return any(part.startswith(TEMPORARY) for part in path.parts)


def _found(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there and may be seen."""
    return next((one for one in (folder, *folder.parents) if _seen(one)), folder)


def _seen(path: Path) -> bool:
    with suppress(OSError):  # below a folder that is closed to us
        return path.exists()
    return False


def writable(folder: Path) -> bool:
    """Whether files can be made in a folder, which need not be there yet; nothing is made to find out."""
    found = _found(folder)
    return found.is_dir() and os.access(found, os.W_OK | os.X_OK)


def user_cache(name: str) -> Path | None:
    """The user's cache folder of that name, there or not; None where this user has no home."""
    import platformdirs

    with suppress(RuntimeError):  # an unknown user without HOME; older versions answer '~/.cache' as it stands
        folder = Path(platformdirs.user_cache_dir(name, appauthor=False))
        return folder if folder.is_absolute() and not is_temporary(folder) else None
    return None


def is_ours(folder: Path | None) -> bool:
    """Whether a folder, or the nearest one above it, belongs to this user and is closed to writing by all others."""
    if folder is None or not writable(folder):
        return False
    state = _found(folder).stat()
    return state.st_uid == os.geteuid() and not state.st_mode & stat.S_IWOTH


def kernels_kept(package: Path = MODEL) -> bool:
    """Whether compiled kernels outlive this process: in a chosen folder, beside the sources, or in the home.

    numba takes the first of them that can be written, and ends with an OSError where its disk is full.
    """
    chosen, beside, home = os.environ.get(KERNELS, ""), package / "__pycache__", user_cache("numba")
    if chosen and writable(Path(chosen)):
        return _roomy(Path(chosen)) or any(Path(chosen).glob(f"{package.name}_*/*.nbi"))
    if writable(beside):
        return _roomy(beside) or any(beside.glob("*.nbi"))
    return home is not None and is_ours(home) and (_roomy(home) or any(home.glob(f"{package.name}_*/*.nbi")))


def _roomy(folder: Path) -> bool:
    return shutil.disk_usage(_found(folder)).free >= ROOM


def keep_kernels(package: Path = MODEL) -> None:
    """Give numba a private folder where it would find none for the kernels of ``package``; child processes share it.

    A configuration of numba in the working directory does not name one: that may be the folder of somebody else.
    """
    if Path(NUMBA_FILE).exists():
        _choose(os.environ.get(KERNELS, ""))
    if kernels_kept(package):
        return
    _choose(str(private_folder() / "kernels"))


def _choose(folder: str) -> None:
    """The folder of kernels of this process and its children; '' for the usual ones."""
    os.environ[KERNELS] = folder  # read before NUMBA_FILE, also where it is ''
    if "numba" in sys.modules:  # it has read the environment
        sys.modules["numba"].config.CACHE_DIR = folder


def provide_home() -> None:
    """Give this process, and those it starts, a home: without one astropy and Jupyter end in a traceback."""
    os.environ["HOME"] = str(private_folder())


@cache
def private_folder() -> Path:
    """A temporary folder that nobody else can enter or could have made before, removed with this process.

    It is said once, and child processes have that of their parent.  What killed processes left of theirs is removed.
    Raises EnvironmentFault where no such folder can be made.
    """
    inherited = Path(os.environ.get(SHARED, ""))
    if is_temporary(inherited) and _closed_to_others(inherited):
        return inherited
    try:
        folder = _held_folder()
        _sweep(folder.parent)
    except OSError as error:
        raise EnvironmentFault(
            f"neither the home of this user nor a temporary folder can be written ({error.strerror}); "
            f"set TMPDIR, or NUANALYSIS_CACHE and {KERNELS}, to a folder that only you can write"
        ) from error
    os.environ[SHARED] = str(folder)
    atexit.register(_remove, folder, os.getpid())
    _log.warning(
        "caches are kept in %s until this process ends, since the home cannot be written or its disk is full; set "
        "NUANALYSIS_CACHE and %s to folders that only you can write to keep them",
        folder,
        KERNELS,
    )
    return folder


def _closed_to_others(folder: Path) -> bool:
    with suppress(OSError):
        state = folder.lstat()
        return stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid() and not state.st_mode & 0o077
    return False


def _held_folder() -> Path:
    """A new folder, locked as long as this process lives: the lock tells it from what a killed one left."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=TEMPORARY))
        with suppress(OSError):  # a file system without locks: then nothing is swept there either
            fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_SH)
        if folder.exists():  # not swept between the two calls
            return folder


def _sweep(above: Path) -> None:
    for folder in above.glob(f"{TEMPORARY}*"):
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(handle).st_uid == os.geteuid():
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a forked child must not
        shutil.rmtree(folder, ignore_errors=True)

"""Writing a file as a whole: all of it or nothing, and into what is no regular file without replacing it."""

from __future__ import annotations

import io
import os
import stat

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO


def write_whole(path: str | os.PathLike[str], write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a file that takes the name `path` when it is complete, so that no reader ever sees half.

    A file that is there keeps its mode and its owner. A device, a pipe, or a file that cannot be replaced without
    losing these, is written into, once all of it is known. Links are followed.
    """
    try:
        there = os.stat(path)
    except FileNotFoundError:
        there = None
    # Through a link to the file it names: replacing the link itself would leave the old file behind.
    final = os.path.realpath(path)
    if there is not None and not is_replaceable(final, there):
        write_into(path, write)
        return
    try:
        temporary, descriptor = create_beside(final, there)
    except PermissionError:
        if there is None:
            raise
        # The folder is not ours to change, or the owner not ours to give.
        write_into(path, write)
        return
    try:
        with open(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, final)
    except BaseException:
        os.unlink(temporary)
        raise


def is_replaceable(final: str, there: os.stat_result) -> bool:
    """Whether what is there is a regular file that has this name, and that we may write."""
    if not stat.S_ISREG(there.st_mode):
        return False
    try:
        # /dev/stdout leads to a file that may have been deleted or replaced, and then has no name.
        return os.path.samestat(os.stat(final), there) and os.access(final, os.W_OK)
    except FileNotFoundError:
        return False


def create_beside(final: str, there: os.stat_result | None) -> tuple[str, int]:
    """Create a file in the same folder, with mode and owner of what is there; return its name and descriptor."""
    folder, name = os.path.split(final)
    temporary = os.path.join(folder, f".{name}.{os.urandom(4).hex()}")
    # The umask decides who may read it, unless somebody has decided before.
    mode = 0o666 if there is None else 0o600
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as error:
        # Nobody knows the other name.
        error.filename = final
        raise
    if there is not None:
        try:
            made = os.fstat(descriptor)
            if (made.st_uid, made.st_gid) != (there.st_uid, there.st_gid):
                os.fchown(descriptor, there.st_uid, there.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(there.st_mode))
        except BaseException:
            os.close(descriptor)
            os.unlink(temporary)
            raise
    return temporary, descriptor


def write_into(path: str | os.PathLike[str], write: Callable[[IO[bytes]], object]) -> None:
    """Write into what is there already, all at once: a pipe cannot be sought in."""
    whole = io.BytesIO()
    write(whole)
    # Not to be created: in a folder like /tmp the kernel may forbid that for files of others, even to root.
    with open(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC), "wb") as file:
        file.write(whole.getbuffer())

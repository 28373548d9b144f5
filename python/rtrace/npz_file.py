"""How results are stored: one compressed ``.npz`` file of arrays, with the facts as JSON text in ``metadata``.

A file says what it is by ``schema`` and ``version``, so that each class recognises the others' files. Nothing in a file
is ever executed, sizes are checked before memory is taken, and whatever is wrong becomes a TraceFormatError.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rtrace.errors import TraceFormatError
from rtrace.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from zipfile import ZipFile

    from numpy.typing import NDArray

# What reads the files of each schema, for the hint when it is the wrong one.
_READERS = {"rtrace.histogram": "rtrace.Histogram", "rtrace.trace": "rtrace.Trace"}
# What nobody takes for an .npz file: the first is a trace's other form, the second what `to_csv` writes.
_OTHERS = (".parquet", ".csv")
# Deflate cannot do better than 1032 to 1; below the allowance it does not matter.
_BEST_RATIO = 1100
_ALLOWANCE = 64 << 20
# Fields of a record are named in the header of its array; numpy's own limit is meant for less.
_LONGEST_HEADER = 1 << 16
# What a zip archive, which .npz is, and a single array of numpy's start with.
_MAGICS = (b"PK", b"\x93NUMPY")
_LONGEST_MAGIC = max(map(len, _MAGICS))
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class Form(NamedTuple):
    """What a file holds: the word for it in messages, and the schema and version by which it is recognised."""

    noun: str
    schema: str
    version: int

    def check(self, data: Mapping[str, Any]) -> None:
        """Refuse what is of another schema or version."""
        schema = data.get("schema")
        if schema != self.schema:
            reader = _READERS.get(schema) if isinstance(schema, str) else None
            self.refuse(f"schema is {schema!r}, not {self.schema!r}", hint=reader and f"read it with {reader}")
        if data["version"] != self.version:
            cause = f"schema version is {data['version']!r}, this rtrace reads {self.version}"
            self.refuse(cause, hint="upgrade rtrace")

    def refuse(self, cause: str, *, hint: str | None = None) -> None:
        """Raise TraceFormatError."""
        msg = f"read {self.noun}: {cause}"
        raise TraceFormatError(msg, hint=hint)

    @contextlib.contextmanager
    def reading(self, path: str | os.PathLike[str]) -> Iterator[None]:
        """Make everything that bad contents raise a TraceFormatError that names the file."""
        # Bad contents make zipfile, zlib, numpy and json raise almost anything.
        try:
            yield
        except Exception as error:
            msg = f"read {self.noun} `{os.fspath(path)}`: {cause_of(error)}"
            hint = error.hint if isinstance(error, TraceFormatError) else None
            raise TraceFormatError(msg, hint=hint, path=os.fspath(path)) from error


def save(path: str | os.PathLike[str], metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write `metadata` and `arrays` to exactly `path`, all of it or nothing; ValueError if it is named otherwise."""
    if os.fspath(path).endswith(_OTHERS):
        msg = f"save to `{os.fspath(path)}`: it is stored as .npz, which its name denies"
        raise ValueError(msg)
    named: dict[str, Any] = {"metadata": np.array(json.dumps(metadata)), **arrays}
    # A file object, because numpy appends ".npz" to a name.
    write_whole(path, lambda file: np.savez_compressed(file, allow_pickle=False, **named))


@contextlib.contextmanager
def load(form: Form, path: str | os.PathLike[str]) -> Iterator[tuple[dict[str, Any], Mapping[str, NDArray[Any]]]]:
    """Open what `save` wrote: its metadata, checked to be of `form`, and its arrays, read as they are asked for.

    Whatever is raised while it is open becomes a TraceFormatError that names the file.
    """
    with Path(path).open("rb") as file, form.reading(path):
        # numpy takes anything else for a pickle, and advises to trust it.
        if not file.read(_LONGEST_MAGIC).startswith(_MAGICS):
            form.refuse("it is no .npz file")
        file.seek(0)
        stored = np.load(file, allow_pickle=False, max_header_size=_LONGEST_HEADER)
        if isinstance(stored, np.ndarray):
            form.refuse(f"one array and not a {form.noun}")
        _check_sizes(form, stored.zip)
        metadata = json.loads(str(stored["metadata"]))
        form.check(metadata)
        yield metadata, stored


def check_expansion(form: Form, declared: int, stored: int) -> None:
    """Refuse contents said to be much larger than they can be, before memory is taken for them."""
    if declared > _BEST_RATIO * stored + _ALLOWANCE:
        form.refuse(f"{declared} bytes declared, but only {stored} stored")


def cause_of(error: Exception) -> str:
    """Say in a few words what was wrong."""
    if isinstance(error, TraceFormatError):
        return str(error).partition(": ")[2]
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return f"{error or type(error).__name__}"


def _check_sizes(form: Form, archive: ZipFile) -> None:
    for info in archive.infolist():
        check_expansion(form, info.file_size, info.compress_size)
        if not info.filename.endswith(".npy"):
            continue
        # numpy takes memory for what the header declares before it reads on.
        with archive.open(info) as member:
            read = _HEADERS[np.lib.format.read_magic(member)]
            shape, _, dtype = read(member, max_header_size=_LONGEST_HEADER)
            size = math.prod(shape) * dtype.itemsize
            if not dtype.hasobject and size != info.file_size - member.tell():
                form.refuse(f"`{info.filename}` declares {size} bytes and holds {info.file_size - member.tell()}")

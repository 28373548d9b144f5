"""Files are written as a whole, and what is no regular file, or somebody else's, stays what it is."""

from __future__ import annotations

import os
import stat
import threading
from typing import IO, TYPE_CHECKING

import pytest

from rtrace.whole_file import write_whole

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes devices and files of others")


def hello(file: IO[bytes]) -> None:
    file.write(b"hello")


def sought(file: IO[bytes]) -> None:
    """Write as zip and Parquet do: back and forth."""
    file.write(b"?ello")
    file.seek(0)
    file.write(b"h")


def test_a_new_file_is_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "new", hello)
    finally:
        os.umask(before)
    assert (tmp_path / "new").read_bytes() == b"hello"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["new"]


def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"much longer than the new one")
    path.chmod(0o604)
    write_whole(path, hello)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"hello", 0o604)


@as_root
def test_and_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"old")
    path.chmod(0o600)
    os.chown(path, NOBODY, NOBODY)
    write_whole(path, hello)
    found = path.stat()
    assert (path.read_bytes(), found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (
        b"hello", NOBODY, NOBODY, 0o600,
    )  # fmt: skip
    assert os.listdir(tmp_path) == ["old"]


def test_whose_owner_cannot_be_kept_is_written_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchmod", refuse)
    path = tmp_path / "old"
    path.write_bytes(b"much longer than the new one")
    inode = path.stat().st_ino
    write_whole(path, sought)
    assert (path.read_bytes(), path.stat().st_ino) == (b"hello", inode)
    assert os.listdir(tmp_path) == ["old"]


@as_root
def test_a_device_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "null"
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    write_whole(path, sought)
    assert stat.S_ISCHR(path.stat().st_mode)
    assert os.listdir(tmp_path) == ["null"]


def test_a_pipe_gets_all_of_it(tmp_path: Path) -> None:
    path, got = tmp_path / "pipe", list[bytes]()
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    write_whole(path, sought)
    reader.join()
    assert got == [b"hello"]
    assert path.is_fifo()


def test_so_does_one_that_has_no_name() -> None:
    reading, writing = os.pipe()
    write_whole(f"/proc/self/fd/{writing}", sought)
    os.close(writing)
    with open(reading, "rb") as file:
        assert file.read() == b"hello"


def test_a_file_that_lost_its_name_is_found_by_its_descriptor(tmp_path: Path) -> None:
    with (tmp_path / "gone").open("w+b") as file:
        (tmp_path / "gone").unlink()
        write_whole(f"/proc/self/fd/{file.fileno()}", hello)
        assert file.read() == b"hello"
    assert os.listdir(tmp_path) == []


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link, target = tmp_path / "link", tmp_path / "elsewhere" / "target"
    link.symlink_to(target)
    for _ in range(2):
        write_whole(link, hello)
        assert (link.is_symlink(), target.read_bytes()) == (True, b"hello")
    assert os.listdir(target.parent) == ["target"]


def test_what_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"old")

    def fail(file: IO[bytes]) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, fail)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["old"]


def test_errors_name_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(tmp_path / "no" / "file", hello)
    assert caught.value.filename == str(tmp_path / "no" / "file")
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path, hello)

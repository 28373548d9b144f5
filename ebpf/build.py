"""Build the eBPF objects of ``ebpf/programs`` into ``ebpf/prebuilt``; with ``--check`` prove that they are up to date.

Run by ``make ebpf``. What is missing of the tool chain in ``toolchain.toml`` is fetched once into the user's cache.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
PREBUILT = HERE / "prebuilt"
PINNED = tomllib.loads((HERE / "toolchain.toml").read_text())
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rtrace" / "ebpf"
TARGET = "bpfel-unknown-none"


class ToolchainError(Exception):
    """The tool chain is incomplete; the message says what is missing and what to do."""


def output(*command: str | Path) -> str:
    """Run a command and return what it printed."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def check_rustc() -> Path:
    """Return the sysroot of the pinned rustc."""
    if shutil.which("rustc") is None or shutil.which("cargo") is None:
        raise ToolchainError("no rustc and cargo on PATH: install Rust (https://rustup.rs)")
    version = output("rustc", "--version").split()[1]
    if version != PINNED["rust"]:
        message = f"rustc is {version}, the objects are built with {PINNED['rust']}: rustup default {PINNED['rust']}"
        raise ToolchainError(message)
    return Path(output("rustc", "--print", "sysroot"))


def ensure_rust_src(sysroot: Path) -> None:
    """Make sure that the standard library's source lies where ``-Z build-std`` looks for it."""
    source = sysroot / "lib/rustlib/src/rust"
    if (source / "library/core/Cargo.toml").exists():
        return
    unpacked = CACHE / f"rust-src-{PINNED['rust']}"
    if not unpacked.exists():
        fetch_rust_src(unpacked)
    source.parent.mkdir(parents=True, exist_ok=True)
    source.unlink(missing_ok=True)
    source.symlink_to(unpacked / "usr/src" / f"rustc-{PINNED['rust']}")


def fetch_rust_src(folder: Path) -> None:
    """Unpack Debian's package of the source; rustup's component would do as well where rustup can download."""
    sys.path.insert(0, str(HERE.parent))
    from tests.vm.archive import Archive, run  # noqa: PLC0415  # only where it has to be fetched
    from tests.vm.errors import KernelUnavailableError  # noqa: PLC0415

    debian = PINNED["debian"]
    state = CACHE / "archive"
    temporary = folder.with_suffix(".part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        archive = Archive(state, (debian["suite"],), debian["keyring"])
        archive.update()
        versions = {debian["package"]: archive.find_version(debian["package"], PINNED["rust"])}
        for package in archive.download(versions, temporary / "deb"):
            run(["dpkg-deb", "-x", str(package), str(temporary)])
    except KernelUnavailableError as error:
        raise ToolchainError(f"the source of Rust's standard library: {error}") from error
    shutil.rmtree(temporary / "deb")
    temporary.rename(folder)


def ensure_linker(sysroot: Path) -> Path:
    """Return the folder of bpf-linker, built against the compiler's own LLVM."""
    name = f"bpf-linker-{PINNED['bpf-linker']}-rust-{PINNED['rust']}"
    root = CACHE / name
    if not (root / "bin/bpf-linker").exists():
        libraries = [path for path in (sysroot / "lib").iterdir() if path.name.startswith("libLLVM.so.")]
        if not libraries:
            raise ToolchainError(f"{sysroot}/lib has no libLLVM: this rustc is linked statically")
        link = CACHE / "llvm/lib/libLLVM.so"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(libraries[0])
        command = ["cargo", "install", "bpf-linker", "--locked", "--version", PINNED["bpf-linker"], "--root", str(root)]
        features = ["--no-default-features", "--features", f"llvm-{PINNED['llvm']}"]
        subprocess.run([*command, *features], check=True, env={**os.environ, "LLVM_PREFIX": str(CACHE / "llvm")})
    return root / "bin"


def build(sysroot: Path, linker: Path, out: Path) -> list[Path]:
    """Compile every program and put the stripped objects into `out`."""
    cargo_home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    # No path of this machine may end up in an object: it would differ on the next one.
    remap = {sysroot / "lib/rustlib/src/rust": "rust", cargo_home / "registry/src": "registry", HERE: "ebpf"}
    real = (sysroot / "lib/rustlib/src/rust").resolve()
    remap[real] = "rust"
    # The registry's folder is named after its address; the crates in it are what counts.
    remap |= dict.fromkeys((cargo_home / "registry/src").glob("*"), "registry")
    flags = ["-Clinker=bpf-linker", "-Clink-arg=--btf", "-Ctarget-cpu=v2", '--cfg=bpf_target_arch="x86_64"']
    flags += [f"--remap-path-prefix={path}={name}" for path, name in remap.items()]
    environment = {
        **os.environ,
        "PATH": f"{linker}:{os.environ['PATH']}",
        # build-std is a nightly feature; the pinned stable compiler has it too.
        "RUSTC_BOOTSTRAP": "1",
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags),
        "CARGO_TARGET_DIR": str(CACHE / "target"),
    }
    command = ["cargo", "build", "--release", "--locked", "--target", TARGET, "-Zbuild-std=core"]
    subprocess.run(command, check=True, cwd=PROGRAMS, env=environment)
    objcopy = next((sysroot / "lib/rustlib").glob("*/bin/rust-objcopy"))
    objects = []
    for shape in shapes():
        built = CACHE / "target" / TARGET / "release" / shape
        stripped = out / f"{shape}.o"
        # It finds the LLVM it was linked with by itself only in rustup's own layout.
        libraries = {**os.environ, "LD_LIBRARY_PATH": str(sysroot / "lib")}
        subprocess.run([objcopy, "--strip-debug", built, stripped], check=True, env=libraries)
        objects.append(stripped)
    return objects


def shapes() -> list[str]:
    """Return the names of the objects: the binaries of the programs' manifest."""
    manifest = tomllib.loads((PROGRAMS / "Cargo.toml").read_text())
    return [binary["name"] for binary in manifest["bin"]]


def main() -> int:
    """Build, and replace or compare the committed objects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare the committed objects with a fresh build")
    arguments = parser.parse_args()
    try:
        sysroot = check_rustc()
        CACHE.mkdir(parents=True, exist_ok=True)
        ensure_rust_src(sysroot)
        linker = ensure_linker(sysroot)
    except ToolchainError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    fresh = CACHE / "prebuilt"
    fresh.mkdir(exist_ok=True)
    PREBUILT.mkdir(exist_ok=True)
    stale = []
    for built in build(sysroot, linker, fresh):
        committed = PREBUILT / built.name
        if committed.exists() and filecmp.cmp(built, committed, shallow=False):
            print(f"{built.name}: up to date")
        elif arguments.check:
            stale.append(built.name)
        else:
            shutil.copyfile(built, committed)
            print(f"{built.name}: rebuilt, {committed.stat().st_size} bytes")
    if stale:
        print(f"error: {', '.join(stale)} differ from a fresh build: run `make ebpf` and commit", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

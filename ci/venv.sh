#!/bin/sh
# Make the virtual environment with what pyproject.toml lists for developers.
# Usage: venv.sh PYTHON FOLDER
set -eu

python=$1
folder=$2
if ! command -v cargo >/dev/null 2>&1; then
    echo "error: no cargo on PATH" >&2
    echo "hint: install Rust 1.95 or newer from https://rustup.rs" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "error: $python is not Python 3.11 or newer" >&2
    echo "hint: make PYTHON=/path/to/python3.11 ..." >&2
    exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "error: $python cannot make virtual environments" >&2
    echo "hint: as root: apt-get install python3-venv" >&2
    exit 1
fi
[ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --upgrade 'pip>=25.1'
"$folder/bin/python" -m pip install --quiet --group dev

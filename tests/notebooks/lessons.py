"""Run the lessons from top to bottom: ``python -m tests.notebooks.lessons [--recorded] [--write] [NAME ...]``."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("[0-9]*.ipynb"))
# Only to end a cell that hangs.
PATIENCE = 600
# What differs from run to run, and says nothing: where objects lie in memory.
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def run(name: str, *, recorded: bool) -> Any:
    """Run a lesson in a fresh kernel, and return it with its outputs; an error in a cell is raised."""
    # Builds the cache of fonts, where there is none: of that, the first lesson that draws would tell.
    import matplotlib.font_manager  # noqa: F401  # takes its time, and `--help` needs none of it

    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    client = NotebookClient(
        notebook,
        coalesce_streams=True,
        timeout=PATIENCE,
        startup_timeout=PATIENCE,
        kernel_name="python3",
        resources={"metadata": {"path": str(FOLDER)}},
    )
    environment = {name: value for name, value in os.environ.items() if name != "RTRACE_RECORDED"}
    if recorded:
        environment["RTRACE_RECORDED"] = "1"
    # The home folder may not be one to write to.
    client.execute(env={"IPYTHONDIR": os.environ.get("IPYTHONDIR", "/tmp/ipython"), **environment})  # noqa: S108
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            clean(output)
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.validate(notebook)
    return notebook


def clean(output: Any) -> None:
    """Take out of an output what differs from run to run."""
    texts = output.get("data", {})
    if isinstance(texts.get("text/plain"), str):
        texts["text/plain"] = ADDRESS.sub("", texts["text/plain"])
    # Numbers of updates mean nothing to who opens the file.
    output.pop("transient", None)


def main() -> int:
    """Run the lessons that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--recorded", action="store_true", help="on recorded data")
    parser.add_argument("--write", action="store_true", help="keep the outputs in the notebooks")
    arguments = parser.parse_args()
    for name in arguments.names:
        notebook = run(name, recorded=arguments.recorded)
        if arguments.write:
            nbformat.write(notebook, FOLDER / f"{name}.ipynb")
        sys.stdout.write(f"{name}: {sum(cell.cell_type == 'code' for cell in notebook.cells)} cells ran\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

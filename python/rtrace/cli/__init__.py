"""The program ``rtrace``: one module for each of its commands, loaded when it is called."""

from __future__ import annotations

INTERRUPTED = 130


def run(arguments: list[str] | None = None) -> int:
    """Run the program and return its exit status.

    Parameters
    ----------
    arguments
        The words after the program's name; None takes them from ``sys.argv``.

    Returns
    -------
    int
        0 when it did what was asked, 1 when it could not, 2 when it was asked wrongly, 130 when it was interrupted
        before anything was measured, 141 when nobody read its output to the end.
    """
    # The imports take longest of all before tracing begins, so that Ctrl-C most likely hits there.
    try:
        import sys  # noqa: PLC0415

        from rtrace.cli.main import main  # noqa: PLC0415

        return main(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return INTERRUPTED

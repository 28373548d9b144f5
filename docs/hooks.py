"""What MkDocs asks of us while it builds: the tools' own help, so that no page repeats it."""

from __future__ import annotations

import contextlib
import io
import os
import re
from typing import Any

# Sphinx's way to say what a name is, which help() shows as well and MkDocs does not know; a tilde leaves out where
# it is.
ROLE = re.compile(r":(?:meth|class|func|mod|attr):<code>(?:~[\w.]*\.)?")
HELP = re.compile(r"^<!-- help of (\S+) -->$", re.MULTILINE)


def help_of(tool: str) -> str:
    """Return what ``rtrace TOOL --help`` prints, 80 columns wide."""
    from rtrace.cli.main import main  # noqa: PLC0415  # once the environment is set

    os.environ["COLUMNS"] = "80"
    os.environ["NO_COLOR"] = "1"
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        main([tool, "--help"])
    if not said.getvalue().startswith("usage: "):
        message = f"`rtrace {tool} --help` prints no usage"
        raise ValueError(message)
    return said.getvalue()


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put a tool's help where a page asks for it."""
    return HELP.sub(lambda asked: f"```text\n{help_of(asked[1])}```", markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Leave the roles of names out, and keep the names."""
    return ROLE.sub("<code>", html)

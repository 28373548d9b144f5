"""Tell what of tracing works here, and what to do about the rest.

Tries everything for a moment, and tells what it found: `ok`, `missing` (the
kernel does not have it), `refused` (it has, but does not let us), `unknown`
(it could not be found out). The exit status is 0 if anything can be traced.

Examples
--------
rtrace doctor
sudo rtrace doctor --json | jq '.findings[] | select(.state != "ok")'
"""

# ruff: noqa: T201  # printing is what a command does

from __future__ import annotations

import json

from rtrace.cli.arguments import Parser


def main(words: list[str]) -> int:
    """Run the command."""
    parser = Parser("doctor", "[--json]", __doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(words)
    from rtrace.diagnosis import doctor  # noqa: PLC0415  # not for a command line that is wrong

    diagnosis = doctor()
    print(json.dumps(diagnosis.to_dict()) if arguments.json else diagnosis)
    return 0 if diagnosis.ok else 1

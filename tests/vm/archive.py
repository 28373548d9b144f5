"""Debian's archive as seen by a private apt: own indices, signatures checked, nothing of the system's state touched."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.vm.errors import KernelUnavailableError
from tests.vm.requirements import find_program

if TYPE_CHECKING:
    from collections.abc import Mapping

# Read on top of the machine's own configuration, so that what says how to reach the mirror (proxies, certificates,
# credentials) holds; hooks are cleared because they act on the system's own apt.
CONFIGURATION = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Architecture "amd64";
APT::Get::AllowUnauthenticated "false";
APT::Sandbox::User "root";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::Retries "3";
Dir::Cache "{folder}/cache";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourcelist "{folder}/archive.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
"""


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Where the main and the security archive are; security is None where apt knows only the main one."""

    main: str
    security: str | None

    @classmethod
    def from_apt(cls) -> Mirrors:
        """Read the addresses from this machine's apt configuration, or from RTRACE_DEBIAN[_SECURITY]_MIRROR."""
        found = {"Debian": "", "Debian-Security": ""}
        listing = run(
            [find_program("apt-get"), "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]
        )
        for line in listing.splitlines():
            label, _, address = line.partition(" ")
            if found.get(label) == "":
                found[label] = address
        main = os.environ.get("RTRACE_DEBIAN_MIRROR") or found["Debian"]
        security = os.environ.get("RTRACE_DEBIAN_SECURITY_MIRROR") or found["Debian-Security"]
        if not main:
            message = "apt knows no Debian archive"
            hint = "run `apt-get update` on a Debian system, or set RTRACE_DEBIAN_MIRROR to a mirror's address"
            raise KernelUnavailableError(message, hint=hint)
        return cls(main, security or None)


class Archive:
    """Some suites of Debian, with their indices in a folder of our own."""

    def __init__(self, folder: Path, suites: tuple[str, ...], keyring: str) -> None:
        self._folder = folder
        self._suites = suites
        self._keyring = keyring

    def update(self) -> None:
        """Fetch the indices; their signatures are checked by apt against the keyring."""
        mirrors = Mirrors.from_apt()
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "status").write_text("")
        (self._folder / "apt.conf").write_text(CONFIGURATION.format(folder=self._folder))
        stanzas = []
        for suite in self._suites:
            address = mirrors.security if suite.endswith("-security") else mirrors.main
            if address is not None:
                stanzas.append(
                    f"Types: deb\nURIs: {address}\nSuites: {suite}\nComponents: main\nArchitectures: amd64\n"
                    f"Targets: Packages\nSigned-By: {self._keyring}\n"
                )
        (self._folder / "archive.sources").write_text("\n".join(stanzas))
        self._apt("apt-get", "update", "--error-on=any")

    def resolve(self, package: str, parts: str) -> dict[str, str]:
        """Give name and version of the packages that `package` depends on and whose names match `parts`."""
        tree = self._apt("apt-cache", "depends", "--recurse", "--important", package)
        names = sorted({line.strip() for line in tree.splitlines() if re.fullmatch(parts, line.strip())})
        if not names:
            message = f"`{package}` of {', '.join(self._suites)} leads to no kernel package"
            raise KernelUnavailableError(message)
        versions = {}
        for name in names:
            # The first stanza is the newest version, which is also the one that `download` takes.
            stanza = self._apt("apt-cache", "show", "--no-all-versions", name)
            versions[name] = next(line.split()[1] for line in stanza.splitlines() if line.startswith("Version:"))
        return versions

    def find_version(self, package: str, upstream: str) -> str:
        """Give the newest packaging of one upstream version."""
        stanzas = self._apt("apt-cache", "show", package)
        versions = [line.split()[1] for line in stanzas.splitlines() if line.startswith("Version:")]
        # apt lists the newest first.
        for version in versions:
            if re.match(rf"(\d+:)?{re.escape(upstream)}\b", version):
                return version
        message = f"{', '.join(self._suites)} has no {package} {upstream}, only {', '.join(versions)}"
        raise KernelUnavailableError(message)

    def download(self, packages: Mapping[str, str], folder: Path) -> list[Path]:
        """Put the .deb files of exactly these versions into `folder`; apt checks their hashes."""
        folder.mkdir()
        self._apt("apt-get", "download", *(f"{name}={version}" for name, version in packages.items()), folder=folder)
        return sorted(folder.glob("*.deb"))

    def _apt(self, program: str, *arguments: str, folder: Path | None = None) -> str:
        return run([find_program(program), "-c", str(self._folder / "apt.conf"), "-q", *arguments], folder=folder)


def run(command: list[str], *, folder: Path | None = None) -> str:
    """Run a command of the fetching step and give its output; what it complained about becomes the error."""
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        complaints = [
            line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))
        ] or done.stderr.splitlines()
        hint = None
        if "NO_PUBKEY" in done.stderr:
            hint = "install a newer debian-archive-keyring"
        elif command[-1].startswith("--error-on"):
            hint = "is the mirror of apt's configuration reachable, and does it still carry this suite?"
        message = f"`{Path(command[0]).name}` failed: {'; '.join(complaints[:4])}"
        raise KernelUnavailableError(message, hint=hint)
    return done.stdout

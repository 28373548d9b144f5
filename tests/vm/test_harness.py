"""The harness itself: statuses come out as they went in, and its lists fit together."""

from __future__ import annotations

import shutil

import pytest

from tests.vm.__main__ import PYTEST, split_command
from tests.vm.errors import HarnessError
from tests.vm.guest import CHECKOUT, TIMEOUT_STATUS, Settings, run_guest
from tests.vm.kernels import Kernel, load_specs
from tests.vm.requirements import BOOT_PROGRAMS, FOLDER, check_boot_requirements, kernels_required

QUICKEST = "6.1"
BOOT_TIMEOUT = 180.0


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    try:
        check_boot_requirements()
        return load_specs([QUICKEST])[0].fetch()
    except HarnessError as error:
        if kernels_required():
            raise
        pytest.skip(str(error))


@pytest.mark.vm
@pytest.mark.timeout(2 * BOOT_TIMEOUT)
@pytest.mark.parametrize(
    ("script", "timeout", "expected"),
    [
        ("exit 0", BOOT_TIMEOUT, (0, "passed")),
        ("echo seven; exit 7", BOOT_TIMEOUT, (7, "exit 7")),
        ("exit 0", 2.0, (TIMEOUT_STATUS, "timeout")),
    ],
)
def test_status_is_carried_out(
    kernel: Kernel, script: str, timeout: float, expected: tuple[int, str], capfd: pytest.CaptureFixture[str]
) -> None:
    outcome = run_guest(kernel, ["sh", "-c", script], Settings(timeout=timeout))
    assert (outcome.status, outcome.result) == expected
    assert outcome.release == kernel.release
    assert ("seven" in capfd.readouterr().out) == (expected[0] == 7)
    assert (outcome.kept is None) == (expected[0] == 0)
    if outcome.kept is not None:
        shutil.rmtree(outcome.kept)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ([], [])),
        (["-k", "6.1", "--"], (["-k", "6.1"], [])),
        (["--", "uname", "-r"], ([], ["uname", "-r"])),
        (["--", "tests/kernel/test_x.py::test_y"], ([], [*PYTEST, "tests/kernel/test_x.py::test_y"])),
        (["--", "-x", "tests/vm"], ([], [*PYTEST, "-x", "tests/vm"])),
    ],
)
def test_tests_are_given_to_pytest(arguments: list[str], expected: tuple[list[str], list[str]]) -> None:
    assert split_command(arguments) == expected


def test_unknown_kernel_is_named() -> None:
    with pytest.raises(HarnessError, match=r"no kernel `2\.4`") as caught:
        load_specs(["2.4"])
    assert QUICKEST in str(caught.value.hint)


def test_package_list_has_what_the_boot_needs() -> None:
    packages = (FOLDER / "apt-packages.txt").read_text().split()
    assert set(BOOT_PROGRAMS.values()) | {"debian-archive-keyring"} == set(packages)
    assert (CHECKOUT / "tests" / "vm" / "kernels.toml").exists()

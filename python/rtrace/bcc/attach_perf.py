"""Attaching to events of hardware and software counters."""

from __future__ import annotations

from rtrace.bcc import cpus
from rtrace.bcc.attachments import Attachments
from rtrace.bcc.links import close_links
from rtrace.errors import AttachError, NotSupportedError, TargetNotFoundError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any

    from rtrace.bcc.names import Name
    from rtrace.errors import RtraceError


class PerfAttachments(Attachments):
    """perf events."""

    def attach_perf_event(  # noqa: PLR0913, PLR0917  # bcc's signature
        self,
        ev_type: int = -1,
        ev_config: int = -1,
        fn_name: Name = b"",
        sample_period: int = 0,
        sample_freq: int = 0,
        pid: int = -1,
        cpu: int = -1,
        group_fd: int = -1,
    ) -> None:
        """Run a program whenever a counter has counted so much.

        Parameters
        ----------
        ev_type, ev_config
            What to count, as PerfType and PerfHWConfig or PerfSWConfig name it.
        fn_name
            The program.
        sample_period, sample_freq
            Events between two runs, or runs in a second.
        pid
            Process to count for; all without.
        cpu
            CPU to count on; all that are online without.
        group_fd
            Descriptor of the leader of a group of counters.
        """
        program = self.load_func(fn_name, 7)
        links = [
            self.native.attach_perf_event(
                program.program,
                ev_type,
                ev_config,
                sample_period=sample_period,
                sample_freq=sample_freq,
                pid=pid if pid >= 0 else None,
                cpu=number,
                group_fd=group_fd,
            )
            for number in ([cpu] if cpu >= 0 else cpus.online())
        ]
        self.loaded.links.add("perf event", perf_place(ev_type, ev_config), program.name, links)

    def attach_perf_event_raw(
        self, attr: Any = -1, fn_name: Name = b"", pid: int = -1, cpu: int = -1, group_fd: int = -1
    ) -> None:
        """Run a program as :meth:`attach_perf_event` does, at an event with all the attributes of `attr`.

        Parameters
        ----------
        attr
            A ``Perf.perf_event_attr``, which the kernel gets as it is.
        fn_name
            The program.
        pid, cpu, group_fd
            As there.

        Raises
        ------
        AttachError, NotSupportedError
            If the kernel or the machine has no such event.
        """
        from rtrace.bcc.perf import EventLink, open_event  # noqa: PLC0415  # ctypes takes longer than to attach

        program = self.load_func(fn_name, 7)
        links: list[Any] = []
        try:
            for number in [cpu] if cpu >= 0 else cpus.online():
                event = open_event(attr, pid, number, group_fd)
                links.append(EventLink(program.program, program.fd, _target(attr), event))
        except OSError as error:
            close_links(links)
            raise _refused(program.program, _target(attr), error) from error
        self.loaded.links.add("perf event", perf_place(attr.type, attr.config), program.name, links)

    def detach_perf_event(self, ev_type: int = -1, ev_config: int = -1) -> None:
        """Detach all programs from a counter."""
        self.loaded.links.remove("perf event", perf_place(ev_type, ev_config))

    @property
    def open_perf_events(self) -> dict[tuple[int, int], Any]:
        """Links of perf events, by type and configuration."""
        places = self.loaded.links.of("perf event")
        return {tuple(map(int, place.split(b":"))): programs for place, programs in places.items()}  # type: ignore[misc]


def perf_place(ev_type: int, ev_config: int) -> bytes:
    """Return the name of a counter among the links."""
    return f"{ev_type}:{ev_config}".encode()


def _target(attributes: Any) -> str:
    return f"type {attributes.type} config {attributes.config:#x}"


def _refused(program: str, target: str, error: OSError) -> RtraceError:
    """Return rtrace's error for what the kernel says."""
    import errno  # noqa: PLC0415  # only then

    operation = f"attach perf event `{program}` to `{target}`"
    causes = {
        errno.ENOENT: "no such event",
        errno.ESRCH: "no such process",
        errno.ENODEV: "no such CPU, or it is offline",
    }
    if error.errno in causes:
        message = f"{operation}: {causes[error.errno]}"
        return TargetNotFoundError(message, program=program, kind="perf event", target=target, errno=error.errno)
    if error.errno == errno.EOPNOTSUPP:
        feature = "these attributes of events (virtual machines often lack hardware events)"
        return NotSupportedError(f"{operation}: the machine has no {feature}", feature=feature)
    message = f"{operation}: {str(error.strerror).lower()}"
    return AttachError(message, program=program, kind="perf event", target=target, errno=error.errno)

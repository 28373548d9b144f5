"""Words for TCP's states and flags, as scripts import them from ``bcc.tcp``."""

from __future__ import annotations

# include/net/tcp_states.h, from 1.
_STATES = (
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "NEW_SYN_RECV",
)
tcpstate = dict(enumerate(_STATES, 1))

# include/net/tcp.h, from bit 0.
_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
(
    TCPHDR_FIN,
    TCPHDR_SYN,
    TCPHDR_RST,
    TCPHDR_PSH,
    TCPHDR_ACK,
    TCPHDR_URG,
    TCPHDR_ECE,
    TCPHDR_CWR,
) = (1 << bit for bit in range(len(_FLAGS)))


def state2str(state: int) -> str:
    """Return the word for a state."""
    return tcpstate.get(state, "UNKNOWN")


def flags2str(flags: int) -> str:
    """Return the words for flags, joined by ``|``."""
    return "|".join(name for bit, name in enumerate(_FLAGS) if flags >> bit & 1)

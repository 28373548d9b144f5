//! Kinds of programs: the words for them, and what the kernel is told when one is loaded.

use std::fmt;

use aya_obj::{
    ProgramSection,
    generated::{BPF_F_SLEEPABLE, BPF_F_XDP_HAS_FRAGS, bpf_attach_type as attach, bpf_prog_type as program},
    programs::{
        CgroupSkbAttachType as Skb, CgroupSockAddrAttachType as SockAddr, CgroupSockAttachType as Sock,
        CgroupSockoptAttachType as Sockopt, SkReuseportAttachType as Reuseport, SkSkbKind, XdpAttachType,
    },
};

use crate::error::Error;

/// What a program of a kind must be told at load time, beside its type.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Target {
    /// Nothing: it finds out when it is attached.
    None,
    /// A function of the kernel.
    Function,
    /// A hook of the security modules, without the `bpf_lsm_` of the function that stands for it.
    SecurityHook,
    /// A tracepoint, for arguments with types.
    Tracepoint,
    /// What the kernel can go through one by one, without the `bpf_iter_` of the function that stands for it.
    Iterator,
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "target",
            Self::Function => "function",
            Self::SecurityHook => "hook of the security modules",
            Self::Tracepoint => "tracepoint",
            Self::Iterator => "iterator",
        })
    }
}

/// A kind of program.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) program_type: program,
    pub(crate) attach_type: Option<attach>,
    pub(crate) target: Target,
}

const fn kind(name: &'static str, program_type: program, attach_type: Option<attach>) -> Kind {
    Kind { name, program_type, attach_type, target: Target::None }
}

const fn trampoline(name: &'static str, program_type: program, attach_type: attach, target: Target) -> Kind {
    Kind { name, program_type, attach_type: Some(attach_type), target }
}

const fn cgroup_address(name: &'static str, attach_type: attach) -> Kind {
    kind(name, program::BPF_PROG_TYPE_CGROUP_SOCK_ADDR, Some(attach_type))
}

const fn cgroup_socket(name: &'static str, attach_type: attach) -> Kind {
    kind(name, program::BPF_PROG_TYPE_CGROUP_SOCK, Some(attach_type))
}

/// Tracing kinds by the field's words, the network's by the names of their ELF sections, which are their only names.
static KINDS: [Kind; 56] = [
    kind("kprobe", program::BPF_PROG_TYPE_KPROBE, None),
    kind("kretprobe", program::BPF_PROG_TYPE_KPROBE, None),
    kind("uprobe", program::BPF_PROG_TYPE_KPROBE, None),
    kind("uretprobe", program::BPF_PROG_TYPE_KPROBE, None),
    kind("tracepoint", program::BPF_PROG_TYPE_TRACEPOINT, None),
    kind("raw tracepoint", program::BPF_PROG_TYPE_RAW_TRACEPOINT, None),
    kind("perf event", program::BPF_PROG_TYPE_PERF_EVENT, None),
    trampoline("btf tracepoint", program::BPF_PROG_TYPE_TRACING, attach::BPF_TRACE_RAW_TP, Target::Tracepoint),
    trampoline("fentry", program::BPF_PROG_TYPE_TRACING, attach::BPF_TRACE_FENTRY, Target::Function),
    trampoline("fexit", program::BPF_PROG_TYPE_TRACING, attach::BPF_TRACE_FEXIT, Target::Function),
    trampoline("fmod_ret", program::BPF_PROG_TYPE_TRACING, attach::BPF_MODIFY_RETURN, Target::Function),
    trampoline("lsm", program::BPF_PROG_TYPE_LSM, attach::BPF_LSM_MAC, Target::SecurityHook),
    trampoline("iter", program::BPF_PROG_TYPE_TRACING, attach::BPF_TRACE_ITER, Target::Iterator),
    kind("xdp", program::BPF_PROG_TYPE_XDP, Some(attach::BPF_XDP)),
    kind("xdp/cpumap", program::BPF_PROG_TYPE_XDP, Some(attach::BPF_XDP_CPUMAP)),
    kind("xdp/devmap", program::BPF_PROG_TYPE_XDP, Some(attach::BPF_XDP_DEVMAP)),
    kind("socket", program::BPF_PROG_TYPE_SOCKET_FILTER, None),
    kind("classifier", program::BPF_PROG_TYPE_SCHED_CLS, None),
    kind("action", program::BPF_PROG_TYPE_SCHED_ACT, None),
    kind("lwt_in", program::BPF_PROG_TYPE_LWT_IN, None),
    kind("lwt_out", program::BPF_PROG_TYPE_LWT_OUT, None),
    kind("lwt_xmit", program::BPF_PROG_TYPE_LWT_XMIT, None),
    kind("flow_dissector", program::BPF_PROG_TYPE_FLOW_DISSECTOR, Some(attach::BPF_FLOW_DISSECTOR)),
    kind("lirc_mode2", program::BPF_PROG_TYPE_LIRC_MODE2, Some(attach::BPF_LIRC_MODE2)),
    kind("sockops", program::BPF_PROG_TYPE_SOCK_OPS, Some(attach::BPF_CGROUP_SOCK_OPS)),
    kind("sk_msg", program::BPF_PROG_TYPE_SK_MSG, Some(attach::BPF_SK_MSG_VERDICT)),
    kind("sk_skb", program::BPF_PROG_TYPE_SK_SKB, None),
    kind("sk_skb/stream_parser", program::BPF_PROG_TYPE_SK_SKB, Some(attach::BPF_SK_SKB_STREAM_PARSER)),
    kind("sk_skb/stream_verdict", program::BPF_PROG_TYPE_SK_SKB, Some(attach::BPF_SK_SKB_STREAM_VERDICT)),
    kind("sk_lookup", program::BPF_PROG_TYPE_SK_LOOKUP, Some(attach::BPF_SK_LOOKUP)),
    kind("sk_reuseport", program::BPF_PROG_TYPE_SK_REUSEPORT, Some(attach::BPF_SK_REUSEPORT_SELECT)),
    kind("sk_reuseport/migrate", program::BPF_PROG_TYPE_SK_REUSEPORT, Some(attach::BPF_SK_REUSEPORT_SELECT_OR_MIGRATE)),
    kind("cgroup/skb", program::BPF_PROG_TYPE_CGROUP_SKB, None),
    kind("cgroup_skb/ingress", program::BPF_PROG_TYPE_CGROUP_SKB, Some(attach::BPF_CGROUP_INET_INGRESS)),
    kind("cgroup_skb/egress", program::BPF_PROG_TYPE_CGROUP_SKB, Some(attach::BPF_CGROUP_INET_EGRESS)),
    kind("cgroup/dev", program::BPF_PROG_TYPE_CGROUP_DEVICE, Some(attach::BPF_CGROUP_DEVICE)),
    kind("cgroup/sysctl", program::BPF_PROG_TYPE_CGROUP_SYSCTL, Some(attach::BPF_CGROUP_SYSCTL)),
    kind("cgroup/getsockopt", program::BPF_PROG_TYPE_CGROUP_SOCKOPT, Some(attach::BPF_CGROUP_GETSOCKOPT)),
    kind("cgroup/setsockopt", program::BPF_PROG_TYPE_CGROUP_SOCKOPT, Some(attach::BPF_CGROUP_SETSOCKOPT)),
    cgroup_socket("cgroup/sock_create", attach::BPF_CGROUP_INET_SOCK_CREATE),
    cgroup_socket("cgroup/sock_release", attach::BPF_CGROUP_INET_SOCK_RELEASE),
    cgroup_socket("cgroup/post_bind4", attach::BPF_CGROUP_INET4_POST_BIND),
    cgroup_socket("cgroup/post_bind6", attach::BPF_CGROUP_INET6_POST_BIND),
    cgroup_address("cgroup/bind4", attach::BPF_CGROUP_INET4_BIND),
    cgroup_address("cgroup/bind6", attach::BPF_CGROUP_INET6_BIND),
    cgroup_address("cgroup/connect4", attach::BPF_CGROUP_INET4_CONNECT),
    cgroup_address("cgroup/connect6", attach::BPF_CGROUP_INET6_CONNECT),
    cgroup_address("cgroup/getpeername4", attach::BPF_CGROUP_INET4_GETPEERNAME),
    cgroup_address("cgroup/getpeername6", attach::BPF_CGROUP_INET6_GETPEERNAME),
    cgroup_address("cgroup/getsockname4", attach::BPF_CGROUP_INET4_GETSOCKNAME),
    cgroup_address("cgroup/getsockname6", attach::BPF_CGROUP_INET6_GETSOCKNAME),
    cgroup_address("cgroup/sendmsg4", attach::BPF_CGROUP_UDP4_SENDMSG),
    cgroup_address("cgroup/sendmsg6", attach::BPF_CGROUP_UDP6_SENDMSG),
    cgroup_address("cgroup/recvmsg4", attach::BPF_CGROUP_UDP4_RECVMSG),
    cgroup_address("cgroup/recvmsg6", attach::BPF_CGROUP_UDP6_RECVMSG),
    kind("syscall", program::BPF_PROG_TYPE_SYSCALL, None),
];

impl Kind {
    /// Return the kind that has this name.
    pub(crate) fn named(name: &str) -> Result<&'static Self, Error> {
        KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
            let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
            Error::Value(format!("no kind of program {name:?}; there are {}", names.join(", ")))
        })
    }

    /// Return the kind of a section's programs, `None` for those that cannot be loaded.
    pub(crate) fn of_section(section: &ProgramSection) -> Option<&'static Self> {
        Self::named(section_name(section)?).ok()
    }
}

fn section_name(section: &ProgramSection) -> Option<&'static str> {
    Some(match section {
        ProgramSection::KProbe => "kprobe",
        ProgramSection::KRetProbe => "kretprobe",
        ProgramSection::UProbe { .. } => "uprobe",
        ProgramSection::URetProbe { .. } => "uretprobe",
        ProgramSection::TracePoint => "tracepoint",
        ProgramSection::RawTracePoint => "raw tracepoint",
        ProgramSection::BtfTracePoint => "btf tracepoint",
        ProgramSection::FEntry { .. } => "fentry",
        ProgramSection::FExit { .. } => "fexit",
        ProgramSection::Lsm { .. } => "lsm",
        ProgramSection::Iter { .. } => "iter",
        ProgramSection::PerfEvent => "perf event",
        ProgramSection::Xdp { attach_type: XdpAttachType::Interface, .. } => "xdp",
        ProgramSection::Xdp { attach_type: XdpAttachType::CpuMap, .. } => "xdp/cpumap",
        ProgramSection::Xdp { attach_type: XdpAttachType::DevMap, .. } => "xdp/devmap",
        ProgramSection::SocketFilter => "socket",
        ProgramSection::SchedClassifier => "classifier",
        ProgramSection::FlowDissector => "flow_dissector",
        ProgramSection::LircMode2 => "lirc_mode2",
        ProgramSection::SockOps => "sockops",
        ProgramSection::SkMsg => "sk_msg",
        ProgramSection::SkSkbStream { kind: SkSkbKind::StreamParser } => "sk_skb/stream_parser",
        ProgramSection::SkSkbStream { kind: SkSkbKind::StreamVerdict } => "sk_skb/stream_verdict",
        ProgramSection::SkLookup => "sk_lookup",
        ProgramSection::SkReuseport { attach_type: Reuseport::Select } => "sk_reuseport",
        ProgramSection::SkReuseport { attach_type: Reuseport::SelectOrMigrate } => "sk_reuseport/migrate",
        ProgramSection::CgroupSkb { attach_type: None } => "cgroup/skb",
        ProgramSection::CgroupSkb { attach_type: Some(Skb::Ingress) } => "cgroup_skb/ingress",
        ProgramSection::CgroupSkb { attach_type: Some(Skb::Egress) } => "cgroup_skb/egress",
        ProgramSection::CgroupDevice => "cgroup/dev",
        ProgramSection::CgroupSysctl => "cgroup/sysctl",
        ProgramSection::CgroupSockopt { attach_type: Sockopt::Get } => "cgroup/getsockopt",
        ProgramSection::CgroupSockopt { attach_type: Sockopt::Set } => "cgroup/setsockopt",
        ProgramSection::CgroupSock { attach_type: Sock::SockCreate } => "cgroup/sock_create",
        ProgramSection::CgroupSock { attach_type: Sock::SockRelease } => "cgroup/sock_release",
        ProgramSection::CgroupSock { attach_type: Sock::PostBind4 } => "cgroup/post_bind4",
        ProgramSection::CgroupSock { attach_type: Sock::PostBind6 } => "cgroup/post_bind6",
        ProgramSection::CgroupSockAddr { attach_type } => match attach_type {
            SockAddr::Bind4 => "cgroup/bind4",
            SockAddr::Bind6 => "cgroup/bind6",
            SockAddr::Connect4 => "cgroup/connect4",
            SockAddr::Connect6 => "cgroup/connect6",
            SockAddr::GetPeerName4 => "cgroup/getpeername4",
            SockAddr::GetPeerName6 => "cgroup/getpeername6",
            SockAddr::GetSockName4 => "cgroup/getsockname4",
            SockAddr::GetSockName6 => "cgroup/getsockname6",
            SockAddr::UDPSendMsg4 => "cgroup/sendmsg4",
            SockAddr::UDPSendMsg6 => "cgroup/sendmsg6",
            SockAddr::UDPRecvMsg4 => "cgroup/recvmsg4",
            SockAddr::UDPRecvMsg6 => "cgroup/recvmsg6",
        },
        ProgramSection::LsmCgroup | ProgramSection::Extension => return None,
    })
}

/// Return the flags that a section's name asks for.
pub(crate) fn flags_of(section: &ProgramSection) -> u32 {
    match section {
        ProgramSection::UProbe { sleepable: true }
        | ProgramSection::URetProbe { sleepable: true }
        | ProgramSection::Lsm { sleepable: true }
        | ProgramSection::Iter { sleepable: true }
        | ProgramSection::FEntry { sleepable: true }
        | ProgramSection::FExit { sleepable: true } => BPF_F_SLEEPABLE,
        ProgramSection::Xdp { frags: true, .. } => BPF_F_XDP_HAS_FRAGS,
        _ => 0,
    }
}

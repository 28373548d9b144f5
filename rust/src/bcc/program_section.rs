//! What kind of program a function becomes: told by its name, and by what its first parameter points to.

use super::scan::tracepoint_of;

/// What a function becomes.
pub(crate) struct Program {
    pub(crate) section: String,
    /// The macro of the prelude that reads an argument.
    pub(crate) arguments: &'static str,
}

/// Prefixes of functions' names and the section of such programs.
const PREFIXES: [(&str, &str, &str); 11] = [
    ("kprobe__", "kprobe", "__rtrace_register"),
    ("kretprobe__", "kretprobe", "__rtrace_register"),
    ("raw_tracepoint__", "raw_tracepoint", "__rtrace_element"),
    ("kfunc__vmlinux__", "fentry", "__rtrace_element"),
    ("kretfunc__vmlinux__", "fexit", "__rtrace_element"),
    ("kfunc__", "fentry", "__rtrace_element"),
    ("kretfunc__", "fexit", "__rtrace_element"),
    ("kmod_ret__vmlinux__", "fmod_ret", "__rtrace_element"),
    ("fmod_ret__", "fmod_ret", "__rtrace_element"),
    ("kmod_ret__", "fmod_ret", "__rtrace_element"),
    ("lsm__", "lsm", "__rtrace_element"),
];

/// Structs that contexts point to and the section of programs that get them.
const CONTEXTS: [(&str, &str); 10] = [
    ("xdp_md", "xdp"),
    ("__sk_buff", "socket"),
    ("bpf_perf_event_data", "perf_event"),
    ("bpf_sock_ops", "sockops"),
    ("sk_msg_md", "sk_msg"),
    ("bpf_sock_addr", "cgroup/connect4"),
    ("bpf_sock", "cgroup/sock"),
    ("bpf_cgroup_dev_ctx", "cgroup/dev"),
    ("bpf_sysctl", "cgroup/sysctl"),
    ("bpf_sk_lookup", "sk_lookup"),
];

/// System calls whose arguments are in registers that the first argument points to.
const WRAPPED: [&str; 5] =
    ["syscall__", "kprobe____x64_sys_", "kprobe____ia32_sys_", "kprobe____arm64_sys_", "kprobe____se_sys_"];

impl Program {
    pub(crate) fn of(name: &str, context: &str) -> Self {
        if let Some((_, section)) = CONTEXTS.iter().find(|(known, _)| *known == context) {
            return Self { section: (*section).to_owned(), arguments: "__rtrace_no_arguments" };
        }
        if let Some((category, event)) = tracepoint_of(name).or_else(|| tracepoint_of(context)) {
            return Self { section: format!("tracepoint/{category}/{event}"), arguments: "__rtrace_no_arguments" };
        }
        if WRAPPED.iter().any(|prefix| name.starts_with(prefix)) {
            let target = name.strip_prefix("kprobe__").unwrap_or(name);
            return Self { section: format!("kprobe/{target}"), arguments: "__rtrace_system_call_register" };
        }
        if let Some((prefix, section, arguments)) = PREFIXES.iter().find(|(prefix, ..)| name.starts_with(prefix)) {
            return Self { section: format!("{section}/{}", &name[prefix.len()..]), arguments };
        }
        if context == "bpf_raw_tracepoint_args" {
            return Self { section: format!("raw_tracepoint/{name}"), arguments: "__rtrace_element" };
        }
        Self { section: format!("kprobe/{name}"), arguments: "__rtrace_register" }
    }
}

//! Why the kernel said no.

use std::fs;

/// Capabilities that tracing needs, by their numbers (include/uapi/linux/capability.h).
const NEEDED: [(&str, u32); 2] = [("CAP_PERFMON", 38), ("CAP_BPF", 39)];
/// Holds all of them.
const SYS_ADMIN: u32 = 21;

/// Return the running kernel's release, as `uname -r` prints it.
pub(crate) fn kernel_release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// Return the bits of the capabilities that this process has.
fn effective() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

/// Whether this process has `CAP_SYS_ADMIN`, which holds all that tracing needs.
pub(crate) fn is_admin() -> bool {
    effective() >> SYS_ADMIN & 1 != 0
}

/// Return the needed capabilities that this process does not have.
pub(crate) fn missing_capabilities() -> Vec<&'static str> {
    let effective = effective();
    let has = |number: u32| effective >> number & 1 != 0;
    if has(SYS_ADMIN) {
        return Vec::new();
    }
    NEEDED.iter().filter(|(_, number)| !has(*number)).map(|(name, _)| *name).collect()
}

/// Return the lockdown mode (`none`, `integrity`, `confidentiality`) where the kernel shows it.
pub(crate) fn lockdown() -> Option<String> {
    let modes = fs::read_to_string("/sys/kernel/security/lockdown").ok()?;
    modes.split_whitespace().find_map(|mode| mode.strip_prefix('[')?.strip_suffix(']').map(str::to_owned))
}

/// Return the way out of an `EPERM` or `EACCES` of a tracing system call.
pub(crate) fn way_out() -> String {
    let missing = missing_capabilities();
    if !missing.is_empty() {
        format!("run as root, or give the interpreter {}", missing.join(" and "))
    } else if let Some(mode) = lockdown().filter(|mode| mode != "none") {
        format!("kernel lockdown is in {mode} mode, which forbids this; boot without lockdown= or Secure Boot")
    } else {
        "the capabilities are there, so a security module or seccomp filter refuses it; `rtrace doctor` lists what is allowed"
            .to_owned()
    }
}

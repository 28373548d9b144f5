//! What to do about the kernel's refusals to attach.

/// Return the way out of an error number, by the kind of the attachment.
pub(crate) fn of_errno(kind: &str, errno: Option<i32>) -> Option<&'static str> {
    Some(match (kind, errno?) {
        ("xdp", libc::EBUSY | libc::EEXIST) => {
            "the interface has an XDP program: close its link first, or `ip link set dev NAME xdp off` if nothing else does"
        }
        (_, libc::EEXIST) => {
            "the program is attached there already: close that link first, or attach another program (in bcc's C \
             another function)"
        }
        _ => return None,
    })
}

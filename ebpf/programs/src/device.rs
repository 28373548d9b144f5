//! Which device a file descriptor of the current task stands for.

use aya_ebpf::{Global, helpers::generated::bpf_get_current_task};

use crate::{element, entry::Entry};

/// Where the pointers and numbers on the way are: `task_struct.files`, `files_struct.fdt`, `fdtable.fd`,
/// `file.f_inode`, `inode.i_rdev`. They differ between kernels; their BTF tells.
pub type Path = [u32; 5];

/// Return the device number (the kernel's `dev_t`) behind `descriptor`; 0 if it is no device.
#[inline(always)]
pub fn of_descriptor(descriptor: u64, path: &'static Global<Path>) -> u64 {
    // SAFETY: pointers into a global.
    let offset = |step: usize| u64::from(unsafe { core::ptr::read_volatile(element(path, step)) });
    // SAFETY: has no preconditions.
    let task = Entry::at(unsafe { bpf_get_current_task() });
    let files = Entry::at(task.integer(offset(0), 8, false));
    let table = Entry::at(files.integer(offset(1), 8, false));
    let descriptors = Entry::at(table.integer(offset(2), 8, false));
    let file = Entry::at(descriptors.integer((descriptor & 0x00ff_ffff) * 8, 8, false));
    let inode = Entry::at(file.integer(offset(3), 8, false));
    inode.integer(offset(4), 4, false)
}

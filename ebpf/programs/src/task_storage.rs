//! Task storage: a value that hangs off the task itself.
//!
//! Found by following a pointer instead of hashing a key, created on first use, freed with the task. Programs of
//! every tracing type may use it since Linux 5.12. `aya-ebpf` has no type for it.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::{
        BPF_F_NO_PREALLOC, BPF_LOCAL_STORAGE_GET_F_CREATE, bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE, task_struct,
    },
    helpers::generated::{bpf_get_current_task_btf, bpf_task_storage_get},
};

/// A BTF map definition: the loader reads the types of these fields, nobody their values.
#[repr(C)]
pub struct TaskStorage<T> {
    r#type: *const [i32; BPF_MAP_TYPE_TASK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; BPF_F_NO_PREALLOC as usize],
}

// SAFETY: placeholder pointers, never followed.
unsafe impl<T> Sync for TaskStorage<T> {}

impl<T> TaskStorage<T> {
    /// Declare a task storage map.
    #[expect(clippy::new_without_default, reason = "only ever the initialiser of a static")]
    pub const fn new() -> Self {
        Self {
            r#type: ptr::null(),
            key: ptr::null(),
            value: ptr::null(),
            max_entries: ptr::null(),
            map_flags: ptr::null(),
        }
    }

    /// Return the current task's value, if it has one.
    #[inline(always)]
    pub fn of_current(&self) -> Option<&mut T> {
        self.get(0)
    }

    /// Return the current task's value, zeroed if it is new; `None` if there is no memory or the storage is busy.
    #[inline(always)]
    pub fn of_current_or_new(&self) -> Option<&mut T> {
        self.get(u64::from(BPF_LOCAL_STORAGE_GET_F_CREATE))
    }

    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "the kernel hands out the memory; only the current task's programs use it")]
    fn get(&self, flags: u64) -> Option<&mut T> {
        // SAFETY: the map is this one, the task the current one; the kernel returns its value or null.
        unsafe {
            let task: *mut task_struct = bpf_get_current_task_btf();
            let map: *mut c_void = ptr::from_ref(self).cast_mut().cast();
            bpf_task_storage_get(map, task, ptr::null_mut(), flags).cast::<T>().as_mut()
        }
    }
}

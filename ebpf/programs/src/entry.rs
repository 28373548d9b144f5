//! Copying pieces of a tracepoint's entry into a record.

use core::{arch::asm, ffi::c_void};

use aya_ebpf::{
    Global,
    helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str},
};
use rtrace_common::entry::{SEGMENTS, Segment, kind};

use crate::{element, part};

/// An entry as the kernel hands it to a tracepoint program.
#[derive(Clone, Copy)]
pub struct Entry(u64);

impl Entry {
    /// Take a program's context as a plain address.
    ///
    /// Offsets into an entry are known at load time only. The verifier wants those of a context in the instructions
    /// themselves; memory read by a helper may be anywhere.
    #[inline(always)]
    pub fn new(ctx: *mut c_void) -> Self {
        let mut address = ctx as u64;
        // SAFETY: register to register; little endian is what the machine has already.
        unsafe { asm!("{0} = le64 {0}", inout(reg) address) };
        Self(address)
    }

    /// Take other memory of the kernel's.
    #[inline(always)]
    pub fn at(address: u64) -> Self {
        Self(address)
    }

    /// Take an entry that a program has made itself.
    #[inline(always)]
    pub fn of<T>(made: &T) -> Self {
        // The helpers read it behind the compiler's back; `new` lets its address out, so it is in memory by then.
        Self::new(core::ptr::from_ref(made).cast_mut().cast())
    }

    /// Read `size` bytes at `offset` to `to`; zeros where that fails.
    ///
    /// # Safety
    ///
    /// There must be room for them.
    #[inline(always)]
    pub unsafe fn read(self, offset: u64, size: u32, to: *mut u8) {
        // SAFETY: the caller's promise; the helper checks the address it reads from.
        unsafe { bpf_probe_read_kernel(to.cast(), size, (self.0 + offset) as *const c_void) };
    }

    /// Read a `u32` at `offset`.
    #[inline(always)]
    fn number(self, offset: u64) -> u32 {
        let mut number = 0_u32;
        // SAFETY: a variable of that size.
        unsafe { self.read(offset, 4, (&raw mut number).cast()) };
        number
    }

    /// Read an integer of `size` bytes at `offset`, widened to 8.
    #[inline(always)]
    pub fn integer(self, offset: u64, size: u8, signed: bool) -> u64 {
        let mut number = 0_u64;
        // SAFETY: an integer has at most 8 bytes.
        unsafe { self.read(offset, u32::from(size), (&raw mut number).cast()) };
        let shift = 64 - 8 * u32::from(size);
        if signed { (((number << shift) as i64) >> shift) as u64 } else { number }
    }

    /// Return where what the location at `offset` names is: offset and length in one number, the offset counted from
    /// the start of the entry or, of a relative one, from behind itself.
    #[inline(always)]
    pub fn located(self, offset: u64, relative: bool) -> u64 {
        let base = if relative { offset + 4 } else { 0 };
        base + u64::from(self.number(offset) & 0xffff)
    }

    /// Copy what the segments name to `payload`.
    ///
    /// # Safety
    ///
    /// The payload must have room for every segment.
    #[inline(always)]
    pub unsafe fn copy(self, segments: &'static Global<[Segment; SEGMENTS]>, payload: *mut u8) {
        for index in 0..SEGMENTS {
            let segment = element(segments, index);
            if part!(segment, kind) == kind::NONE {
                return;
            }
            let to = part!(segment, to) as usize;
            // SAFETY: the caller's promise.
            unsafe { self.copy_segment(segment, payload.add(to)) };
        }
    }

    /// Copy what one segment names to `to`.
    ///
    /// # Safety
    ///
    /// There must be room for it.
    #[inline(always)]
    pub unsafe fn copy_one(self, segment: &'static Global<Segment>, to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { self.copy_segment(core::ptr::from_ref(segment).cast(), to) };
    }

    #[inline(always)]
    unsafe fn copy_segment(self, segment: *const Segment, to: *mut u8) {
        let how = part!(segment, kind);
        let (from, size) = (u64::from(part!(segment, from)), u32::from(part!(segment, size)));
        if how == kind::BYTES {
            // SAFETY: as above.
            unsafe { self.read(from, size, to) };
            return;
        }
        if how == kind::TEXT {
            // SAFETY: as above.
            unsafe { self.read_text(from, size, to) };
            return;
        }
        let relative = how == kind::RELATIVE_TEXT || how == kind::RELATIVE_BYTES;
        let start = self.located(from, relative);
        if how == kind::DYNAMIC_TEXT || how == kind::RELATIVE_TEXT {
            // SAFETY: as above.
            unsafe { self.read_text(start, size, to) };
            return;
        }
        let there = self.number(from) >> 16;
        let fits = if there < size { there } else { size };
        // SAFETY: as above; the count has its place behind the bytes.
        unsafe {
            zero(to, size);
            self.read(start, fits, to);
            to.add(size as usize).cast::<u32>().write_unaligned(there);
        }
    }

    /// Read text up to its NUL. What the kernel left behind the NUL is not part of it: that becomes zeros.
    #[inline(always)]
    unsafe fn read_text(self, offset: u64, size: u32, to: *mut u8) {
        // SAFETY: the caller has room for `size` bytes.
        unsafe {
            zero(to, size);
            bpf_probe_read_kernel_str(to.cast(), size, (self.0 + offset) as *const c_void);
        }
    }
}

/// Zero `size` bytes: what the helper does when it cannot read, and it refuses this address without trying.
#[inline(always)]
unsafe fn zero(to: *mut u8, size: u32) {
    // SAFETY: the caller has room for `size` bytes.
    unsafe { bpf_probe_read_kernel(to.cast(), size, core::ptr::null()) };
}

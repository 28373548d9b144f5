//! Large buffers without a page fault for every 4 KiB.

/// Buffers below this are left alone, as numpy does with its own: they are mostly memory that was used before.
pub(crate) const LARGE: usize = 4 << 20;

/// Ask for huge pages where a buffer of bytes has not been written to yet.
///
/// Faults and zeroing cost several times what copying records does: on the machines this was measured on, 2 us for
/// each 4 KiB against 0.5 us for the copy. The kernel may decline; the memory is the same to its user.
pub(crate) fn prefer_huge_pages<Byte>(unused: &mut [Byte]) {
    if size_of_val(unused) < LARGE {
        return;
    }
    let page = super::page_size();
    let start = unused.as_mut_ptr().cast::<u8>();
    // Whole pages only.
    let skipped = start.align_offset(page);
    let length = (size_of_val(unused) - skipped) & !(page - 1);
    // SAFETY: advice about memory of ours that changes nothing of its contents.
    unsafe { libc::madvise(start.add(skipped).cast(), length, libc::MADV_HUGEPAGE) };
}

/// Return memory for so many bytes, of which none is touched yet.
pub(crate) fn zeros(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    prefer_huge_pages(&mut bytes);
    bytes
}

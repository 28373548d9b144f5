//! Panics of a library that trusts what it reads, turned into errors.
//!
//! aya-obj takes indices and lengths out of object files for granted. A corrupt file must end as an error all the same,
//! and the panic's own words on standard error would be noise in somebody's Python process.

use std::{
    cell::Cell,
    fmt::Display,
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

thread_local! {
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// Why a call came to nothing: what it said itself, or that it panicked.
pub(crate) fn contain<T, E: Display>(call: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    // The hook is that of this library alone: other extension modules have a standard library of their own. Any other
    // panic of ours is a bug, and is told as ever.
    HOOK.call_once(|| {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !SILENT.get() {
                told(info);
            }
        }));
    });
    let before = SILENT.replace(true);
    let called = panic::catch_unwind(AssertUnwindSafe(call));
    SILENT.set(before);
    match called {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("not a valid eBPF object".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::contain;

    #[test]
    fn panics_become_errors() {
        let short: &[u8] = &[];
        assert_eq!(contain(|| Ok::<_, String>(7)), Ok(7));
        assert_eq!(contain(|| Err::<u8, _>("said")), Err("said".to_owned()));
        assert_eq!(contain(|| Ok::<_, String>(short[short.len()])), Err("not a valid eBPF object".to_owned()));
        assert_eq!(contain(|| contain(|| Err::<u8, _>("inner"))), Err("inner".to_owned()));
    }
}

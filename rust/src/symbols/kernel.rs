//! The kernel's functions by address and by name, from `/proc/kallsyms`.

use std::{
    fs, io,
    sync::{Arc, PoisonError, RwLock},
};

use numpy::{AllowTypeChange, PyArrayLike1};
use pyo3::prelude::*;

use crate::error::Error;

/// How far the last function of a module may reach: nobody says where it ends.
const MAX_LAST_BYTES: u64 = 1 << 16;

/// A symbol of the kernel's.
struct Entry {
    address: u64,
    /// Where its name is in the text.
    name: u32,
    length: u16,
    /// 0 is the kernel itself.
    module: u16,
}

/// `/proc/kallsyms` as it was once.
struct Snapshot {
    text: String,
    /// Symbols in the kernel's half of the addresses, in that order.
    entries: Vec<Entry>,
    modules: Vec<String>,
}

/// A function's name, the module that it is in, and the distance from its start.
type Resolved = (String, Option<String>, u64);

impl Snapshot {
    fn parse(text: String) -> Self {
        let mut modules = vec![String::new()];
        let mut entries = Vec::with_capacity(text.len() / 40);
        let start = text.as_ptr() as usize;
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(address), Some(_kind), Some(name)) = (words.next(), words.next(), words.next()) else { continue };
            let (Ok(address), Ok(length)) = (u64::from_str_radix(address, 16), name.len().try_into()) else { continue };
            let module = words.next().map_or(0, |word| {
                let word = word.trim_matches(['[', ']']);
                // The lines of a module follow each other, nearly always.
                let known = modules.iter().rposition(|module| module == word);
                known.unwrap_or_else(|| {
                    modules.push(word.to_owned());
                    modules.len() - 1
                })
            });
            let (Ok(module), Ok(name)) = (module.try_into(), (name.as_ptr() as usize - start).try_into()) else {
                continue;
            };
            entries.push(Entry { address, name, length, module });
        }
        // Where names share an address the kernel shows the first one in its stack traces; so the order is kept.
        entries.sort_by_key(|entry: &Entry| entry.address);
        Self { text, entries, modules }
    }

    fn read() -> Result<Self, Error> {
        let operation = "read /proc/kallsyms";
        let text = fs::read_to_string("/proc/kallsyms")
            .map_err(|source| Error::or_privilege(source, operation, |source| system(operation, source)))?;
        let snapshot = Self::parse(text);
        if snapshot.entries.is_empty() {
            let hint = "the kernel must be built with CONFIG_KALLSYMS=y".into();
            let operation = operation.into();
            return Err(Error::NotSupported { operation, feature: "the list of symbols", minimum_kernel: None, hint });
        }
        snapshot.check_visible()?;
        Ok(snapshot)
    }

    /// The kernel writes 0 for every address to those that must not know them.
    fn check_visible(&self) -> Result<(), Error> {
        if self.entries.iter().any(|entry| entry.address != 0) {
            return Ok(());
        }
        Err(Error::HiddenAddresses)
    }

    fn name(&self, entry: &Entry) -> &str {
        &self.text[entry.name as usize..entry.name as usize + usize::from(entry.length)]
    }

    fn resolve(&self, address: u64) -> Option<Resolved> {
        // Numbers and offsets within per-CPU memory are listed, too: no kernel code is in the lower half.
        if address >> 63 == 0 {
            return None;
        }
        let above = self.entries.partition_point(|entry| entry.address <= address);
        let last = self.entries[..above].last().filter(|last| last.address >> 63 != 0)?;
        let first = self.entries.partition_point(|entry| entry.address < last.address);
        let entry = &self.entries[first];
        let offset = address - entry.address;
        let next = self.entries.get(above);
        let is_last = next.is_none_or(|next| next.module != last.module);
        // The kernel's own memory ends where it says so, that of a module not far behind its last symbol.
        if self.entries[first..above].iter().any(|entry| self.name(entry) == "_end")
            || is_last && offset >= MAX_LAST_BYTES
        {
            return None;
        }
        let module = (entry.module != 0).then(|| self.modules[usize::from(entry.module)].clone());
        Some((self.name(entry).to_owned(), module, offset))
    }

    fn address(&self, name: &str) -> Option<u64> {
        let named =
            self.entries.iter().filter(|entry| usize::from(entry.length) == name.len() && self.name(entry) == name);
        // The kernel's own before those of modules.
        named.min_by_key(|entry| entry.module != 0).map(|entry| entry.address)
    }
}

fn system(operation: &str, source: io::Error) -> Error {
    Error::System { operation: operation.into(), source }
}

/// The kernel's functions: names of addresses, addresses of names.
///
/// A snapshot of ``/proc/kallsyms`` with all modules that were loaded then.
///
/// Raises
/// ------
/// ``PrivilegeError``
///     If the kernel hides its addresses.
#[pyclass(frozen, module = "rtrace._rtrace")]
pub(crate) struct KernelSymbols(RwLock<Arc<Snapshot>>);

impl KernelSymbols {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[pymethods]
impl KernelSymbols {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        let snapshot = py.detach(Snapshot::read)?;
        Ok(Self(RwLock::new(Arc::new(snapshot))))
    }

    /// Find the function that holds an address of the kernel.
    ///
    /// Returns
    /// -------
    /// tuple or None
    ///     Name, module (None for the kernel itself), bytes from the start of the function.
    fn resolve(&self, address: u64) -> Option<Resolved> {
        self.snapshot().resolve(address)
    }

    /// Find the functions that hold many addresses; see :meth:`resolve`.
    #[expect(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
    fn resolve_many(&self, py: Python<'_>, addresses: PyArrayLike1<'_, u64, AllowTypeChange>) -> Vec<Option<Resolved>> {
        let addresses: Vec<u64> = addresses.as_array().iter().copied().collect();
        let snapshot = self.snapshot();
        py.detach(|| addresses.into_iter().map(|address| snapshot.resolve(address)).collect())
    }

    /// Find the address of a function or variable of the kernel, or ``None``.
    fn address(&self, name: &str) -> Option<u64> {
        self.snapshot().address(name)
    }

    /// Read the list again, after modules or BPF programs have been loaded.
    fn refresh(&self, py: Python<'_>) -> PyResult<()> {
        let snapshot = py.detach(Snapshot::read)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
        Ok(())
    }

    fn __repr__(&self) -> String {
        let snapshot = self.snapshot();
        format!("<KernelSymbols symbols={} modules={}>", snapshot.entries.len(), snapshot.modules.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::Snapshot;

    const TEXT: &str = "0000000000000000 A fixed_percpu_data\n\
        0000000000021000 A cpu_tss_rw\n\
        ffffffff81000000 T _stext\n\
        ffffffff81000000 T _text\n\
        ffffffff81001000 t do_one\n\
        ffffffff81001040 T do_two\n\
        ffffffff82000000 D jiffies\n\
        ffffffff83000000 B _end\n\
        ffffffffc0201000 t ext4_a\t[ext4]\n\
        ffffffffc0201100 t ext4_b\t[ext4]\n\
        ffffffffc0400000 t do_one\t[other]\n\
        ffffffffc0500000 t bpf_prog_1234_probe\t[bpf]\n\
        nonsense\n";

    fn found(address: u64) -> Option<(String, Option<String>, u64)> {
        Snapshot::parse(TEXT.into()).resolve(address)
    }

    #[test]
    fn the_function_at_or_below_an_address() {
        assert_eq!(found(0xffff_ffff_8100_103f), Some(("do_one".into(), None, 0x3f)));
        assert_eq!(found(0xffff_ffff_8100_1040), Some(("do_two".into(), None, 0)));
        assert_eq!(found(0xffff_ffff_c020_1104), Some(("ext4_b".into(), Some("ext4".into()), 4)));
        assert_eq!(found(0xffff_ffff_c050_0001), Some(("bpf_prog_1234_probe".into(), Some("bpf".into()), 1)));
    }

    #[test]
    fn the_first_of_several_names_for_one_address() {
        assert_eq!(found(0xffff_ffff_8100_0008), Some(("_stext".into(), None, 8)));
    }

    #[test]
    fn what_is_no_kernel_code_has_no_name() {
        for address in [
            0,
            0x21004,
            0x7fff_0000_0000,
            0xffff_8000_0000_0000,
            0xffff_ffff_8300_0000,
            0xffff_ffff_8300_0010,
            0xffff_ffff_c021_1100,
            0xffff_ffff_ffff_ffff,
        ] {
            assert_eq!(found(address), None, "{address:#x}");
        }
    }

    #[test]
    fn names_have_addresses() {
        let snapshot = Snapshot::parse(TEXT.into());
        assert_eq!(snapshot.address("do_one"), Some(0xffff_ffff_8100_1000));
        assert_eq!(snapshot.address("ext4_b"), Some(0xffff_ffff_c020_1100));
        assert_eq!(snapshot.address("jiffies"), Some(0xffff_ffff_8200_0000));
        assert_eq!(snapshot.address("do_three"), None);
        assert!(snapshot.check_visible().is_ok());
    }

    #[test]
    fn hidden_addresses_are_an_error() {
        let hidden = "0000000000000000 T _stext\n0000000000000000 T vfs_read\n";
        assert!(Snapshot::parse(hidden.into()).check_visible().is_err());
    }
}

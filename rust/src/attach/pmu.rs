//! The kernel's sources of events, as sysfs describes them.

use std::{fs, io, path::PathBuf};

/// One source of events (a "performance monitoring unit", whether it is hardware or not).
pub(crate) struct Pmu {
    folder: PathBuf,
    /// What `perf_event_attr.type` must be.
    pub(crate) type_number: u32,
}

impl Pmu {
    /// Look a source up by its name; not found on kernels without it.
    pub(crate) fn open(name: &str) -> io::Result<Self> {
        let folder = PathBuf::from("/sys/bus/event_source/devices").join(name);
        let type_number = parse(&fs::read_to_string(folder.join("type"))?)?;
        Ok(Self { folder, type_number })
    }

    /// Return the lowest bit of a field of `perf_event_attr.config`; its file says `config:0` or `config:32-63`.
    pub(crate) fn field(&self, name: &str) -> io::Result<u32> {
        let format = fs::read_to_string(self.folder.join("format").join(name))?;
        let bits = format.trim().strip_prefix("config:").unwrap_or_default();
        parse(bits.split('-').next().unwrap_or_default())
    }
}

fn parse(text: &str) -> io::Result<u32> {
    text.trim().parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

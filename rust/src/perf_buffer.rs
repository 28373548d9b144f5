//! Perf buffers: a ring for each CPU, that programs write records of any size to.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use pyo3::{prelude::*, types::PyAny};

use crate::{
    array,
    batch::{Batch, Source},
    error::Error,
    layout::Layout,
    polled_buffer::{PolledBuffer, append},
    sys::{bpf, epoll, perf_ring::PerfRing},
};

/// The rings of all CPUs, and the map by which programs find them.
struct Rings {
    map: OwnedFd,
    rings: Vec<(u32, PerfRing)>,
}

impl Rings {
    fn open(map: OwnedFd, pages: usize, wakeup_events: u32, wake: &OwnedFd) -> io::Result<Self> {
        let mut opened = Self { map, rings: Vec::new() };
        for cpu in online_cpus()? {
            let ring = match PerfRing::new(cpu, pages, wakeup_events) {
                // Gone offline since.
                Err(error) if error.raw_os_error() == Some(libc::ENODEV) => continue,
                result => result?,
            };
            epoll::add(wake.as_fd(), ring.event())?;
            let descriptor = ring.event().as_raw_fd().to_ne_bytes();
            bpf::map_update(opened.map.as_fd(), &cpu.to_ne_bytes(), &descriptor, 0)?;
            opened.rings.push((cpu, ring));
        }
        Ok(opened)
    }
}

impl Source for Rings {
    fn kind(&self) -> &'static str {
        "perf buffer"
    }

    fn is_by_cpu(&self) -> bool {
        true
    }

    fn drain(&mut self, batch: &mut Batch) -> io::Result<()> {
        for (cpu, ring) in &mut self.rings {
            ring.drain(|first, rest| batch.push(*cpu, first, rest));
        }
        Ok(())
    }

    fn lost(&self) -> io::Result<Option<BTreeMap<u32, u64>>> {
        Ok(Some(self.rings.iter().map(|(cpu, ring)| (*cpu, ring.lost())).collect()))
    }
}

impl Drop for Rings {
    fn drop(&mut self) {
        // The map would keep the events: programs would go on writing to buffers that nobody reads. In a child of
        // `fork` they are its parent's, which reads on.
        for (cpu, _) in self.rings.iter().filter(|(_, ring)| ring.is_ours()) {
            let _ = bpf::map_delete(self.map.as_fd(), &cpu.to_ne_bytes());
        }
    }
}

/// Return the numbers of the CPUs that run.
fn online_cpus() -> io::Result<Vec<u32>> {
    let text = fs::read_to_string("/sys/devices/system/cpu/online")?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
    let mut cpus = Vec::new();
    for range in text.trim().split(',').filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        cpus.extend(number(first)?..=number(last)?);
    }
    Ok(cpus)
}

/// Records that programs send through a perf event array, from a ring of each CPU.
///
/// Obtained from :meth:`Object.perf_buffer`. A context manager. What was not read is gone when it is closed, and
/// programs then find nowhere to write to.
#[pyclass(frozen, extends = PolledBuffer, module = "rtrace._rtrace")]
pub(crate) struct PerfBuffer;

impl PerfBuffer {
    /// Open what is the base of an object of this class.
    pub(crate) fn open(
        name: &str,
        layout: Option<Layout>,
        map: OwnedFd,
        pages: usize,
        wakeup_events: u32,
    ) -> Result<PolledBuffer, Error> {
        if !pages.is_power_of_two() || wakeup_events == 0 {
            let wanted = "pages must be a power of two, wakeup_events at least 1";
            return Err(Error::Value(format!("{wanted}, not {pages} and {wakeup_events}")));
        }
        let failed = |source: io::Error| {
            Error::or_privilege(source, format!("open perf buffer `{name}`"), |source| Error::Map {
                operation: "open perf buffer of",
                map: name.to_owned(),
                source,
            })
        };
        let wake = epoll::new().map_err(failed)?;
        let rings = Rings::open(map, pages, wakeup_events, &wake).map_err(failed)?;
        Ok(PolledBuffer::new("PerfBuffer", name, layout, Box::new(rings), wake))
    }
}

#[pymethods]
impl PerfBuffer {
    /// Take every record that is there, as two numpy arrays: the CPUs they came from, and the records.
    ///
    /// Waits up to `timeout` seconds for the first record; ``None`` waits for ever, 0 never waits. Both arrays have
    /// shape ``(n,)``, n may be 0, and own their memory; the CPUs are ``uint32``, the records of :attr:`dtype`. What is
    /// longer than that is cut, what is shorter ends in zeros. Records of one CPU are in their order.
    #[pyo3(signature = (timeout = None))]
    fn read<'py>(slf: &Bound<'py, Self>, timeout: Option<f64>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let (py, base) = (slf.py(), slf.as_super().get());
        let layout = base.layout()?;
        let (mut cpus, mut records) = (Vec::new(), Vec::new());
        base.queue().read(py, timeout, |batch| {
            for (cpu, record) in batch.rest() {
                cpus.extend_from_slice(&cpu.to_ne_bytes());
                append(&mut records, record, layout.size());
            }
        })?;
        let cpus = array::from_bytes(py, cpus, &Layout::Number('u', 4), None)?;
        Ok((cpus, array::from_bytes(py, records, layout, None)?))
    }
}

//! Ring buffers whose records differ in size, read by whoever asks: no thread, no assumption about their type.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, OwnedFd},
};

use pyo3::{prelude::*, types::PyAny};

use crate::{
    array,
    batch::{Batch, Source},
    error::Error,
    layout::Layout,
    polled_buffer::{PolledBuffer, append},
    sys::{bpf, ring::MappedRing},
};

/// A ring, and the map in which programs count what it had no room for.
struct CountedRing {
    ring: MappedRing,
    losses: Option<LossMap>,
}

impl Source for CountedRing {
    fn kind(&self) -> &'static str {
        "ring buffer"
    }

    fn is_by_cpu(&self) -> bool {
        false
    }

    fn drain(&mut self, batch: &mut Batch) -> io::Result<()> {
        Ok(self.ring.view().consume(|record| {
            batch.push(0, record, &[]);
            true
        })?)
    }

    fn lost(&self) -> io::Result<Option<BTreeMap<u32, u64>>> {
        self.losses.as_ref().map(LossMap::read).transpose()
    }
}

/// A per-CPU array in which programs count what found no room.
pub(crate) struct LossMap {
    pub(crate) map: OwnedFd,
    pub(crate) cpus: usize,
}

impl LossMap {
    fn read(&self) -> io::Result<BTreeMap<u32, u64>> {
        let mut values = vec![0; 8 * self.cpus];
        bpf::map_lookup(self.map.as_fd(), &0_u32.to_ne_bytes(), &mut values)?;
        let number = |value: &[u8]| value.try_into().map_or(0, u64::from_ne_bytes);
        Ok((0..).zip(values.chunks_exact(8).map(number)).collect())
    }
}

/// Records of any size that programs send through a ring buffer.
///
/// Obtained from :meth:`Object.record_buffer`. A context manager; what was not read is gone when it is closed. There
/// may be one reader of a ring buffer at a time, this or a :class:`RingBuffer`.
#[pyclass(frozen, extends = PolledBuffer, module = "rtrace._rtrace")]
pub(crate) struct RecordBuffer;

impl RecordBuffer {
    /// Open what is the base of an object of this class.
    pub(crate) fn open(
        name: &str,
        layout: Option<Layout>,
        map: OwnedFd,
        ring_bytes: usize,
        losses: Option<LossMap>,
    ) -> Result<PolledBuffer, Error> {
        let failed = |source: io::Error| Error::Map { operation: "read", map: name.to_owned(), source };
        let ring = MappedRing::new(map.as_fd(), ring_bytes).map_err(failed)?;
        Ok(PolledBuffer::new("RecordBuffer", name, layout, Box::new(CountedRing { ring, losses }), map))
    }
}

#[pymethods]
impl RecordBuffer {
    /// Take every record that is there, as a numpy array of :attr:`dtype`, shape ``(n,)``, that owns its memory.
    ///
    /// Waits up to `timeout` seconds for the first record; ``None`` waits for ever, 0 never waits. What is longer than
    /// the dtype is cut, what is shorter ends in zeros.
    #[pyo3(signature = (timeout = None))]
    fn read<'py>(slf: &Bound<'py, Self>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let (py, base) = (slf.py(), slf.as_super().get());
        let layout = base.layout()?;
        let mut records = Vec::new();
        base.queue().read(py, timeout, |batch| {
            batch.rest().for_each(|(_, record)| append(&mut records, record, layout.size()));
        })?;
        array::from_bytes(py, records, layout, None)
    }
}

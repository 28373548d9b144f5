//! `ObjectSpec`: an object that is not loaded yet, and may be edited.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aya_obj::{
    EbpfSectionKind, Map as ObjectMap,
    generated::{BPF_F_MMAPABLE, BPF_F_RDONLY_PROG, bpf_map_type},
    maps::PinningType,
};
use pyo3::{
    exceptions::{PyOSError, PyValueError},
    prelude::*,
    types::{PyBytes, PyDict},
};

use crate::{
    bcc::{
        object::{Dialect, Note},
        type_description::MapTypes,
    },
    contain::contain,
    error::Error,
    kernel::btf::{Btf, BtfError, Type, kind},
    layout::Layout,
    load, logging,
    map::{MapFacts, Sharing, bytes_of},
    object::Object,
    prebuilt,
    sections::{self, Meant},
    sys::file::Contents,
};

/// An eBPF object that is not in the kernel yet.
///
/// Made by :meth:`open`, :meth:`parse` or :meth:`prebuilt`. Globals and map sizes may be set until :meth:`load` puts
/// it into the kernel; it may be loaded more than once.
#[pyclass(frozen, module = "rtrace._rtrace")]
pub(crate) struct ObjectSpec {
    pub(crate) name: String,
    inner: Mutex<Parsed>,
}

/// The parsed object and what Python has asked of it.
#[derive(Clone)]
pub(crate) struct Parsed {
    pub(crate) elf: aya_obj::Object,
    pub(crate) maps: HashMap<String, MapFacts>,
    /// What the programs in sections that go by another name are.
    pub(crate) meant: Vec<Meant>,
    /// Set if it was C in bcc's dialect, whose reads of kernel memory are plain loads still.
    pub(crate) dialect: Option<Dialect>,
    /// Layouts of the globals by name.
    globals: HashMap<String, Layout>,
}

impl ObjectSpec {
    fn lock(&self) -> MutexGuard<'_, Parsed> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn from_bytes(data: &[u8], name: &str) -> Result<Self, Error> {
        let refused = |cause: String| Error::Load {
            operation: "parse",
            object: name.to_owned(),
            program: None,
            cause,
            errno: None,
        };
        let renamed = sections::rename_unknown(data);
        let (data, meant) = renamed.as_ref().map_or((data, &[][..]), |(data, meant)| (data, meant));
        let mut elf = contain(|| aya_obj::Object::parse(data)).map_err(refused)?;
        let dialect = Dialect::of(data);
        if let Some(dialect) = &dialect {
            dialect.tidy(&mut elf.maps);
        }
        let btf = elf.btf.as_ref().map(|btf| Btf::parse(Contents::Read(btf.to_bytes()), None)).transpose();
        let btf = btf.map_err(|source| Error::Btf { of: name.to_owned(), source })?.map(Arc::new);
        let facts = |(map, parsed): (&String, &ObjectMap)| {
            let mut facts = map_facts(map, parsed, btf.as_ref());
            match dialect.as_ref().and_then(|dialect| dialect.note(map)) {
                Some(Note::Public) => facts.sharing = Sharing::Public,
                Some(Note::Extern) => facts.sharing = Sharing::Extern,
                Some(Note::Pinned(path)) => facts.pin = Some(path.clone()),
                None => {}
            }
            (map.clone(), facts)
        };
        let maps = elf.maps.iter().map(facts).collect();
        let mut globals = btf.as_deref().map(global_layouts).unwrap_or_default();
        // To BTF, maps are variables too.
        globals.retain(|variable, _| !elf.maps.contains_key(variable));
        if dialect.is_some() {
            globals.retain(|variable, _| !variable.contains("__rtrace_") && !variable.ends_with("__map"));
        }
        let parsed = Parsed { elf, maps, meant: meant.to_vec(), dialect, globals };
        Ok(Self { name: name.to_owned(), inner: Mutex::new(parsed) })
    }

    fn edit_map(&self, name: &str, edit: impl FnOnce(&mut MapFacts)) -> Result<(), Error> {
        let mut parsed = self.lock();
        if let Some(facts) = parsed.maps.get_mut(name) {
            edit(facts);
            return Ok(());
        }
        Err(Error::no_such("map", name, &self.name, parsed.maps.keys()))
    }
}

#[pymethods]
impl ObjectSpec {
    /// Read an object file: an ELF made by clang, aya or libbpf.
    #[staticmethod]
    #[expect(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
    fn open(path: PathBuf) -> PyResult<Self> {
        // With the file's name, which Python's own OSError has too.
        let data = std::fs::read(&path).map_err(|error| match error.raw_os_error() {
            Some(number) => {
                let text = error.to_string().replace(&format!(" (os error {number})"), "");
                PyOSError::new_err((number, text, path.clone().into_os_string()))
            }
            None => PyValueError::new_err(format!("object file {}: {error}", path.display())),
        })?;
        Ok(Self::from_bytes(&data, &path.to_string_lossy())?)
    }

    /// Parse the bytes of an object file; `name` stands for it in messages.
    #[staticmethod]
    fn parse(data: &[u8], name: &str) -> PyResult<Self> {
        Ok(Self::from_bytes(data, name)?)
    }

    /// Take one of the objects that rtrace brings along.
    #[staticmethod]
    fn prebuilt(shape: &str) -> PyResult<Self> {
        let data = prebuilt::object(shape)
            .ok_or_else(|| Error::Value(format!("no prebuilt object {shape:?}; there are {}", prebuilt::names())))?;
        Ok(Self::from_bytes(data, shape)?)
    }

    /// Name that stands for the object in messages.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Names of the programs and what each can be attached to (``"kprobe"``, ``"fentry"``, ...).
    #[getter]
    fn programs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let programs = PyDict::new(py);
        let parsed = self.lock();
        for (name, program) in &parsed.elf.programs {
            let (kind, _) = load::kind_of(program, &parsed.meant);
            programs.set_item(name, kind.map_or("other", |kind| kind.name))?;
        }
        Ok(programs)
    }

    /// Return the instructions of a program, 8 bytes each, as they are before relocation.
    fn instructions<'py>(&self, py: Python<'py>, program: &str) -> PyResult<Bound<'py, PyBytes>> {
        let parsed = self.lock();
        let programs = &parsed.elf.programs;
        let found =
            programs.get(program).ok_or_else(|| Error::no_such("program", program, &self.name, programs.keys()))?;
        let function = parsed.elf.functions.get(&found.function_key()).ok_or_else(|| {
            let cause = format!("program `{program}` has no instructions");
            Error::Load {
                operation: "read",
                object: self.name.clone(),
                program: Some(program.into()),
                cause,
                errno: None,
            }
        })?;
        Ok(PyBytes::new(py, &load::explain::bytes_of(&function.instructions)))
    }

    /// Names of the maps and their sizes in entries.
    #[getter]
    fn maps<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let maps = PyDict::new(py);
        for (name, facts) in &self.lock().maps {
            maps.set_item(name, facts.max_entries)?;
        }
        Ok(maps)
    }

    /// Names of the maps that bcc's dialect declares as histograms: counts by slot.
    #[getter]
    fn histograms(&self) -> Vec<String> {
        let parsed = self.lock();
        let mut names: Vec<_> = parsed
            .maps
            .iter()
            .filter(|(_, facts)| facts.described.is_histogram())
            .map(|(name, _)| name.clone())
            .collect();
        names.sort_unstable();
        names
    }

    /// Names of the globals.
    #[getter]
    fn globals(&self) -> Vec<String> {
        let mut names: Vec<_> = self.lock().globals.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Set a global before the object is loaded: an int, bytes, or a tuple of ints for an array.
    fn set_global(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut parsed = self.lock();
        let Some(layout) = parsed.globals.get(name) else {
            return Err(Error::no_such("global", name, &self.name, parsed.globals.keys()).into());
        };
        let bytes = bytes_of(value, layout, "global", name)?;
        let globals = HashMap::from([(name, (bytes.as_slice(), true))]);
        contain(|| parsed.elf.patch_map_data(globals)).map_err(|cause| Error::Load {
            operation: "set a global of",
            object: self.name.clone(),
            program: None,
            cause,
            errno: None,
        })?;
        Ok(())
    }

    /// Set how many entries a map holds (bytes, for a ring buffer).
    fn set_max_entries(&self, map: &str, max_entries: u32) -> PyResult<()> {
        Ok(self.edit_map(map, |facts| facts.max_entries = max_entries)?)
    }

    /// Let a map be one with that of other processes which has the name `path` in a BPF file system.
    ///
    /// Where there is no map of that name yet, loading makes it and pins it there; it stays until its name is
    /// removed.
    fn pin_map(&self, map: &str, path: PathBuf) -> PyResult<()> {
        Ok(self.edit_map(map, |facts| facts.pin = Some(path))?)
    }

    /// Replace a map that no program will use with the smallest that the kernel accepts.
    ///
    /// Programs name their maps whether they reach them or not; a map type that this kernel lacks would keep them
    /// from loading.
    fn disable_map(&self, map: &str) -> PyResult<()> {
        Ok(self.edit_map(map, |facts| {
            facts.map_type = bpf_map_type::BPF_MAP_TYPE_HASH as u32;
            facts.max_entries = 1;
            facts.flags = 0;
            facts.key_size = facts.key_size.max(4);
            facts.value_size = facts.value_size.max(8);
            facts.types = None;
        })?)
    }

    /// Describe what the keys, values and events of `map` are, as its object's BTF has it.
    ///
    /// A dict of ``key``, ``value`` and ``event``, each ``None`` or a dict whose ``kind`` is ``"int"``, ``"float"``,
    /// ``"pointer"``, ``"enum"``, ``"array"`` (of ``count`` times its ``element``), ``"struct"`` or ``"union"``. Those
    /// have ``members``: dicts of ``name``, ``type``, ``offset`` in bits and, for a bit field, its width in ``bits``.
    fn types<'py>(&self, py: Python<'py>, map: &str) -> PyResult<Bound<'py, PyDict>> {
        let parsed = self.lock();
        let facts = parsed.maps.get(map).ok_or_else(|| Error::no_such("map", map, &self.name, parsed.maps.keys()))?;
        facts.described.describe(py, &self.name)
    }

    /// Put the object into the kernel.
    ///
    /// `programs` names the programs to load at once, each with the target that it is for where its kind wants to
    /// know (fentry, fexit, `fmod_ret`, lsm, btf tracepoint), else with ``None``; others can be loaded later, with
    /// :meth:`Object.load_program`. Nothing stays behind in the kernel if one of them is refused.
    #[expect(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
    fn load(&self, py: Python<'_>, programs: HashMap<String, Option<String>>) -> PyResult<Object> {
        let parsed = self.lock().clone();
        for name in programs.keys() {
            if !parsed.elf.programs.contains_key(name) {
                return Err(Error::no_such("program", name, &self.name, parsed.elf.programs.keys()).into());
            }
        }
        logging::listen(py)?;
        Ok(py.detach(|| load::load(&self.name, parsed, &programs))?)
    }

    fn __repr__(&self) -> String {
        format!("<ObjectSpec {}>", self.name)
    }
}

/// Collect what creates a map and what reads it.
fn map_facts(name: &str, map: &ObjectMap, btf: Option<&Arc<Btf>>) -> MapFacts {
    let section = map.section_kind();
    let rodata = matches!(section, EbpfSectionKind::Rodata);
    let data = rodata || matches!(section, EbpfSectionKind::Data | EbpfSectionKind::Bss);
    let types = match map {
        ObjectMap::Btf(map) if map.def.btf_key_type_id != 0 => {
            Some((map.def.btf_key_type_id, map.def.btf_value_type_id))
        }
        _ => None,
    };
    let described = |id: Option<u32>| btf.zip(id).and_then(|(btf, id)| Layout::of_type(btf, id).ok());
    // What the loader's library makes of arrays of arrays is the size of the inner one.
    let sized = |id: Option<u32>, size: u32| match described(id) {
        Some(layout) if size > 0 => u32::try_from(layout.size()).unwrap_or(u32::MAX),
        _ => size,
    };
    let key_size = sized(types.map(|(key, _)| key), map.key_size());
    let value_size = if data {
        u32::try_from(map.data().len()).unwrap_or(u32::MAX)
    } else {
        sized(types.map(|(_, value)| value), map.value_size())
    };
    // A ring buffer has no values to the kernel; the type of its records is there all the same.
    let fits = |layout: &Layout, size: u32| size == 0 || layout.size() == size as usize;
    let layout = |id: Option<u32>, size: u32| {
        described(id).filter(|layout| fits(layout, size)).unwrap_or_else(|| Layout::of_size(size as usize))
    };
    MapFacts {
        name: name.to_owned(),
        map_type: map.map_type(),
        max_entries: map.max_entries(),
        flags: if rodata {
            BPF_F_RDONLY_PROG
        } else if data {
            BPF_F_MMAPABLE
        } else {
            map.map_flags()
        },
        key_size,
        value_size,
        types,
        key: layout(types.map(|(key, _)| key), key_size),
        value: layout(types.map(|(_, value)| value), value_size),
        pin: matches!(map.pinning(), PinningType::ByName).then(|| Path::new("/sys/fs/bpf").join(name)),
        described: MapTypes::of(name, map, btf),
        sharing: Sharing::None,
    }
}

/// Find the variables of an object and what they hold.
fn global_layouts(btf: &Btf) -> HashMap<String, Layout> {
    let layout = |variable: Type<'_>| {
        let name = String::from_utf8_lossy(btf.string(variable.name_offset)).into_owned();
        let layout = Layout::of_type(btf, innermost(btf, variable.size_or_type).ok()?).ok()?;
        Some((name, layout))
    };
    btf.of_kind(kind::VAR).filter_map(layout).collect()
}

/// Rust wraps a global in structs and unions (`Global`, `MaybeUninit`, `ManuallyDrop`); find what they hold: the one
/// member that is as large as the whole.
fn innermost(btf: &Btf, mut id: u32) -> Result<u32, BtfError> {
    loop {
        let (resolved, outer) = btf.resolve(id)?;
        if !matches!(outer.kind(), kind::STRUCT | kind::UNION) {
            return Ok(resolved);
        }
        let whole = outer.size_or_type as usize;
        let fills = |inner: u32| Layout::of_type(btf, inner).is_ok_and(|layout| layout.size() == whole);
        let Some(inner) = outer.members().map(|member| member.type_id).find(|inner| fills(*inner)) else {
            return Ok(resolved);
        };
        id = inner;
    }
}

//! From an `ObjectSpec` to an `Object`: the only step that depends on the running kernel.
//!
//! aya-obj parses and relocates; the system calls are rtrace's own, because aya's loader reads the whole kernel BTF
//! before anything else (tens of milliseconds) and has neither task storage nor batches.

use std::{
    collections::{HashMap, HashSet},
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{Arc, Mutex},
};

use aya_obj::{
    EbpfSectionKind, Function, Map as ObjectMap, Object as Elf, ProgramSection,
    btf::BtfFeatures,
    generated::{bpf_attach_type, bpf_map_type, bpf_prog_type},
};
use log::debug;

use crate::{
    error::Error,
    kernel::btf,
    map::MapFacts,
    object::{Object, Program},
    spec::{Parsed, kind_name},
    sys::{
        self,
        bpf::{self, MapAttributes, ProgramAttributes, SourceInfo},
    },
};

const TARGET: &str = "rtrace::object";

/// Load the maps and the named programs of an object.
pub(crate) fn load(name: &str, parsed: Parsed, programs: &HashMap<String, Option<String>>) -> Result<Object, Error> {
    let Parsed { mut elf, maps: facts, dialect, .. } = parsed;
    let refused =
        |cause: String| Error::Load { operation: "load", object: name.to_owned(), program: None, cause, errno: None };
    let object_btf = load_btf(name, &mut elf);
    let maps = create_maps(name, &elf, &facts, object_btf.as_ref())?;
    let fds = maps.iter().map(|(map, fd)| (map.as_str(), fd.as_raw_fd(), elf.maps[map].clone())).collect::<Vec<_>>();
    let text: HashSet<usize> = elf.functions.keys().map(|(section, _)| *section).collect();
    elf.relocate_maps(fds.iter().map(|(map, fd, parsed)| (*map, *fd, parsed)), &text)
        .map_err(|error| refused(error.to_string()))?;
    elf.relocate_calls(&text).map_err(|error| refused(error.to_string()))?;
    // Reading the kernel's BTF takes longer than everything else together.
    let is_relocated = dialect.is_some_and(|dialect| dialect.is_for_running_kernel());
    if !is_relocated && elf.has_btf_relocations() {
        let kernel = aya_obj::btf::Btf::from_sys_fs().map_err(|error| refused(error.to_string()))?;
        elf.relocate_btf(&kernel).map_err(|error| refused(error.to_string()))?;
    }
    let mut loader = Loader { object: name, elf: &elf, btf: object_btf.as_ref(), targets: HashMap::new() };
    let mut accepted = HashMap::new();
    for (program, target) in programs {
        accepted.insert(program.clone(), loader.load_program(program, target.as_deref())?);
    }
    let maps = maps
        .into_iter()
        .filter_map(|(map, fd)| Some((facts.get(&map)?.clone(), Arc::new(Mutex::new(Some(fd))))))
        .map(|(facts, fd)| (facts.name.clone(), (facts, fd)))
        .collect();
    debug!(target: TARGET, "loaded `{name}`: {} programs", accepted.len());
    Ok(Object::new(name, accepted, maps))
}

/// Load the object's own BTF: it gives maps their types and the verifier's words their source lines.
///
/// What this kernel does not know of BTF is taken out. Kernels differ in a handful of kinds only, so two tries do:
/// everything, then what Linux 5.10 knows. Without BTF most objects work all the same.
fn load_btf(name: &str, elf: &mut Elf) -> Option<OwnedFd> {
    let newest = BtfFeatures::new(true, true, true, true, true, true, true, true);
    let oldest = BtfFeatures::new(true, true, true, false, false, false, false, false);
    for features in [newest, oldest] {
        let mut attempt = elf.clone();
        let bytes = match attempt.fixup_and_sanitize_btf(&features) {
            Ok(Some(btf)) => btf.to_bytes(),
            Ok(None) => return None,
            Err(error) => {
                debug!(target: TARGET, "BTF of `{name}`: {error}");
                continue;
            }
        };
        match bpf::btf_load(&bytes) {
            Ok(fd) => {
                *elf = attempt;
                return Some(fd);
            }
            Err(error) => debug!(target: TARGET, "load BTF of `{name}`: {error}"),
        }
    }
    None
}

fn create_maps(
    object: &str,
    elf: &Elf,
    facts: &HashMap<String, MapFacts>,
    btf: Option<&OwnedFd>,
) -> Result<HashMap<String, OwnedFd>, Error> {
    let create = |(name, facts): (&String, &MapFacts)| {
        let failed = |source: io::Error| {
            Error::or_privilege(source, format!("load `{object}`: create map `{name}`"), |source| Error::Map {
                operation: "create",
                map: name.clone(),
                source,
            })
        };
        let create = || create_map(facts, &elf.maps[name], btf);
        // Before Linux 5.11 the first map too many for RLIMIT_MEMLOCK is refused like this.
        let retry = |error: io::Error| match error.raw_os_error() {
            Some(libc::EPERM) if sys::lift_memlock() => create(),
            _ => Err(error),
        };
        Ok((name.clone(), create().or_else(retry).map_err(failed)?))
    };
    facts.iter().map(create).collect()
}

fn create_map(facts: &MapFacts, map: &ObjectMap, btf: Option<&OwnedFd>) -> io::Result<OwnedFd> {
    let section = map.section_kind();
    let max_entries = match facts.max_entries {
        0 if facts.map_type == bpf_map_type::BPF_MAP_TYPE_PERF_EVENT_ARRAY as u32 => {
            u32::try_from(sys::possible_cpus()?).unwrap_or(u32::MAX)
        }
        entries => entries,
    };
    let fd = bpf::map_create(&MapAttributes {
        name: &facts.name,
        map_type: facts.map_type,
        key_size: facts.key_size,
        value_size: facts.value_size,
        max_entries,
        flags: facts.flags,
        btf: btf
            .zip(facts.types)
            .filter(|_| takes_btf(facts.map_type))
            .map(|(fd, (key, value))| (fd.as_fd(), key, value)),
        inner: None,
    })?;
    if matches!(section, EbpfSectionKind::Data | EbpfSectionKind::Rodata) {
        bpf::map_update(fd.as_fd(), &0_u32.to_ne_bytes(), map.data(), 0)?;
    }
    if matches!(section, EbpfSectionKind::Rodata) {
        // Frozen, its contents are constants to the verifier.
        bpf::map_freeze(fd.as_fd())?;
    }
    Ok(fd)
}

/// Whether the kernel accepts types for the keys and values of such a map.
fn takes_btf(map_type: u32) -> bool {
    ![
        bpf_map_type::BPF_MAP_TYPE_RINGBUF,
        bpf_map_type::BPF_MAP_TYPE_PERF_EVENT_ARRAY,
        bpf_map_type::BPF_MAP_TYPE_CGROUP_ARRAY,
        bpf_map_type::BPF_MAP_TYPE_STACK_TRACE,
        bpf_map_type::BPF_MAP_TYPE_PROG_ARRAY,
        bpf_map_type::BPF_MAP_TYPE_ARRAY_OF_MAPS,
        bpf_map_type::BPF_MAP_TYPE_HASH_OF_MAPS,
        bpf_map_type::BPF_MAP_TYPE_DEVMAP,
        bpf_map_type::BPF_MAP_TYPE_DEVMAP_HASH,
        bpf_map_type::BPF_MAP_TYPE_CPUMAP,
        bpf_map_type::BPF_MAP_TYPE_XSKMAP,
        bpf_map_type::BPF_MAP_TYPE_SOCKMAP,
        bpf_map_type::BPF_MAP_TYPE_SOCKHASH,
    ]
    .iter()
    .any(|untyped| *untyped as u32 == map_type)
}

/// Loads the programs of one object.
struct Loader<'a> {
    object: &'a str,
    elf: &'a Elf,
    btf: Option<&'a OwnedFd>,
    /// Functions found already: entry and return programs have the same one, and looking reads the kernel's BTF.
    targets: HashMap<String, AttachTarget>,
}

/// A function's type in BTF, and the BTF of the module it is in.
struct AttachTarget {
    id: u32,
    module: Option<OwnedFd>,
}

impl Loader<'_> {
    fn load_program(&mut self, name: &str, target: Option<&str>) -> Result<Program, Error> {
        let (object, elf) = (self.object, self.elf);
        let program = &elf.programs[name];
        let refused = |cause: String, errno: Option<i32>| Error::Load {
            operation: "load",
            object: object.to_owned(),
            program: Some(name.to_owned()),
            cause,
            errno,
        };
        let (program_type, attach_type) = types_of(&program.section)
            .ok_or_else(|| refused(format!("program `{name}` is of a type that cannot be attached yet"), None))?;
        let function = elf
            .functions
            .get(&program.function_key())
            .ok_or_else(|| refused(format!("program `{name}` has no instructions"), None))?;
        let (kind, btf) = (kind_name(&program.section), self.btf);
        let attach_to = match (attach_type, target) {
            (Some(_), Some(target)) => Some(self.attach_target(kind, target)?),
            (Some(_), None) => {
                return Err(Error::Value(format!("{kind} program `{name}` needs the name of a function")));
            }
            (None, _) => None,
        };
        let (functions, lines) = source_info(function);
        let attributes = ProgramAttributes {
            name,
            program_type,
            attach_type,
            instructions: &function.instructions,
            license: &program.license,
            kernel_version: program.kernel_version.unwrap_or(0),
            flags: 0,
            attach_to: attach_to.map(|target| (target.id, target.module.as_ref().map(AsFd::as_fd))),
            source: btf.map(|fd| (fd.as_fd(), &functions, &lines)),
        };
        let fd = match bpf::program_load(&attributes, None) {
            Ok(fd) => fd,
            Err(source) => return Err(explain_refusal(object, &attributes, source)),
        };
        Ok(Program::new(name, kind, target, fd))
    }

    fn attach_target(&mut self, kind: &'static str, target: &str) -> Result<&AttachTarget, Error> {
        if !self.targets.contains_key(target) {
            let found = find_target(kind, target)?;
            self.targets.insert(target.to_owned(), found);
        }
        Ok(&self.targets[target])
    }
}

fn find_target(kind: &'static str, target: &str) -> Result<AttachTarget, Error> {
    let function = btf::find_function(target).map_err(|source| Error::Btf { of: "vmlinux".into(), source })?;
    let function = function.ok_or_else(|| Error::TargetNotFound {
        kind,
        target: target.to_owned(),
        cause: "no such function in the kernel's BTF".into(),
    })?;
    let open_module = |module: &str| {
        bpf::module_btf(module).map_err(|source| {
            Error::or_privilege(source, format!("open BTF of module `{module}`"), |source| Error::Btf {
                of: module.to_owned(),
                source: source.into(),
            })
        })
    };
    let module = function.module.as_deref().map(open_module).transpose()?;
    Ok(AttachTarget { id: function.id, module })
}

/// Load again with the verifier's log to tell why a program was refused; the log costs time, so only now.
fn explain_refusal(object: &str, attributes: &ProgramAttributes<'_>, source: io::Error) -> Error {
    const LOG_BYTES: usize = 16 << 20;
    let name = attributes.name;
    let mut log = vec![0; LOG_BYTES];
    let _ = bpf::program_load(attributes, Some(&mut log));
    let text = String::from_utf8_lossy(log.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    // A verifier that never got to see the program leaves an empty log: that is the system refusing, not it.
    if lines.len() > 1 {
        let errno = source.raw_os_error();
        return Error::Verifier { object: object.to_owned(), program: name.to_owned(), log: lines, errno };
    }
    Error::or_privilege(source, format!("load program `{name}` of `{object}`"), |source| Error::Load {
        operation: "load",
        object: object.to_owned(),
        program: Some(name.to_owned()),
        cause: match lines.as_slice() {
            [] => format!("program `{name}`: {source}"),
            [said, ..] => format!("program `{name}`: {source}: {said}"),
        },
        errno: source.raw_os_error(),
    })
}

fn source_info(function: &Function) -> (SourceInfo, SourceInfo) {
    let functions =
        SourceInfo { records: function.func_info.func_info_bytes(), record_size: function.func_info_rec_size };
    let lines = SourceInfo { records: function.line_info.line_info_bytes(), record_size: function.line_info_rec_size };
    (functions, lines)
}

fn types_of(section: &ProgramSection) -> Option<(bpf_prog_type, Option<bpf_attach_type>)> {
    Some(match section {
        ProgramSection::KProbe | ProgramSection::KRetProbe => (bpf_prog_type::BPF_PROG_TYPE_KPROBE, None),
        ProgramSection::TracePoint => (bpf_prog_type::BPF_PROG_TYPE_TRACEPOINT, None),
        ProgramSection::RawTracePoint => (bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT, None),
        ProgramSection::PerfEvent => (bpf_prog_type::BPF_PROG_TYPE_PERF_EVENT, None),
        ProgramSection::FEntry { .. } => {
            (bpf_prog_type::BPF_PROG_TYPE_TRACING, Some(bpf_attach_type::BPF_TRACE_FENTRY))
        }
        ProgramSection::FExit { .. } => (bpf_prog_type::BPF_PROG_TYPE_TRACING, Some(bpf_attach_type::BPF_TRACE_FEXIT)),
        _ => return None,
    })
}

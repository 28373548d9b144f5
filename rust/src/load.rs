//! From an `ObjectSpec` to an `Object`: the only step that depends on the running kernel.
//!
//! aya-obj parses and relocates; the system calls are rtrace's own, because aya's loader reads the whole kernel BTF
//! before anything else (tens of milliseconds) and has neither task storage nor batches.

pub(crate) mod explain;
mod maps;
mod source_line;
pub(crate) mod way_out;

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use aya_obj::{Function, Object as Elf, btf::BtfFeatures};
use log::debug;
use object::Endianness;

use self::maps::create_maps;
use crate::{
    bcc::{
        kernel_reads::{self, Context},
        masks,
        object::Dialect,
        tracepoint_btf,
    },
    contain::contain,
    error::Error,
    kernel::btf::{self, Btf},
    kind::{Kind, Target, flags_of},
    loaded_maps::LoadedMaps,
    object::Object,
    program::Program,
    sections::Meant,
    shared_maps,
    spec::Parsed,
    sys::{
        bpf::{self, ProgramAttributes, SourceInfo},
        file::Contents,
    },
};

const TARGET: &str = "rtrace::object";

/// Make the maps of an object and load the named programs, each for the target that it has.
pub(crate) fn load(name: &str, parsed: Parsed, programs: &HashMap<String, Option<String>>) -> Result<Object, Error> {
    let Parsed { mut elf, maps: mut facts, meant, dialect, .. } = parsed;
    let refused = |cause: String| refused(name, None, cause);
    let btf = load_btf(name, &mut elf);
    let mut maps = shared_maps::find_extern(&mut facts)?;
    maps.extend(create_maps(name, &elf, &facts, btf.as_ref())?);
    let fds = maps.iter().map(|(map, fd)| (map.as_str(), fd.as_raw_fd(), elf.maps[map].clone())).collect::<Vec<_>>();
    let text: HashSet<usize> = elf.functions.keys().map(|(section, _)| *section).collect();
    let relocated = || elf.relocate_maps(fds.iter().map(|(map, fd, parsed)| (*map, *fd, parsed)), &text);
    contain(relocated).map_err(refused)?;
    contain(|| elf.relocate_calls(&text)).map_err(refused)?;
    // Reading the kernel's BTF takes longer than everything else together.
    let fits_kernel = dialect.as_ref().is_some_and(Dialect::is_for_running_kernel);
    let mut loader = Loader {
        object: name.to_owned(),
        elf,
        btf,
        meant,
        dialect: dialect.is_some(),
        fits_kernel,
        targets: HashMap::new(),
    };
    let mut accepted = HashMap::new();
    for (program, target) in programs {
        accepted.insert(program.clone(), loader.load_program(program, None, target.as_deref())?);
    }
    let maps = maps.into_iter().filter_map(|(map, fd)| Some((facts.get(&map)?.clone(), fd)));
    let maps = LoadedMaps::new(name, maps);
    maps.publish();
    debug!(target: TARGET, "loaded `{name}`: {} programs", accepted.len());
    Ok(Object::new(name, loader, accepted, maps))
}

fn refused(object: &str, program: Option<&str>, cause: String) -> Error {
    Error::Load {
        operation: "load",
        object: object.to_owned(),
        program: program.map(str::to_owned),
        cause,
        errno: None,
    }
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
        let sanitized =
            contain(|| attempt.fixup_and_sanitize_btf(&features).map(|btf| btf.map(aya_obj::btf::Btf::to_bytes)));
        let bytes = match sanitized {
            Ok(Some(bytes)) => bytes,
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

/// Loads the programs of one object whose maps are in the kernel.
///
/// The descriptors of those maps stand in the instructions, so they must be open for as long as it is used.
pub(crate) struct Loader {
    object: String,
    elf: Elf,
    btf: Option<OwnedFd>,
    /// What the programs in sections that go by another name are.
    meant: Vec<Meant>,
    /// Whether it was C in bcc's dialect, whose reads of kernel memory are plain loads still.
    dialect: bool,
    /// Whether the instructions have been fitted to the running kernel.
    fits_kernel: bool,
    /// Targets found already: entry and return programs have the same one, and looking reads the kernel's BTF.
    targets: HashMap<(Target, String), AttachTarget>,
}

/// A target's type in BTF, and the BTF of the module it is in.
struct AttachTarget {
    id: u32,
    module: Option<OwnedFd>,
}

impl Loader {
    /// Names of the programs, loaded or not.
    pub(crate) fn programs(&self) -> impl Iterator<Item = &String> {
        self.elf.programs.keys()
    }

    /// Refuse names that are no program's.
    pub(crate) fn must_have(&self, program: &str) -> Result<(), Error> {
        if self.elf.programs.contains_key(program) {
            return Ok(());
        }
        Err(Error::no_such("program", program, &self.object, self.elf.programs.keys()))
    }

    /// Load a program, as another kind than its section says if `kind` is given.
    pub(crate) fn load_program(
        &mut self,
        name: &str,
        kind: Option<&'static Kind>,
        target: Option<&str>,
    ) -> Result<Program, Error> {
        let (fd, kind) = self.load_with(name, kind, target, |attributes, _| bpf::program_load(attributes, None))?;
        debug!(target: TARGET, "loaded program `{name}` of `{}` as {}", self.object, kind.name);
        Ok(Program::new(name, kind, target, fd))
    }

    /// Have `load` load a program as the kernel is to get it.
    fn load_with<T>(
        &mut self,
        name: &str,
        kind: Option<&'static Kind>,
        target: Option<&str>,
        load: impl Fn(&ProgramAttributes<'_>, &Function) -> io::Result<T>,
    ) -> Result<(T, &'static Kind), Error> {
        self.fit_to_kernel()?;
        let refused = |cause: String| refused(&self.object, Some(name), cause);
        let program = &self.elf.programs[name];
        let (of_section, flags) = kind_of(program, &self.meant);
        let kind = kind
            .or(of_section)
            .ok_or_else(|| refused(format!("program `{name}` is of a kind that cannot be loaded")))?;
        // A section's flags are for what the section says.
        let flags = if of_section.is_some_and(|of_section| of_section.name == kind.name) { flags } else { 0 };
        let attach_to = match (kind.target, target) {
            (Target::None, _) => None,
            (what, Some(target)) => {
                let key = (what, target.to_owned());
                if !self.targets.contains_key(&key) {
                    self.targets.insert(key.clone(), find_target(kind, target)?);
                }
                Some(&self.targets[&key])
            }
            (what, None) => {
                return Err(Error::Value(format!("{} program `{name}` needs the name of a {what}", kind.name)));
            }
        };
        let function = self
            .elf
            .functions
            .get(&program.function_key())
            .ok_or_else(|| refused(format!("program `{name}` has no instructions")))?;
        let mut function = Cow::Borrowed(function);
        if self.dialect {
            masks::narrow(&mut function.to_mut().instructions);
        }
        let mut contexts = if self.dialect { kernel_reads::contexts_of(kind.program_type) } else { &[] }.iter();
        loop {
            let function = match contexts.next() {
                Some(context) => Cow::Owned(replace_reads(&self.object, &function, *context)?),
                None => Cow::Borrowed(&*function),
            };
            let (functions, lines) = source_info(&function);
            let attributes = ProgramAttributes {
                name,
                program_type: kind.program_type,
                attach_type: kind.attach_type,
                instructions: &function.instructions,
                license: &program.license,
                kernel_version: program.kernel_version.unwrap_or(0),
                flags,
                attach_to: attach_to.map(|target| (target.id, target.module.as_ref().map(AsFd::as_fd))),
                source: self.btf.as_ref().map(|fd| (fd.as_fd(), &functions, &lines)),
            };
            match load(&attributes, &function) {
                Ok(loaded) => break Ok((loaded, kind)),
                Err(source) if contexts.len() == 0 => {
                    let place = |log: &[String]| source_line::of_refusal(log, &function, self.elf.btf.as_ref());
                    return Err(explain_refusal(&self.object, &attributes, source, place));
                }
                Err(_) => {}
            }
        }
    }

    /// Return the types that offsets are taken from.
    fn kernel_btf(&self) -> Result<aya_obj::btf::Btf, Error> {
        let refused = |cause: String| refused(&self.object, None, cause);
        let Some(object) = self.elf.btf.as_ref().filter(|_| self.dialect) else {
            return contain(aya_obj::btf::Btf::from_sys_fs).map_err(refused);
        };
        let failed = |source| Error::Btf { of: self.object.clone(), source };
        let object = Btf::parse(Contents::Read(object.to_bytes()), None).map_err(failed)?;
        let kernel = tracepoint_btf::of_kernel_for(&object).map_err(failed)?;
        contain(|| aya_obj::btf::Btf::parse(&kernel, Endianness::default())).map_err(refused)
    }

    /// Put the running kernel's offsets into the instructions, before the first program is loaded: reading its BTF
    /// takes time, which an object that is used for its maps alone need not spend.
    fn fit_to_kernel(&mut self) -> Result<(), Error> {
        if !self.fits_kernel && self.elf.has_btf_relocations() {
            let kernel = self.kernel_btf()?;
            contain(|| self.elf.relocate_btf(&kernel)).map_err(|cause| refused(&self.object, None, cause))?;
        }
        self.fits_kernel = true;
        Ok(())
    }
}

/// Return what a program's section says that it is, and the flags to load it with.
pub(crate) fn kind_of(program: &aya_obj::Program, meant: &[Meant]) -> (Option<&'static Kind>, u32) {
    match meant.iter().find(|meant| meant.section == program.section_index) {
        Some(meant) => (Some(meant.kind), meant.flags),
        None => (Kind::of_section(&program.section), flags_of(&program.section)),
    }
}

/// Make calls of helpers of the loads that the verifier would refuse.
fn replace_reads(object: &str, function: &Function, context: Context) -> Result<Function, Error> {
    let mut function = function.clone();
    let reads = kernel_reads::rewrite(&mut function, context)
        .map_err(|source| Error::Reads { object: object.to_owned(), source })?;
    debug!(target: TARGET, "`{}` of `{object}`: {reads} reads of kernel memory", function.name);
    Ok(function)
}

fn find_target(kind: &'static Kind, target: &str) -> Result<AttachTarget, Error> {
    let found = match kind.target {
        Target::SecurityHook => btf::find_function(&format!("bpf_lsm_{target}")),
        Target::Tracepoint => btf::find_tracepoint(target),
        Target::Iterator => btf::find_function(&format!("bpf_iter_{target}")),
        Target::Function | Target::None => btf::find_function(target),
    };
    let found = found.map_err(|source| Error::Btf { of: "vmlinux".into(), source })?;
    let found = found.ok_or_else(|| Error::TargetNotFound {
        kind: kind.name,
        target: target.to_owned(),
        cause: format!("no such {} in the kernel's BTF", kind.target),
    })?;
    let open_module = |module: &str| {
        bpf::module_btf(module).map_err(|source| {
            Error::or_privilege(source, format!("open BTF of module `{module}`"), |source| Error::Btf {
                of: module.to_owned(),
                source: source.into(),
            })
        })
    };
    let module = found.module.as_deref().map(open_module).transpose()?;
    Ok(AttachTarget { id: found.id, module })
}

/// Load again with the verifier's log to tell why a program was refused; the log costs time, so only now.
fn explain_refusal(
    object: &str,
    attributes: &ProgramAttributes<'_>,
    source: io::Error,
    place: impl FnOnce(&[String]) -> Option<String>,
) -> Error {
    let name = attributes.name;
    let (text, _) = verifier_log(attributes, 1);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    // Before Linux 6.4 a log that is too long has no end, which is where this is said.
    let cut = text.len() + 1 >= LOG_BYTES && source.raw_os_error() == Some(libc::E2BIG);
    lines.extend(cut.then(|| way_out::TOO_LONG.to_owned()));
    // A verifier that never got to see the program leaves an empty log: that is the system refusing, not it.
    if lines.len() > 1 {
        let errno = source.raw_os_error();
        let place = place(&lines);
        return Error::Verifier { object: object.to_owned(), program: name.to_owned(), place, log: lines, errno };
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

/// Room for the verifier's log.
const LOG_BYTES: usize = 16 << 20;

/// Load a program once more, with the verifier's log at a level; return the log and what became of it.
fn verifier_log(attributes: &ProgramAttributes<'_>, level: u32) -> (String, io::Result<OwnedFd>) {
    let mut log = vec![0; LOG_BYTES];
    let loaded = bpf::program_load(attributes, Some((&mut log, level)));
    let text = String::from_utf8_lossy(log.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
    (text, loaded)
}

fn source_info(function: &Function) -> (SourceInfo, SourceInfo) {
    let functions =
        SourceInfo { records: function.func_info.func_info_bytes(), record_size: function.func_info_rec_size };
    let lines = SourceInfo { records: function.line_info.line_info_bytes(), record_size: function.line_info_rec_size };
    (functions, lines)
}

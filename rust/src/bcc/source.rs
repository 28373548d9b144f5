//! A program's files, rewritten: only what C's own preprocessor and compiler cannot do is done here.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{
    diagnostics::{Diagnostic, Refusal},
    edits::Edits,
    functions,
    lexer::{self, Kind, Token},
    line_marks::LineMarks,
    methods,
    packet_headers::PacketHeaders,
    prelude, source_text,
};

/// Headers of a program; more is a loop.
const MAX_HEADERS: usize = 256;

/// One file of a program.
pub(crate) struct Unit {
    /// What the user calls it.
    pub(crate) name: String,
    /// What the compiler is to call it in messages: a name without anything that would have to be quoted.
    pub(crate) compiled_as: String,
    /// The file that the compiler reads, for headers.
    pub(crate) file: String,
    pub(crate) source: String,
    pub(crate) tokens: Vec<Token>,
    pub(crate) edits: Edits,
    pub(crate) marks: LineMarks,
    pub(crate) rewritten: String,
}

/// A program and its own headers.
#[derive(Default)]
pub(crate) struct Program {
    /// The program itself first.
    pub(crate) units: Vec<Unit>,
    /// Methods with optional arguments that it uses.
    pub(crate) optional_methods: BTreeSet<&'static str>,
    /// Headers of bcc's that it includes and rtrace has, by name.
    pub(crate) bcc_headers: BTreeSet<&'static str>,
    /// Packet headers that it defines, or gets from bcc's.
    pub(crate) packet_headers: PacketHeaders,
}

/// Where to look for a program's own headers.
pub(crate) struct Folders<'a> {
    pub(crate) include_dirs: &'a [PathBuf],
}

/// bcc's own headers that are more than what every program gets.
const BCC_HEADERS: [&str; 1] = ["bcc/proto.h"];

/// Folders of the kernel's headers: what is in them comes from type information.
const KERNEL_FOLDERS: [&str; 14] = [
    "linux",
    "uapi",
    "asm",
    "asm-generic",
    "net",
    "bcc",
    "sys",
    "generated",
    "trace",
    "kvm",
    "scsi",
    "rdma",
    "crypto",
    "drm",
];

impl Program {
    /// Rewrite a program; `name` is that of its file, or stands for it.
    pub(crate) fn rewrite(source: &[u8], name: &str, folders: &Folders<'_>) -> Result<Self, Diagnostic> {
        let mut program = Self::default();
        let mut paths = vec![PathBuf::from(name)];
        let (text, wrong) = source_text::decode(source);
        let unit = Unit::parse(&text, &wrong, name, 0).map_err(|refusal| refusal.diagnostic(&text, name))?;
        program.units.push(unit);
        let mut index = 0;
        while index < program.units.len() {
            let result = program.rewrite_unit(index, &mut paths, folders);
            let unit = &program.units[index];
            result.map_err(|refusal| refusal.diagnostic(&unit.source, &unit.name))?;
            index += 1;
        }
        program.finish()?;
        Ok(program)
    }

    /// Do what takes all files, and make the edits.
    fn finish(&mut self) -> Result<(), Diagnostic> {
        for unit in &self.units {
            self.packet_headers.add(&unit.source, &unit.tokens);
        }
        if !self.bcc_headers.is_empty() {
            let text = prelude::PROTO.text;
            // The prelude's own text; a test takes it apart too.
            self.packet_headers.add(text, &lexer::tokens(text).unwrap_or_default());
        }
        for unit in &mut self.units {
            let result = self.packet_headers.rewrite(&unit.source, &unit.tokens, &mut unit.edits);
            result.map_err(|refusal| refusal.diagnostic(&unit.source, &unit.name))?;
            unit.rewritten = unit.edits.apply(&unit.source);
        }
        Ok(())
    }

    fn rewrite_unit(&mut self, index: usize, paths: &mut Vec<PathBuf>, folders: &Folders<'_>) -> Result<(), Refusal> {
        let unit = &mut self.units[index];
        let (source, tokens) = (unit.source.clone(), std::mem::take(&mut unit.tokens));
        let mut edits = Edits::default();
        let beside = paths[index].parent().map(Path::to_owned).unwrap_or_default();
        let result = self.includes(&source, &tokens, &mut edits, &beside, paths, folders);
        let rewritten = result.and_then(|()| functions::rewrite(&source, &tokens, &mut edits));
        self.optional_methods.extend(methods::rewrite(&source, &tokens, &mut edits));
        let unit = &mut self.units[index];
        (unit.tokens, unit.edits) = (tokens, edits);
        rewritten
    }

    /// Take the includes of kernel headers out, and let those of the program's own name the rewritten files.
    fn includes(
        &mut self,
        source: &str,
        tokens: &[Token],
        edits: &mut Edits,
        beside: &Path,
        paths: &mut Vec<PathBuf>,
        folders: &Folders<'_>,
    ) -> Result<(), Refusal> {
        for include in Include::all(source, tokens) {
            let beside = (!include.angled).then_some(beside);
            let candidates = beside.into_iter().chain(folders.include_dirs.iter().map(PathBuf::as_path));
            let found = candidates.map(|folder| folder.join(include.name)).find(|path| path.is_file());
            let Some(path) = found else {
                if let Some(known) = BCC_HEADERS.iter().find(|known| **known == include.name) {
                    self.bcc_headers.insert(known);
                }
                let folder = include.name.split_once('/').map_or("", |(folder, _)| folder);
                if !include.angled && !KERNEL_FOLDERS.contains(&folder) {
                    return Err(Refusal::new(include.start, format!("cannot find `{}`", include.name)));
                }
                edits.replace(include.start, include.end, "");
                continue;
            };
            let index = match paths.iter().position(|known| *known == path) {
                Some(index) => index,
                None if paths.len() > MAX_HEADERS => {
                    return Err(Refusal::new(include.start, format!("more than {MAX_HEADERS} headers")));
                }
                None => {
                    let cannot =
                        |error| Refusal::new(include.start, format!("cannot read `{}`: {error}", path.display()));
                    let (text, wrong) = source_text::decode(&read(&path).map_err(cannot)?);
                    let name = path.display().to_string();
                    let unit = Unit::parse(&text, &wrong, &name, self.units.len())
                        .map_err(|refusal| Refusal::new(include.start, format!("in `{name}`: {}", refusal.message)))?;
                    self.units.push(unit);
                    paths.push(path);
                    self.units.len() - 1
                }
            };
            edits.replace(include.start, include.end, format!("#include \"{}\"", self.units[index].file));
        }
        Ok(())
    }
}

impl Unit {
    fn parse(source: &str, wrong: &[usize], name: &str, index: usize) -> Result<Self, Refusal> {
        let tokens = lexer::tokens(source)?;
        source_text::check(&tokens, wrong)?;
        let compiled_as = compiled_name(name, index);
        Ok(Self {
            marks: LineMarks::read(source, &tokens, &compiled_as),
            name: name.to_owned(),
            compiled_as,
            file: format!("rtrace={index}.h"),
            source: source.to_owned(),
            tokens,
            edits: Edits::default(),
            rewritten: String::new(),
        })
    }
}

/// Read a header, which is no longer than the longest source.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(lexer::MAX_BYTES as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// Make a file name out of a name: only what never has to be quoted, and nobody else's.
fn compiled_name(name: &str, index: usize) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    let kept: String = last
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() || "._-<>".contains(character) { character } else { '_' })
        .take(64)
        .collect();
    let kept = if kept.chars().all(|character| character == '.') { "text".to_owned() } else { kept };
    match index {
        0 => kept,
        _ => format!("{index}-{kept}"),
    }
}

/// An `#include` directive.
struct Include<'a> {
    name: &'a str,
    /// `<name>` instead of `"name"`.
    angled: bool,
    start: usize,
    end: usize,
}

impl<'a> Include<'a> {
    fn all(source: &'a str, tokens: &[Token]) -> Vec<Self> {
        let directives = tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Directive);
        directives.filter_map(|(index, _)| Self::parse(source, &tokens[index..])).collect()
    }

    fn parse(source: &'a str, tokens: &[Token]) -> Option<Self> {
        if !matches!(tokens.get(1)?.text(source), "include" | "include_next" | "import") {
            return None;
        }
        let end = tokens.iter().position(|token| token.kind == Kind::EndOfDirective)?;
        let (first, last) = (tokens.get(2)?, tokens.get(end.checked_sub(1)?)?);
        let span = (tokens[0].start as usize, last.end as usize);
        let inner = |from: usize, to: usize| source.get(from..to).map(str::trim);
        let (name, angled) = match first.kind {
            Kind::Text => (first.text(source).trim_matches('"'), false),
            Kind::Punctuation(b'<') => {
                let close = tokens[..end].iter().find(|token| token.is(b'>'))?;
                (inner(first.end as usize, close.start as usize)?, true)
            }
            _ => return None,
        };
        Some(Self { name, angled, start: span.0, end: span.1 })
    }
}

#[cfg(test)]
mod tests {
    use super::{Folders, Program, compiled_name};

    fn rewrite(source: &str) -> Result<Program, super::Diagnostic> {
        Program::rewrite(source.as_bytes(), "<text>", &Folders { include_dirs: &[] })
    }

    #[test]
    fn kernel_headers_go_and_lines_stay() {
        let program =
            rewrite("#include <uapi/linux/ptrace.h>\n# include \"linux/fs.h\" // x\n#include <bcc/proto.h>\nint a;")
                .unwrap();
        assert_eq!(program.units[0].rewritten, "\n // x\n\nint a;");
        assert!(program.bcc_headers.contains("bcc/proto.h"));
    }

    #[test]
    fn a_header_of_ones_own_has_to_be_there() {
        let missing = rewrite("\n  #include \"nowhere.h\"\n").err().unwrap();
        assert_eq!((missing.line, missing.column), (2, 3));
    }

    #[test]
    fn names_for_the_compiler_need_no_quotes() {
        assert_eq!(compiled_name("/a b/c d\"\n.c", 0), "c_d__.c");
        assert_eq!(compiled_name("-x.h", 2), "2--x.h");
        assert_eq!(compiled_name("<text>", 0), "<text>");
        assert_eq!(compiled_name("a/..", 0), "text");
        assert_eq!(compiled_name("", 1), "1-text");
    }
}

//! The way out of what the compiler says, where a beginner would look for it in vain.

use std::{borrow::Cow, collections::HashSet};

use super::{
    diagnostics::Diagnostic,
    lexer::{Kind, Token},
    prelude::Names,
    scan::{Scan, Tracepoint, tracepoint_of},
    source::{Program, Unit},
    tracepoint_struct,
};
use crate::{kernel::btf::Btf, nearest::nearest};

const NO_LIBRARY: &str = "programs call the kernel's helpers and functions of their own: there is no C library";

/// Say what to do about an error.
pub(crate) fn of_error(error: &Diagnostic, program: &Program) -> Option<String> {
    let known = Known::of(program);
    let said = error.message.as_str();
    let quoted = said.split('\'').nth(1).unwrap_or_default();
    let place = Place::of(error, program);
    let text = place.as_ref().map_or("", |place| place.text);
    if let Some(place) = &place
        && let Some(table) = known.table_of(place)
        && said.contains("no method")
    {
        return Some(format!("`{}` has the methods {}", table.name, known.methods(table).join(", ")));
    }
    if said.starts_with("no member named") {
        let tag = quoted_after(said, "struct ").or(quoted_after(said, "union "))?;
        return match tracepoint_of(tag) {
            Some(tracepoint) => fields(tracepoint),
            None if said.contains("did you mean") => None,
            None => known.member_like(quoted, tag),
        };
    }
    if said.contains("incomplete") || said.contains("undefined type") {
        return quoted_after(said, "struct ").or(quoted_after(said, "union ")).and_then(|tag| known.absent(tag));
    }
    if let Some(macro_name) = known.unknown_macro(text) {
        return Some(macro_name);
    }
    if said.contains("declaration of function")
        || said.contains("undeclared function")
        || said.contains("library function")
    {
        return Some(match quoted {
            "printf" | "puts" | "printk" => {
                "use bpf_trace_printk(), which writes to the kernel's trace pipe".to_owned()
            }
            _ => known.like(quoted).unwrap_or_else(|| NO_LIBRARY.to_owned()),
        });
    }
    if said.starts_with("use of undeclared identifier") || said.starts_with("unknown type name") {
        return match quoted {
            "ctx" if text.contains("ctx") && known.mentions("TRACEPOINT_PROBE") => {
                Some("in a TRACEPOINT_PROBE the context is called `args`".to_owned())
            }
            "args" if known.mentions("RAW_TRACEPOINT_PROBE") => {
                Some("in a RAW_TRACEPOINT_PROBE the context is called `ctx`".to_owned())
            }
            _ => known.like(quoted),
        };
    }
    if said.contains("cannot combine with previous") {
        return Some("is a `;` missing behind what stands in front, such as a struct?".to_owned());
    }
    if text.contains(".perf_submit(") && (said.contains("indirection") || said.contains("arguments")) {
        return Some("the context comes first: `events.perf_submit(ctx, &data, sizeof(data))`".to_owned());
    }
    of_code(said).map(str::to_owned)
}

/// Of what there is no code for.
fn of_code(said: &str) -> Option<&'static str> {
    let lower = said.to_ascii_lowercase();
    if lower.contains("stack") && (lower.contains("exceed") || lower.contains("limit")) {
        return Some(
            "a large struct or buffer belongs in a table: `BPF_PERCPU_ARRAY(name, struct data_t, 1)`, looked up where it \
             is needed",
        );
    }
    if ["signed division", " = sdiv ", " = srem "].iter().any(|words| lower.contains(words)) {
        return Some("the kernel's machine divides unsigned numbers only: make both sides unsigned");
    }
    // What compilers call for arithmetic that a machine lacks.
    let function = lower.split("built-in function '").nth(1)?.split('\'').next()?;
    Some(match function {
        "memcpy" | "memset" | "memmove" | "memcmp" => {
            "so many bytes are copied, set or compared in a loop, or by bpf_probe_read_kernel()"
        }
        _ => "the kernel's machine has no floating point, and no numbers of 128 bits",
    })
}

/// Say it of the table, where the compiler speaks of a struct without a name.
pub(crate) fn reword(error: &mut Diagnostic, program: &Program) {
    let Some(rest) = error.message.strip_prefix("no member named '") else { return };
    if !rest.contains("(unnamed") && !rest.contains("(anonymous") {
        return;
    }
    let method = rest.split('\'').next().unwrap_or_default().to_owned();
    let known = Known::of(program);
    if let Some(table) = Place::of(error, program).and_then(|place| known.table_of(&place)) {
        let like = nearest(&method, known.methods(table));
        let like = like.map_or(String::new(), |like| format!("; did you mean `{like}`?"));
        error.message = format!("table `{}` has no method `{method}`{like}", table.name);
    }
}

/// The text of a line, and a byte of it.
struct Place<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Place<'a> {
    fn of(error: &Diagnostic, program: &'a Program) -> Option<Self> {
        let unit = match error.shown {
            Some(_) => program.units.first(),
            None => program.units.iter().find(|unit| unit.name == error.file),
        }?;
        let line = error.shown.unwrap_or(error.line).checked_sub(1)?;
        Some(Self { text: unit.source.lines().nth(line)?, at: error.column.saturating_sub(1) })
    }

    /// What stands in front of the point that the place is at, or in front of the next one.
    fn base(&self) -> Option<&'a str> {
        let word = |byte: char| byte.is_ascii_alphanumeric() || byte == '_';
        let before = self.text.get(..self.at)?.trim_end();
        match before.strip_suffix('.') {
            Some(base) => base.trim_end().rsplit(|byte: char| !word(byte)).next(),
            None => self.text.get(self.at..)?.split_once('.').map(|(base, _)| base.trim_end()),
        }
    }
}

/// A table as the program declares it.
struct Table<'a> {
    name: &'a str,
    /// Every word of its declaration.
    words: Vec<&'a str>,
}

/// What a program and the prelude define.
struct Known<'a> {
    scan: Scan<'a>,
    prelude: Names,
    tables: Vec<Table<'a>>,
    units: &'a [Unit],
}

impl<'a> Known<'a> {
    fn of(program: &'a Program) -> Self {
        let prelude = Names::read(!program.bcc_headers.is_empty());
        let mut known = Self { scan: Scan::default(), prelude, tables: Vec::new(), units: &program.units };
        for unit in &program.units {
            known.scan.add(&unit.source, &unit.tokens);
            known.add_tables(unit);
        }
        known
    }

    fn add_tables(&mut self, unit: &'a Unit) {
        let text = |token: &Token| token.text(&unit.source);
        let mut depth = 0_usize;
        for (index, token) in unit.tokens.iter().enumerate() {
            match token.kind {
                Kind::Punctuation(b'{' | b'(') => depth += 1,
                Kind::Punctuation(b'}' | b')') => depth = depth.saturating_sub(1),
                Kind::Identifier if depth == 0 && text(token).starts_with("BPF_") => {
                    let declaration = unit.tokens[index..].iter().take_while(|token| !token.is(b')'));
                    let words: Vec<_> = declaration.map(|token| text(token).trim_matches('"')).collect();
                    // Their names are at different places: behind the type, the key and the value, or first.
                    self.tables.extend(words.iter().skip(2).map(|name| Table { name, words: words.clone() }));
                }
                _ => {}
            }
        }
    }

    fn table_of(&self, place: &Place<'_>) -> Option<&Table<'a>> {
        let name = place.base()?;
        self.tables.iter().find(|table| table.name == name)
    }

    /// The methods of a table, in the order of their names.
    fn methods(&self, table: &Table<'a>) -> Vec<&'static str> {
        let mut words: HashSet<&str> = table.words.iter().copied().collect();
        // The macro of a table's type is joined from two words.
        loop {
            let joined = words.iter().filter_map(|word| self.prelude.of_type(word)).collect::<Vec<_>>();
            let before = words.len();
            words.extend(joined);
            self.prelude.expand(&mut words);
            if words.len() == before {
                break;
            }
        }
        let mut methods: Vec<_> = Names::methods().into_iter().filter(|method| words.contains(method)).collect();
        for method in &mut methods {
            *method = method.strip_suffix("_by").unwrap_or(method);
        }
        methods.sort_unstable();
        methods.dedup();
        methods
    }

    fn mentions(&self, name: &str) -> bool {
        self.scan.identifiers.contains(name)
    }

    /// What is nearly called so, for whoever asks what else there is.
    fn like(&self, name: &str) -> Option<String> {
        let own = self.scan.own_names.iter().copied().filter(|own| !own.starts_with("BPF_"));
        let tables = self.tables.iter().map(|table| table.name);
        let helpers = self.prelude.scan.identifiers.iter().copied().filter(|name| name.starts_with("bpf_"));
        let names = own.chain(self.prelude.scan.own_names.iter().copied()).chain(helpers).chain(tables);
        nearest(name, names.filter(|name| !name.starts_with("__"))).map(|like| format!("did you mean `{like}`?"))
    }

    /// Where a line begins with a macro that nobody defines.
    fn unknown_macro(&self, text: &str) -> Option<String> {
        let (name, _) = text.split_once('(')?;
        let is_macro = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        let names = &self.prelude.scan.own_names;
        if !is_macro || names.contains(name) {
            return None;
        }
        nearest(name, names.iter().copied()).map(|like| format!("there is no `{name}`; did you mean `{like}`?"))
    }

    /// A member of a struct of the program's or the kernel's that is called nearly so, or all of the program's.
    fn member_like(&self, member: &str, tag: &str) -> Option<String> {
        let own = self.own_members(tag);
        let kernel = Btf::of_kernel().ok();
        let of_kernel = kernel.iter().flat_map(|btf| {
            let records = btf.types().filter(|(_, found)| {
                own.is_empty() && found.is_record() && btf.string(found.name_offset) == tag.as_bytes()
            });
            records
                .flat_map(|(_, found)| found.members().map(|member| btf.string(member.name_offset)).collect::<Vec<_>>())
        });
        let of_kernel: HashSet<Cow<'_, str>> = of_kernel.map(String::from_utf8_lossy).collect();
        let members = own.iter().copied().chain(of_kernel.iter().map(AsRef::as_ref));
        match nearest(member, members) {
            Some(like) => Some(format!("did you mean `{like}`?")),
            None => (!own.is_empty()).then(|| format!("`struct {tag}` has the members {}", own.join(", "))),
        }
    }

    /// The members of a struct that the program defines itself.
    fn own_members(&self, tag: &str) -> Vec<&'a str> {
        let mut members = Vec::new();
        for unit in self.units {
            let text = |token: &Token| token.text(&unit.source);
            let defines = |three: &[Token]| text(&three[0]) == "struct" && text(&three[1]) == tag && three[2].is(b'{');
            let Some(start) = unit.tokens.windows(3).position(defines) else { continue };
            let mut depth = 0_usize;
            for pair in unit.tokens[start + 2..].windows(2) {
                match pair[0].kind {
                    Kind::Punctuation(b'{') => depth += 1,
                    Kind::Punctuation(b'}') if depth == 1 => break,
                    Kind::Punctuation(b'}') => depth -= 1,
                    Kind::Identifier if depth == 1 => {
                        let ends = matches!(pair[1].kind, Kind::Punctuation(b';' | b'[' | b',' | b':'));
                        members.extend(ends.then(|| pair[0].text(&unit.source)));
                    }
                    _ => {}
                }
            }
        }
        members
    }

    /// A struct that nobody defines.
    fn absent(&self, tag: &str) -> Option<String> {
        if tracepoint_of(tag).is_some() {
            return None;
        }
        let kernel = Btf::of_kernel().ok();
        let of_kernel = kernel.iter().flat_map(|btf| {
            btf.types().filter(|(_, found)| found.is_record()).map(|(_, found)| btf.string(found.name_offset))
        });
        let of_kernel: HashSet<Cow<'_, str>> = of_kernel.map(String::from_utf8_lossy).collect();
        let like = nearest(tag, self.scan.own_tags.iter().copied())
            .or_else(|| nearest(tag, of_kernel.iter().map(AsRef::as_ref)));
        let like = like.map_or("those of a module are known while it is loaded".to_owned(), |like| {
            format!("did you mean `{like}`?")
        });
        Some(format!("neither the program nor the kernel has a struct `{tag}`; {like}"))
    }
}

/// The word behind `before` in quotes.
fn quoted_after<'a>(said: &'a str, before: &str) -> Option<&'a str> {
    said.split('\'')
        .skip(1)
        .step_by(2)
        .find_map(|quoted| quoted.strip_prefix("const ").unwrap_or(quoted).strip_prefix(before))
}

/// What a tracepoint has instead.
fn fields(tracepoint: Tracepoint<'_>) -> Option<String> {
    let format = tracepoint_struct::read(tracepoint).ok()?;
    let names: Vec<_> = tracepoint_struct::members(&format).into_iter().map(|member| member.name).collect();
    let (category, event) = tracepoint;
    Some(format!("`{category}:{event}` has the fields {}", names.join(", ")))
}

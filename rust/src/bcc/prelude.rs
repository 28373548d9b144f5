//! What stands in front of every program: rtrace's own headers, in C.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use super::{
    lexer::{self, Kind, Token},
    scan::Scan,
};

/// What the kernel's types build on.
pub(crate) const BASE: &str = include_str!("prelude/base.h");

/// A header and the name that the compiler knows it by.
pub(crate) struct Header {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// What comes behind the kernel's types, in this order.
pub(crate) const HEADERS: [Header; 10] = [
    Header { name: "rtrace/helpers.h", text: include_str!("prelude/helpers.h") },
    Header { name: "rtrace/constants.h", text: include_str!("prelude/constants.h") },
    Header { name: "rtrace/kernel.h", text: include_str!("prelude/kernel.h") },
    Header { name: "rtrace/maps.h", text: include_str!("prelude/maps.h") },
    Header { name: "rtrace/tables.h", text: include_str!("prelude/tables.h") },
    Header { name: "rtrace/streams.h", text: include_str!("prelude/streams.h") },
    Header { name: "rtrace/objects.h", text: include_str!("prelude/objects.h") },
    Header { name: "rtrace/functions.h", text: include_str!("prelude/functions.h") },
    Header { name: "rtrace/packets.h", text: include_str!("prelude/packets.h") },
    Header { name: "rtrace/programs.h", text: include_str!("prelude/programs.h") },
];

/// What comes behind the program.
pub(crate) const END: &str = include_str!("prelude/end.h");

/// The macro that declares a helper of the kernel.
const HELPER: &str = "__rtrace_helper";

/// What only programs get that include `bcc/proto.h`.
pub(crate) const PROTO: Header = Header { name: "rtrace/proto.h", text: include_str!("prelude/proto.h") };

/// What the prelude itself defines, and what each of its macros mentions.
pub(crate) struct Names {
    pub(crate) scan: Scan<'static>,
    /// Macros, and what they mention; helpers of the kernel, of whose parameters' types declarations do.
    mentions: HashMap<&'static str, Vec<&'static str>>,
    /// Of each of [`HEADERS`], what can be left out of it.
    pieces: Vec<Vec<Piece>>,
    /// What is mentioned by what is never left out.
    always: HashSet<&'static str>,
}

/// A macro or the declaration of a helper, which programs that do not mention it can do without.
struct Piece {
    name: &'static str,
    place: Range<usize>,
    /// Whether it is a macro without parameters, which takes a name wherever that stands.
    is_plain: bool,
}

impl Piece {
    /// Whether a program has something of its own of this name, which the macro would change.
    fn is_declared(&self, program: &Scan<'_>) -> bool {
        program.functions.contains(self.name) || self.is_plain && program.values.contains(self.name)
    }
}

impl Names {
    /// Read the prelude; `proto` says whether the program includes `bcc/proto.h`.
    pub(crate) fn read(proto: bool) -> Self {
        let (scan, mentions, always) = (Scan::default(), HashMap::new(), HashSet::new());
        let mut names = Self { scan, mentions, pieces: Vec::new(), always };
        names.add(BASE);
        for header in &HEADERS {
            let pieces = names.add(header.text);
            names.pieces.push(pieces);
        }
        if proto {
            names.add(PROTO.text);
        }
        names.always.extend(lexer::tokens(END).unwrap_or_default().iter().map(|token| token.text(END)));
        names
    }

    /// Add a header, and return its pieces.
    fn add(&mut self, text: &'static str) -> Vec<Piece> {
        // The prelude's own text; a test takes it apart too.
        let tokens = lexer::tokens(text).unwrap_or_default();
        self.scan.add(text, &tokens);
        let mut pieces: Vec<Piece> = Vec::new();
        // Whether a macro is needed that is defined under a condition, only the compiler knows.
        let mut conditions = 0_usize;
        for (index, token) in tokens.iter().enumerate() {
            let word = tokens.get(index + 1).map_or("", |word| word.text(text));
            let found = match token.kind {
                Kind::Directive if word.starts_with("if") => {
                    conditions += 1;
                    None
                }
                Kind::Directive if word == "endif" => {
                    conditions -= 1;
                    None
                }
                Kind::Directive if word == "define" => {
                    let length = tokens[index..].iter().take_while(|token| token.kind != Kind::EndOfDirective).count();
                    Some((index + 2, index + length))
                }
                Kind::Identifier if token.text(text) == HELPER => {
                    helper(&tokens[index..]).map(|(name, end)| (index + name, index + end))
                }
                _ => None,
            };
            if let Some((at, end)) = found {
                let (name, body) = (tokens[at].text(text), &tokens[at + 1..end]);
                let mentions = self.mentions.entry(name).or_default();
                if token.kind == Kind::Directive {
                    let identifiers = body.iter().filter(|token| token.kind == Kind::Identifier);
                    mentions.extend(identifiers.map(|token| token.text(text)));
                } else {
                    mentions.push(HELPER);
                }
                if conditions == 0 {
                    let place = token.start as usize..tokens[end - 1].end as usize;
                    let has_parameters =
                        body.first().is_some_and(|first| first.start == tokens[at].end && first.is(b'('));
                    let is_plain = token.kind == Kind::Directive && !has_parameters;
                    pieces.push(Piece { name, place, is_plain });
                }
            }
        }
        let mut left_out = pieces.iter().peekable();
        for token in tokens.iter().filter(|token| token.kind == Kind::Identifier) {
            let at = token.start as usize;
            while left_out.next_if(|piece| piece.place.end <= at).is_some() {}
            if !left_out.peek().is_some_and(|piece| piece.place.contains(&at)) {
                self.always.insert(token.text(text));
            }
        }
        pieces
    }

    /// The macro that makes a table of the type that is called so.
    pub(crate) fn of_type(&self, name: &str) -> Option<&'static str> {
        self.mentions.get_key_value(format!("__rtrace_table_{name}").as_str()).map(|(name, _)| *name)
    }

    /// Every method that tables have: pointers to functions, `(*lookup)(...)`.
    pub(crate) fn methods() -> HashSet<&'static str> {
        let mut methods = HashSet::new();
        for Header { text, .. } in &HEADERS {
            let tokens = lexer::tokens(text).unwrap_or_default();
            for [open, star, name, close, arguments] in tokens.array_windows() {
                let punctuation = open.is(b'(') && star.is(b'*') && close.is(b')') && arguments.is(b'(');
                if punctuation && name.kind == Kind::Identifier {
                    methods.insert(name.text(text));
                }
            }
        }
        methods
    }

    /// Add what the prelude's macros among `identifiers` stand for.
    pub(crate) fn expand<'a>(&self, identifiers: &mut HashSet<&'a str>)
    where
        'static: 'a,
    {
        let mut pending: Vec<&str> = identifiers.iter().copied().collect();
        while let Some(name) = pending.pop() {
            for mentioned in self.mentions.get(name).into_iter().flatten() {
                if identifiers.insert(mentioned) {
                    pending.push(mentioned);
                }
            }
        }
    }

    /// Return the headers without what a program can do without that mentions these names.
    ///
    /// Lines stay where they are. Names that the preprocessor pastes together of names and numbers are known where
    /// `__rtrace_join` does it; a program that pastes itself wants all of it.
    pub(crate) fn needed<'a>(&'a self, mentioned: impl Iterator<Item = &'a str>, program: &Scan<'_>) -> Vec<String> {
        let wanted = self.wanted(mentioned);
        self.with(|piece| wanted.contains(piece.name) && !piece.is_declared(program))
    }

    /// Return the headers with everything that the program does not declare itself.
    pub(crate) fn whole(&self, program: &Scan<'_>) -> Vec<String> {
        self.with(|piece| !piece.is_declared(program))
    }

    fn with(&self, keeps: impl Fn(&Piece) -> bool) -> Vec<String> {
        let header = |(header, pieces): (&Header, &Vec<Piece>)| {
            let mut text = String::with_capacity(header.text.len());
            let mut at = 0;
            for piece in pieces.iter().filter(|piece| !keeps(piece)) {
                text.push_str(&header.text[at..piece.place.start]);
                text.extend(header.text[piece.place.clone()].bytes().filter(|byte| *byte == b'\n').map(char::from));
                at = piece.place.end;
            }
            text.push_str(&header.text[at..]);
            text
        };
        HEADERS.iter().zip(&self.pieces).map(header).collect()
    }

    /// Everything that is mentioned, by the program and by what that mentions.
    fn wanted<'a>(&'a self, mentioned: impl Iterator<Item = &'a str>) -> HashSet<&'a str> {
        let mut wanted = HashSet::new();
        // First halves of pasted names.
        let mut halves: Vec<&str> = Vec::new();
        let mut pending: Vec<&str> = mentioned.chain(self.always.iter().copied()).collect();
        while let Some(name) = pending.pop() {
            if !wanted.insert(name) {
                continue;
            }
            let pasted =
                |half: &str| self.mentions.get_key_value(format!("{half}{name}").as_str()).map(|(name, _)| *name);
            pending.extend(halves.iter().filter_map(|half| pasted(half)));
            if let Some(mentions) = self.mentions.get(name) {
                pending.extend(mentions);
            } else if name.starts_with("__rtrace_") {
                halves.push(name);
                let is_other_half =
                    |rest: &str| wanted.contains(rest) || rest.bytes().all(|byte| byte.is_ascii_digit());
                let whole = |whole: &&&str| whole.strip_prefix(name).is_some_and(is_other_half);
                pending.extend(self.mentions.keys().filter(whole));
            }
        }
        wanted
    }
}

/// Find the helper's name in `__rtrace_helper(number, type, name, (parameters))`, and the end of that.
fn helper(tokens: &[Token]) -> Option<(usize, usize)> {
    let parameters = 2 + tokens.get(2..)?.iter().position(|token| token.is(b'('))?;
    let close = parameters + tokens[parameters..].windows(2).position(|pair| pair[0].is(b')') && pair[1].is(b')'))?;
    // Not in the macro's own definition.
    let is_name = tokens[parameters - 2].kind == Kind::Identifier && tokens[parameters - 1].is(b',');
    is_name.then_some((parameters - 2, close + 2))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{HEADERS, Names, Scan};

    fn needed(mentioned: &[&str]) -> String {
        Names::read(false).needed(mentioned.iter().copied(), &Scan::default()).concat()
    }

    #[test]
    fn macros_bring_the_members_that_they_stand_for() {
        let names = Names::read(true);
        let mut identifiers = HashSet::from(["sk_family", "DNAME_INLINE_LEN"]);
        names.expand(&mut identifiers);
        for name in ["__sk_common", "skc_family", "dentry", "shortname_store"] {
            assert!(identifiers.contains(name), "{name}");
        }
        assert!(names.scan.own_tags.contains("pt_regs"));
        assert!(names.scan.own_names.contains("PT_REGS_PARM1"));
    }

    #[test]
    fn what_is_not_mentioned_is_left_out() {
        let nothing = needed(&[]);
        assert!(!nothing.contains("__rtrace_helper(5, "));
        assert!(!nothing.contains("#define BPF_HASH"));
        let lines = |text: &str| text.bytes().filter(|byte| *byte == b'\n').count();
        assert_eq!(lines(&nothing), HEADERS.iter().map(|header| lines(header.text)).sum::<usize>());
        assert!(nothing.len() < 30_000, "{}", nothing.len());
        let clock = needed(&["bpf_ktime_get_ns"]);
        assert!(clock.contains("#define __rtrace_helper("));
        assert!(clock.contains("__rtrace_helper(5, u64, bpf_ktime_get_ns, (void))"));
        assert!(!clock.contains("bpf_ktime_get_boot_ns"));
    }

    #[test]
    fn pieces_lie_behind_each_other() {
        let names = Names::read(false);
        assert_eq!(names.pieces.len(), HEADERS.len());
        for pieces in &names.pieces {
            assert!(pieces.array_windows().all(|[one, next]| one.place.end <= next.place.start));
        }
        let helpers = names.pieces[0].iter().filter(|piece| piece.name.starts_with("bpf_")).count();
        assert_eq!(helpers, HEADERS[0].text.matches("\n__rtrace_helper(").count());
    }

    #[test]
    fn what_is_mentioned_brings_what_it_mentions() {
        let table = needed(&["BPF_HASH"]);
        for name in [
            "define __rtrace_hash_3(",
            "define __rtrace_table_hash(",
            "bpf_map_lookup_elem, (",
            "bpf_map_delete_elem, (",
        ] {
            assert!(table.contains(name), "{name}");
        }
        assert!(!table.contains("define __rtrace_table_percpu_hash("));
        assert!(needed(&["BPF_TABLE", "percpu_hash"]).contains("define __rtrace_table_percpu_hash("));
        assert!(needed(&["KFUNC_PROBE"]).contains("define __rtrace_elements12 "));
        assert!(needed(&["IS_ENABLED"]).contains("define __rtrace_enabled_1 "));
    }
}

//! What stands in front of every program: rtrace's own headers, in C.

use std::collections::{HashMap, HashSet};

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
pub(crate) const HEADERS: [Header; 9] = [
    Header { name: "rtrace/helpers.h", text: include_str!("prelude/helpers.h") },
    Header { name: "rtrace/kernel.h", text: include_str!("prelude/kernel.h") },
    Header { name: "rtrace/maps.h", text: include_str!("prelude/maps.h") },
    Header { name: "rtrace/tables.h", text: include_str!("prelude/tables.h") },
    Header { name: "rtrace/streams.h", text: include_str!("prelude/streams.h") },
    Header { name: "rtrace/objects.h", text: include_str!("prelude/objects.h") },
    Header { name: "rtrace/functions.h", text: include_str!("prelude/functions.h") },
    Header { name: "rtrace/packets.h", text: include_str!("prelude/packets.h") },
    Header { name: "rtrace/programs.h", text: include_str!("prelude/programs.h") },
];

/// What only programs get that include `bcc/proto.h`.
pub(crate) const PROTO: Header = Header { name: "rtrace/proto.h", text: include_str!("prelude/proto.h") };

/// What the prelude itself defines, and what each of its macros mentions.
pub(crate) struct Names {
    pub(crate) scan: Scan<'static>,
    macros: HashMap<&'static str, Vec<&'static str>>,
}

impl Names {
    /// Read the prelude; `proto` says whether the program includes `bcc/proto.h`.
    pub(crate) fn read(proto: bool) -> Self {
        let mut names = Self { scan: Scan::default(), macros: HashMap::new() };
        let texts = std::iter::once(BASE).chain(HEADERS.iter().map(|header| header.text));
        for text in texts.chain(proto.then_some(PROTO.text)) {
            // The prelude's own text; a test takes it apart too.
            let tokens = lexer::tokens(text).unwrap_or_default();
            names.scan.add(text, &tokens);
            names.add_macros(text, &tokens);
        }
        names
    }

    fn add_macros(&mut self, text: &'static str, tokens: &[Token]) {
        for (index, _) in tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Directive) {
            let body: Vec<_> = tokens[index..].iter().take_while(|token| token.kind != Kind::EndOfDirective).collect();
            if body.get(1).is_some_and(|word| word.text(text) == "define")
                && let Some(name) = body.get(2)
            {
                let identifiers = body[3..].iter().filter(|token| token.kind == Kind::Identifier);
                self.macros.entry(name.text(text)).or_default().extend(identifiers.map(|token| token.text(text)));
            }
        }
    }

    /// The macro that makes a table of the type that is called so.
    pub(crate) fn of_type(&self, name: &str) -> Option<&'static str> {
        self.macros.get_key_value(format!("__rtrace_table_{name}").as_str()).map(|(name, _)| *name)
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
            for mentioned in self.macros.get(name).into_iter().flatten() {
                if identifiers.insert(mentioned) {
                    pending.push(mentioned);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Names;

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
}

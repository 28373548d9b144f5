//! What is written, in which order, and under which name.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
};

use super::{
    Request,
    roots::{Quality, Roots},
    sources::{Id, Sources},
};
use crate::kernel::btf::{BtfError, Type, kind};

/// Nested deeper, BTF is corrupt: types contain themselves.
const MAX_DEPTH: usize = 100;

/// For more steps than this for each type there is, BTF is corrupt: all of the kernel takes less than ten.
const MAX_STEPS: usize = 100;
const FREE_STEPS: usize = 10_000;

/// How much of a type has to be known where it is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Need {
    /// Its members: it is contained by value.
    Complete,
    /// Its members, and if it is a pointer, those of what it points to: the program names the member.
    Walked,
    /// That it exists: something points to it.
    Name,
    /// Its members too, though not before they are used: the program follows the pointer.
    Followed,
}

impl Need {
    pub(super) fn is_complete(self) -> bool {
        matches!(self, Self::Complete | Self::Walked)
    }

    /// What is needed of the type that a pointer points to.
    pub(super) fn behind_pointer(self) -> Self {
        if matches!(self, Self::Walked | Self::Followed) { Self::Followed } else { Self::Name }
    }

    /// What is needed of the elements of an array: C wants to know them even behind a pointer.
    pub(super) fn of_elements(self) -> Self {
        if matches!(self, Self::Walked | Self::Followed) { Self::Walked } else { Self::Complete }
    }
}

/// A tag in use.
struct Owner {
    keyword: &'static str,
    /// The type that is written under this tag, `None` while there are declarations only.
    definition: Option<Id>,
}

/// Collects the text; definitions come after those they contain by value.
pub(super) struct Writer<'a> {
    pub(super) sources: &'a Sources,
    pub(super) request: &'a Request<'a>,
    pub(super) text: String,
    /// What is written, or about to be.
    pub(super) started: HashSet<Id>,
    /// Alignments that the written types have.
    pub(super) alignments: HashMap<Id, u32>,
    /// Declarations that go in front.
    declared: HashSet<String>,
    declarations: String,
    /// Types behind pointers that the program follows.
    followed: Vec<Id>,
    /// Declared tags behind pointers that the program follows.
    undefined: Vec<String>,
    tags: HashMap<String, Owner>,
    /// Typedefs, enumerators and tags with an appendix.
    taken: HashSet<String>,
    /// Names of types that are not their own.
    renamed: HashMap<Id, String>,
    depth: usize,
    steps: usize,
    max_steps: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(sources: &'a Sources, request: &'a Request<'a>) -> Self {
        Self {
            sources,
            request,
            text: String::new(),
            started: HashSet::new(),
            alignments: HashMap::new(),
            declared: HashSet::new(),
            declarations: String::new(),
            followed: Vec::new(),
            undefined: Vec::new(),
            tags: HashMap::new(),
            taken: HashSet::new(),
            renamed: HashMap::new(),
            depth: 0,
            steps: 0,
            max_steps: FREE_STEPS + sources.len() * MAX_STEPS,
        }
    }

    /// Write everything that the program names and what hangs on it.
    pub(super) fn write(mut self, roots: &Roots<'_>) -> Result<String, BtfError> {
        let mut named: Vec<_> = roots.tags.values().collect();
        named.sort_unstable_by_key(|(_, id)| *id);
        // The types that the program means have the first right to their tags, and to their enumerators.
        for (quality, id) in &named {
            if *quality != Quality::Declaration {
                self.tag(*id)?;
            }
        }
        for id in &roots.enumerations {
            self.require(*id, Need::Complete)?;
        }
        for (_, id) in named {
            self.require(*id, Need::Followed)?;
        }
        let mut typedefs: Vec<_> = roots.typedefs.values().copied().collect();
        typedefs.sort_unstable();
        for id in typedefs {
            self.require(id, Need::Followed)?;
        }
        self.follow()?;
        Ok(self.finish())
    }

    fn follow(&mut self) -> Result<(), BtfError> {
        loop {
            while !self.followed.is_empty() {
                for id in std::mem::take(&mut self.followed) {
                    self.define(id)?;
                }
            }
            if self.undefined.is_empty() {
                return Ok(());
            }
            let undefined = std::mem::take(&mut self.undefined);
            let tags = undefined.iter().map(String::as_str).collect();
            self.followed = Roots::definitions(self.sources, &tags);
        }
    }

    fn finish(self) -> String {
        if self.text.is_empty() && self.declarations.is_empty() {
            return String::new();
        }
        let Self { declarations, text, .. } = self;
        // clang warns of attributes that apply to nothing.
        if !text.contains("struct ") && !text.contains("union ") {
            return declarations + &text;
        }
        format!(
            "{declarations}#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)\n\
             {text}#pragma clang attribute pop\n"
        )
    }

    /// Count a step down into a type; refuse what only corrupt BTF can want.
    pub(super) fn enter(&mut self) -> Result<(), BtfError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(BtfError::Endless) } else { self.count() }
    }

    pub(super) fn count(&mut self) -> Result<(), BtfError> {
        self.steps += 1;
        if self.steps > self.max_steps { Err(BtfError::Endless) } else { Ok(()) }
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Make sure that as much as is needed of a type's innards is written.
    pub(super) fn require(&mut self, mut id: Id, mut need: Need) -> Result<(), BtfError> {
        for _ in 0..MAX_DEPTH {
            if id.is_void() {
                return Ok(());
            }
            let found = self.sources.get(id)?;
            match found.kind() {
                kind::TYPEDEF => self.typedef(id, &found)?,
                kind::PTR => need = need.behind_pointer(),
                kind::CONST | kind::VOLATILE | kind::RESTRICT | kind::TYPE_TAG => {}
                kind::ARRAY => {
                    id = self.sources.refer(id, found.array().0);
                    need = need.of_elements();
                    continue;
                }
                kind::STRUCT | kind::UNION | kind::FWD | kind::ENUM | kind::ENUM64 if found.name_offset != 0 => {
                    self.tagged(id, &found, need)?;
                    return Ok(());
                }
                kind::ENUM | kind::ENUM64 => return self.define(id),
                _ => return Ok(()),
            }
            id = self.sources.refer(id, found.size_or_type);
        }
        Err(BtfError::Endless)
    }

    /// Return how a type with a tag is referred to, as `struct file`, and have it written as far as it is needed.
    pub(super) fn tagged(&mut self, id: Id, found: &Type<'_>, need: Need) -> Result<String, BtfError> {
        let keyword = keyword(found);
        let original = clean(self.sources.name(id)?);
        let own = self.request.own_tags.contains(original.as_str());
        if own && need == Need::Followed {
            // To the program this is its own type. Where it does not look, the tag may as well be of another kind.
            self.declare(keyword, &original);
            return Ok(format!("{keyword} {original}"));
        }
        let tag = self.tag(id)?;
        match found.kind() {
            kind::ENUM | kind::ENUM64 => self.define(id)?,
            _ if need.is_complete() => self.define(id)?,
            kind => {
                self.declare(keyword, &tag);
                let definition = self.tags.get(&original).and_then(|owner| owner.definition);
                match if kind == kind::FWD { definition } else { Some(id) } {
                    _ if need != Need::Followed => {}
                    Some(definition) => self.followed.push(definition),
                    None => self.undefined.push(original),
                }
            }
        }
        Ok(format!("{keyword} {tag}"))
    }

    fn declare(&mut self, keyword: &str, tag: &str) {
        if keyword != "enum" && self.declared.insert(format!("{keyword} {tag}")) {
            let _ = writeln!(self.declarations, "{keyword} {tag};");
        }
    }

    /// Write a definition, unless it is there.
    pub(super) fn define(&mut self, id: Id) -> Result<(), BtfError> {
        if !self.started.insert(id) {
            return Ok(());
        }
        self.enter()?;
        let found = self.sources.get(id)?;
        let name = if found.name_offset == 0 { String::new() } else { format!(" {}", self.tag(id)?) };
        let keyword = keyword(&found);
        if found.is_record() {
            let body = self.body(id, &found, false)?;
            let _ = writeln!(self.text, "{keyword}{name} {body};");
        } else if found.len() > 0 {
            let body = self.enumerators(id, &found);
            let _ = writeln!(self.text, "{keyword}{name} {body};");
        }
        self.leave();
        Ok(())
    }

    /// Write a typedef, unless it is there or somebody else's.
    fn typedef(&mut self, id: Id, found: &Type<'_>) -> Result<(), BtfError> {
        if self.is_foreign(id)? || !self.started.insert(id) {
            return Ok(());
        }
        self.enter()?;
        let name = self.typedef_name(id)?;
        let target = self.sources.refer(id, found.size_or_type);
        let declaration = self.declaration(target, name, Need::Name)?;
        let _ = writeln!(self.text, "typedef {declaration};");
        self.leave();
        Ok(())
    }

    /// Whether the prelude, the program or the compiler defines a typedef.
    fn is_foreign(&self, id: Id) -> Result<bool, BtfError> {
        Ok(self.is_base(id)? || self.is_replaced(id)?)
    }

    pub(super) fn is_base(&self, id: Id) -> Result<bool, BtfError> {
        let name = self.sources.name(id)?;
        Ok(super::BASE.iter().any(|base| base.as_bytes() == name))
    }

    /// Whether what a typedef stands for has to be written in its place, because its name means something else.
    pub(super) fn is_replaced(&self, id: Id) -> Result<bool, BtfError> {
        let name = self.sources.name(id)?;
        let own = str::from_utf8(name).is_ok_and(|name| self.request.own_names.contains(name));
        Ok(own || name.starts_with(b"__builtin_") || name.is_empty())
    }

    pub(super) fn typedef_name(&mut self, id: Id) -> Result<String, BtfError> {
        if let Some(name) = self.renamed.get(&id) {
            return Ok(name.clone());
        }
        let name = clean(self.sources.name(id)?);
        let name = self.fresh(&name);
        self.renamed.insert(id, name.clone());
        Ok(name)
    }

    /// Return a name that nothing else at file scope has: a second one gets `___2` and so on, as flavours in CO-RE do.
    pub(super) fn fresh(&mut self, name: &str) -> String {
        let mut fresh = name.to_owned();
        let mut count = 1;
        while self.request.own_names.contains(fresh.as_str()) || !self.taken.insert(fresh.clone()) {
            count += 1;
            fresh = format!("{name}___{count}");
        }
        fresh
    }

    /// Return the tag under which a type is written.
    fn tag(&mut self, id: Id) -> Result<String, BtfError> {
        if let Some(tag) = self.renamed.get(&id) {
            return Ok(tag.clone());
        }
        let found = self.sources.get(id)?;
        let keyword = keyword(&found);
        let definition = (found.kind() != kind::FWD).then_some(id);
        let tag = clean(self.sources.name(id)?);
        let own = self.request.own_tags.contains(tag.as_str());
        match self.tags.get_mut(&tag) {
            None if !own => {
                self.tags.insert(tag.clone(), Owner { keyword, definition });
                return Ok(tag);
            }
            Some(owner) if owner.keyword == keyword && (owner.definition.is_none() || definition.is_none()) => {
                owner.definition = owner.definition.or(definition);
                return Ok(tag);
            }
            Some(owner) if owner.definition == Some(id) => return Ok(tag),
            _ => {}
        }
        // Tags have a name space of their own; with the appendix, one for all does.
        let mut count = 2;
        let renamed = loop {
            let candidate = format!("{tag}___{count}");
            if self.taken.insert(candidate.clone()) {
                break candidate;
            }
            count += 1;
        };
        self.renamed.insert(id, renamed.clone());
        Ok(renamed)
    }
}

/// C's word for a kind of type that has a tag.
pub(super) fn keyword(found: &Type<'_>) -> &'static str {
    match found.kind() {
        kind::UNION => "union",
        kind::FWD if found.kind_flag() => "union",
        kind::ENUM | kind::ENUM64 => "enum",
        _ => "struct",
    }
}

/// Return a name as C and clang accept it: kernels are not written in C alone.
pub(super) fn clean(name: &[u8]) -> String {
    const KEYWORDS: &[&str] = &[
        "asm", "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum",
        "extern", "float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short",
        "signed", "sizeof", "static", "struct", "switch", "typedef", "typeof", "union", "unsigned", "void", "volatile",
        "while",
    ];
    let part = |byte: &u8| if byte.is_ascii_alphanumeric() || *byte == b'_' { char::from(*byte) } else { '_' };
    let mut cleaned: String = name.iter().map(part).collect();
    if cleaned.starts_with(|first: char| first.is_ascii_digit()) || KEYWORDS.contains(&cleaned.as_str()) {
        cleaned.insert(0, '_');
    }
    cleaned
}

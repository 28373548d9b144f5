//! Declarations: a type around a name, inside out as C wants it.

use super::{
    sources::Id,
    writer::{Need, Writer, clean},
};
use crate::kernel::btf::{BtfError, Type, kind};

impl Writer<'_> {
    /// Return the declaration of `declarator` with a type; have written what it needs.
    pub(super) fn declaration(&mut self, id: Id, declarator: String, need: Need) -> Result<String, BtfError> {
        self.enter()?;
        let declaration = self.wrap(id, declarator, need)?;
        self.leave();
        Ok(declaration)
    }

    fn wrap(&mut self, mut id: Id, mut declarator: String, mut need: Need) -> Result<String, BtfError> {
        let mut qualifiers = String::new();
        loop {
            self.count()?;
            if id.is_void() {
                return Ok(join(&qualifiers, "void", &declarator));
            }
            let found = self.sources.get(id)?;
            match found.kind() {
                kind::CONST => qualify(&mut qualifiers, "const "),
                kind::VOLATILE => qualify(&mut qualifiers, "volatile "),
                kind::TYPEDEF if self.is_base(id)? => {
                    let name = clean(self.sources.name(id)?);
                    return Ok(join(&qualifiers, &name, &declarator));
                }
                kind::TYPEDEF if !self.is_replaced(id)? => {
                    self.require(id, need)?;
                    let name = self.typedef_name(id)?;
                    return Ok(join(&qualifiers, &name, &declarator));
                }
                // The qualifier is of pointers only, and of no use to programs.
                kind::TYPEDEF | kind::RESTRICT | kind::TYPE_TAG => {}
                kind::PTR => {
                    declarator = format!("*{}{declarator}", std::mem::take(&mut qualifiers));
                    need = need.behind_pointer();
                }
                kind::ARRAY => {
                    let (element, count) = found.array();
                    declarator = format!("{}[{count}]", grouped(declarator));
                    need = need.of_elements();
                    id = self.sources.refer(id, element);
                    continue;
                }
                kind::FUNC_PROTO => {
                    qualifiers.clear();
                    declarator = format!("{}({})", grouped(declarator), self.parameters(id, &found)?);
                    need = Need::Name;
                }
                _ => {
                    let base = self.base(id, &found, need)?;
                    return Ok(match base {
                        Base::Name(name) => join(&qualifiers, &name, &declarator),
                        Base::Bytes(size) => {
                            join(&qualifiers, "unsigned char", &format!("{}[{size}]", grouped(declarator)))
                        }
                    });
                }
            }
            id = self.sources.refer(id, found.size_or_type);
        }
    }

    fn parameters(&mut self, of: Id, found: &Type<'_>) -> Result<String, BtfError> {
        let mut parameters = Vec::new();
        let count = found.len();
        for (index, number) in found.parameters().enumerate() {
            let parameter = self.sources.refer(of, number);
            if !parameter.is_void() {
                parameters.push(self.declaration(parameter, String::new(), Need::Name)?);
            } else if index + 1 == count && index > 0 {
                parameters.push("...".into());
            }
        }
        Ok(if count == 0 { "void".into() } else { parameters.join(", ") })
    }

    /// Return the C name of a type that is not made of another.
    fn base(&mut self, id: Id, found: &Type<'_>, need: Need) -> Result<Base, BtfError> {
        Ok(match found.kind() {
            kind::INT => integer(self.sources.name(id)?, found),
            kind::FLOAT => match found.size_or_type {
                4 => Base::Name("float".into()),
                8 => Base::Name("double".into()),
                size => Base::Bytes(size),
            },
            // Declared or not, nothing is known but its size.
            kind::ENUM | kind::ENUM64 if found.len() == 0 => of_size(found.size_or_type, found.kind_flag()),
            kind::STRUCT | kind::UNION | kind::FWD | kind::ENUM | kind::ENUM64 if found.name_offset != 0 => {
                Base::Name(self.tagged(id, found, need)?)
            }
            kind::STRUCT | kind::UNION => {
                Base::Name(format!("{} {}", super::writer::keyword(found), self.body(id, found, false)?))
            }
            kind::ENUM | kind::ENUM64 if self.started.insert(id) => {
                Base::Name(format!("enum {}", self.enumerators(id, found)))
            }
            // Its enumerators exist once.
            kind::ENUM | kind::ENUM64 => of_size(found.size_or_type, found.kind_flag()),
            _ => return Err(id.corrupt()),
        })
    }

    /// Return the alignment that clang gives a type as it is written here.
    pub(super) fn alignment(&mut self, id: Id) -> Result<u32, BtfError> {
        let mut at = id;
        let found = loop {
            self.count()?;
            if at.is_void() {
                return Ok(1);
            }
            let (resolved, found) = self.sources.resolve(at)?;
            if found.kind() != kind::ARRAY {
                at = resolved;
                break found;
            }
            at = self.sources.refer(resolved, found.array().0);
        };
        if let Some(known) = self.alignments.get(&at) {
            return Ok(*known);
        }
        Ok(match found.kind() {
            kind::INT | kind::ENUM | kind::ENUM64 => natural(found.size_or_type),
            kind::FLOAT if matches!(found.size_or_type, 4 | 8) => found.size_or_type,
            kind::PTR => 8,
            _ if found.is_record() => {
                // For a type that contains itself, which only corrupt BTF has.
                self.alignments.insert(at, 1);
                self.enter()?;
                let alignment = self.record_alignment(at, &found)?;
                self.leave();
                self.alignments.insert(at, alignment);
                alignment
            }
            _ => 1,
        })
    }
}

/// What stands for a type in C: a name, or bytes where C has no such type.
enum Base {
    Name(String),
    Bytes(u32),
}

fn natural(size: u32) -> u32 {
    if matches!(size, 1 | 2 | 4 | 8 | 16) { size } else { 1 }
}

fn integer(name: &[u8], found: &Type<'_>) -> Base {
    let size = found.size_or_type;
    let usual = match name {
        b"char" | b"signed char" | b"unsigned char" | b"_Bool" => 1,
        b"short int" | b"short unsigned int" | b"short" | b"unsigned short" => 2,
        b"int" | b"unsigned int" => 4,
        b"long int"
        | b"long unsigned int"
        | b"long"
        | b"unsigned long"
        | b"long long int"
        | b"long long unsigned int"
        | b"long long"
        | b"unsigned long long" => 8,
        _ => 0,
    };
    if size == usual && found.is_bool() == (name == b"_Bool") {
        return Base::Name(String::from_utf8_lossy(name).into_owned());
    }
    if found.is_bool() && size == 1 { Base::Name("_Bool".into()) } else { of_size(size, found.is_signed()) }
}

fn of_size(size: u32, signed: bool) -> Base {
    let name = match size {
        1 => "char",
        2 => "short",
        4 => "int",
        8 => "long long",
        16 => "__int128",
        _ => return Base::Bytes(size),
    };
    Base::Name(format!("{} {name}", if signed { "signed" } else { "unsigned" }))
}

fn qualify(qualifiers: &mut String, qualifier: &str) {
    if !qualifiers.contains(qualifier) {
        qualifiers.push_str(qualifier);
    }
}

/// Pointers bind less than brackets behind the name.
fn grouped(declarator: String) -> String {
    if declarator.starts_with('*') { format!("({declarator})") } else { declarator }
}

fn join(qualifiers: &str, name: &str, declarator: &str) -> String {
    let space = if declarator.is_empty() { "" } else { " " };
    format!("{qualifiers}{name}{space}{declarator}")
}

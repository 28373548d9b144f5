//! `struct tracepoint__CATEGORY__NAME`: what a tracepoint's programs get, made from its `format` file.

use std::{fmt::Write, fs, io, path::PathBuf};

use super::scan::Tracepoint;
use crate::{
    kernel::{
        format::{Field, Format, Kind},
        tracefs::Tracefs,
    },
    nearest,
};

/// Return the name of the struct.
pub(crate) fn name_of((category, event): Tracepoint<'_>) -> String {
    format!("tracepoint__{category}__{event}")
}

/// Why a tracepoint has no struct.
pub(crate) enum Missing {
    /// This kernel has no such tracepoint.
    Unknown,
    /// Its format cannot be read.
    Unreadable(String),
}

/// Read the format of a tracepoint of the running kernel.
pub(crate) fn read((category, event): Tracepoint<'_>) -> Result<Format, Missing> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Missing::Unknown,
        _ => Missing::Unreadable(error.to_string()),
    };
    let tracefs = Tracefs::open().map_err(|error| Missing::Unreadable(error.to_string()))?;
    let path = tracefs.root().join("events").join(category).join(event).join("format");
    let text = fs::read_to_string(path).map_err(unreadable)?;
    Format::parse(&text).map_err(|error| Missing::Unreadable(error.to_string()))
}

/// Return the tracepoint whose name is most like that of one that there is not.
pub(crate) fn nearest(wanted: Tracepoint<'_>) -> Option<String> {
    let tracefs = Tracefs::open().ok()?;
    let names = |folder: PathBuf| -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    };
    let events = tracefs.root().join("events");
    let categories = names(events.clone());
    let category = this_or_nearest(wanted.0, &categories)?;
    let names = names(events.join(category));
    Some(format!("{category}:{}", this_or_nearest(wanted.1, &names)?))
}

fn this_or_nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let known = || known.iter().map(String::as_str);
    known().find(|known| *known == name).or_else(|| nearest::nearest(name, known()))
}

/// A field as a member of the struct.
#[derive(Debug, PartialEq)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// In bytes.
    pub(crate) offset: usize,
    pub(crate) shape: Shape,
    /// More than one for arrays.
    pub(crate) count: Option<usize>,
}

/// What a member, or each of its elements, is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Integer {
        size: usize,
        signed: bool,
    },
    Bool,
    Char,
    /// To a type of C.
    Pointer(String),
}

impl Shape {
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Integer { size, .. } => *size,
            Self::Bool | Self::Char => 1,
            Self::Pointer(_) => 8,
        }
    }

    fn c_type(&self) -> String {
        match self {
            Self::Integer { size, signed } => format!("{}{} ", if *signed { 's' } else { 'u' }, size * 8),
            Self::Bool => "bool ".to_owned(),
            Self::Char => "char ".to_owned(),
            Self::Pointer(c_type) => c_type.clone(),
        }
    }
}

/// Return the members, each where the format says it is.
///
/// The first 8 bytes are the kernel's own, programs may not read them. What cannot be a member (names that C has for
/// itself, fields that overlap others) is left out.
pub(crate) fn members(format: &Format) -> Vec<Member> {
    let mut at = 8;
    let mut members = Vec::new();
    for field in format.fields.iter().filter(|field| !field.common) {
        let Some(member) = member(field) else { continue };
        if field.offset < at || !field.offset.is_multiple_of(member.shape.size()) {
            continue;
        }
        at = field.offset + field.size;
        members.push(member);
    }
    members
}

/// Return the struct as C.
pub(crate) fn emit(tracepoint: Tracepoint<'_>, format: &Format) -> String {
    let mut text = format!("struct {} {{\n\tu64 __do_not_use__;\n", name_of(tracepoint));
    let mut at = 8;
    for Member { name, offset, shape, count } in members(format) {
        if offset > at {
            let _ = writeln!(text, "\tchar __rtrace_gap_{at}[{}];", offset - at);
        }
        let _ = match count {
            Some(count) => writeln!(text, "\t{}{name}[{count}];", shape.c_type()),
            None => writeln!(text, "\t{}{name};", shape.c_type()),
        };
        at = offset + shape.size() * count.unwrap_or(1);
    }
    text.push_str("} __attribute__((preserve_access_index));\n");
    text
}

fn member(field: &Field) -> Option<Member> {
    let name = &field.kernel_name;
    if !is_identifier(name) || field.size == 0 {
        return None;
    }
    let integer = |size: usize| matches!(size, 1 | 2 | 4 | 8).then_some(Shape::Integer { size, signed: field.signed });
    let (shape, count) = match field.kind {
        Kind::Integer | Kind::Enum => (integer(field.size)?, None),
        Kind::Bool => (Shape::Bool, None),
        Kind::Pointer if field.size == 8 => (Shape::Pointer(pointer(&field.c_type)), None),
        Kind::Array { element_size, count } => (integer(element_size)?, Some(count)),
        Kind::Dynamic { relative, count: 1, .. } => {
            let name = format!("{}_loc_{name}", if relative { "rel" } else { "data" });
            let shape = Shape::Integer { size: 4, signed: false };
            return Some(Member { name, offset: field.offset, shape, count: None });
        }
        Kind::Text | Kind::Pointer | Kind::Dynamic { .. } | Kind::Opaque => (Shape::Char, Some(field.size)),
    };
    Some(Member { name: name.clone(), offset: field.offset, shape, count })
}

/// Return the type of a pointer as the format has it, if it is sure to be C without the kernel's typedefs.
fn pointer(c_type: &str) -> String {
    const WORDS: [&str; 9] = ["const", "char", "void", "unsigned", "signed", "int", "long", "short", "struct"];
    let mut after_struct = false;
    let known = c_type.replace('*', " * ").split_whitespace().all(|word| {
        let known = word == "*" || WORDS.contains(&word) || (after_struct && is_identifier(word));
        after_struct = word == "struct";
        known
    });
    if known && c_type.contains('*') { format!("{c_type} ") } else { "void *".to_owned() }
}

/// Whether C takes it as the name of a member.
fn is_identifier(name: &str) -> bool {
    const KEYWORDS: [&str; 34] = [
        "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern",
        "float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed",
        "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while",
    ];
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !KEYWORDS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::emit;
    use crate::kernel::format::Format;

    #[test]
    fn members_lie_where_the_format_says() {
        let text = include_str!("../../../tests/data/formats/block_rq_issue.format");
        let format = Format::parse(text).unwrap();
        let emitted = emit(("block", "block_rq_issue"), &format);
        assert_eq!(
            emitted,
            "struct tracepoint__block__block_rq_issue {\n\tu64 __do_not_use__;\n\tu32 dev;\n\tchar __rtrace_gap_12[4];\n\
             \tu64 sector;\n\tu32 nr_sector;\n\tu32 bytes;\n\tchar rwbs[8];\n\tchar comm[16];\n\
             \tu32 data_loc_cmd;\n} __attribute__((preserve_access_index));\n"
        );
    }

    #[test]
    fn what_cannot_be_a_member_is_left_out() {
        let text = "name: x\nID: 1\nformat:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n\
                    \tfield:int int;\toffset:8;\tsize:4;\tsigned:1;\n\tfield:const struct foo * p;\toffset:16;\tsize:8;\tsigned:0;\n\
                    \tfield:foo_t * q;\toffset:24;\tsize:8;\tsigned:0;\n\nprint fmt: \"\"\n";
        let emitted = emit(("a", "x"), &Format::parse(text).unwrap());
        assert!(emitted.contains("const struct foo * p;"), "{emitted}");
        assert!(emitted.contains("void *q;"), "{emitted}");
        assert!(!emitted.contains("int int"), "{emitted}");
    }
}

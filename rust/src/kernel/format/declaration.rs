//! A field's declaration, `unsigned long args[6]`, and what it says about the bytes.
//!
//! Kernels write the length of an array behind the name, inside the type (`char[16] name`, kprobe events) or as a
//! constant's name (`char comm[TASK_COMM_LEN]`, 5.17), and a dynamic array as `__data_loc TYPE[] name`,
//! `__data_loc TYPE name` or `__rel_loc TYPE name[]`.

use std::collections::HashMap;

use super::{Kind, expression, token::Tokens};

/// A declaration in its parts.
#[derive(Debug, PartialEq)]
pub(super) struct Declaration<'a> {
    pub(super) name: &'a str,
    /// As written, without the name.
    pub(super) c_type: String,
    /// Of the element, for arrays: without qualifiers, brackets and what marks dynamic arrays.
    base: String,
    pointer: bool,
    /// Between each pair of brackets.
    lengths: Vec<&'a str>,
    location: Option<bool>,
}

/// Where the file says the field lies.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub(super) size: usize,
    /// Old kernels (before 2.6.32) don't tell.
    pub(super) signed: Option<bool>,
}

impl<'a> Declaration<'a> {
    /// Take a declaration apart; `None` if it has no type or no name.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        // `int x[4]` and, from kprobe events, `__data_loc char[][4] x`: brackets behind the name, if any, come last.
        let mut before = text;
        while before.ends_with(']') {
            before = before[..before.rfind('[')?].trim_end();
        }
        let start = before.rfind(|letter: char| !is_name(letter)).map_or(0, |at| at + last_len(before, at));
        let (kind, name) = before.split_at(start);
        let behind = &text[before.len()..];
        if kind.trim().is_empty() || !name.starts_with(|letter: char| letter == '_' || letter.is_ascii_alphabetic()) {
            return None;
        }
        let lengths = brackets(kind).chain(brackets(behind)).collect();
        let words = without_brackets(kind);
        let location = ["__data_loc", "__rel_loc"].iter().position(|mark| words.starts_with(mark));
        let base: Vec<_> = words
            .split(|letter: char| letter.is_whitespace() || letter == '*')
            .filter(|word| !matches!(*word, "" | "const" | "volatile" | "__data_loc" | "__rel_loc"))
            .collect();
        Some(Self {
            name,
            c_type: format!("{}{behind}", kind.trim()),
            base: base.join(" "),
            pointer: words.contains('*'),
            lengths,
            location: location.map(|mark| mark == 1),
        })
    }

    /// Say what the bytes are. Sizes are the file's; the type's name decides only where the file leaves it open.
    pub(super) fn kind(&self, extent: Extent) -> Kind {
        let size = extent.size;
        let text = self.base == "char" && !self.pointer;
        if let Some(relative) = self.location {
            // The element of `__data_loc cpumask_t x` is a whole mask; its words are the kernel's unsigned long.
            let element_size = if self.base == "cpumask_t" { Some(8) } else { self.element_size() };
            return match size {
                0 => Kind::Opaque,
                _ if size.is_multiple_of(4) => {
                    Kind::Dynamic { relative, text, element_size: element_size.unwrap_or(0), count: size / 4 }
                }
                _ => Kind::Opaque,
            };
        }
        if !self.lengths.is_empty() {
            return match self.array_element(size) {
                _ if text => Kind::Text,
                Some(element_size) => Kind::Array { element_size, count: size / element_size },
                None => Kind::Opaque,
            };
        }
        let record = ["struct ", "union "].iter().any(|word| self.base.starts_with(word));
        match size {
            4 | 8 if self.pointer => Kind::Pointer,
            _ if self.pointer || record || matches!(self.base.as_str(), "float" | "double") => Kind::Opaque,
            1 if matches!(self.base.as_str(), "bool" | "_Bool") => Kind::Bool,
            1 | 2 | 4 | 8 if self.base.starts_with("enum ") => Kind::Enum,
            1 | 2 | 4 | 8 => Kind::Integer,
            _ => Kind::Opaque,
        }
    }

    /// Whether the numbers are signed: as the file says, or as the type's name does where the file is silent.
    pub(super) fn signed(&self, extent: Extent) -> bool {
        let unsigned = || self.base.starts_with(['u', '_']) || self.base.starts_with("dev_t");
        !self.pointer && extent.signed.unwrap_or_else(|| !unsigned())
    }

    /// Return the size of an array's elements, if they are numbers: what its length makes it, else what its type's
    /// name does.
    fn array_element(&self, size: usize) -> Option<usize> {
        if ["struct ", "union "].iter().any(|word| self.base.starts_with(word)) && !self.pointer {
            return None;
        }
        // Where a length is an enumerator, the type's name decides: a layout must not hang on BTF.
        let none = HashMap::new();
        let numbers = self.lengths.iter().map(|length| {
            let tokens = Tokens::new(length, &none);
            usize::try_from(expression::constant(&tokens, 0..tokens.len())?).ok()
        });
        let count = numbers
            .collect::<Option<Vec<_>>>()
            .and_then(|numbers| numbers.into_iter().try_fold(1_usize, usize::checked_mul).filter(|count| *count > 0));
        let by_length = count.filter(|count| size.is_multiple_of(*count)).map(|count| size / count);
        by_length
            .filter(|element| is_number(*element))
            .or_else(|| self.element_size().filter(|element| is_number(*element) && size.is_multiple_of(*element)))
    }

    /// Return the size that the type's name stands for, on a 64-bit kernel.
    fn element_size(&self) -> Option<usize> {
        if self.pointer {
            return Some(8);
        }
        Some(match self.base.as_str() {
            "char" | "signed char" | "unsigned char" | "u8" | "s8" | "__u8" | "__s8" | "uint8_t" | "int8_t"
            | "bool" => 1,
            "short" | "unsigned short" | "u16" | "s16" | "__u16" | "__s16" | "uint16_t" | "int16_t" | "__le16"
            | "__be16" => 2,
            "int" | "unsigned" | "unsigned int" | "u32" | "s32" | "__u32" | "__s32" | "uint32_t" | "int32_t"
            | "__le32" | "__be32" | "dev_t" | "pid_t" | "gfp_t" => 4,
            "long" | "unsigned long" | "long long" | "unsigned long long" | "u64" | "s64" | "__u64" | "__s64"
            | "uint64_t" | "int64_t" | "size_t" | "ssize_t" | "loff_t" | "sector_t" | "dma_addr_t" | "__le64"
            | "__be64" => 8,
            kind if kind.starts_with("enum ") => 4,
            _ => return None,
        })
    }
}

fn is_name(letter: char) -> bool {
    letter == '_' || letter.is_ascii_alphanumeric()
}

fn is_number(size: usize) -> bool {
    matches!(size, 1 | 2 | 4 | 8)
}

/// How many bytes the letter at `at` takes.
fn last_len(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(1, char::len_utf8)
}

/// What stands between each pair of brackets.
fn brackets(text: &str) -> impl Iterator<Item = &str> {
    text.split('[').skip(1).map(|part| part.split(']').next().unwrap_or(part).trim())
}

fn without_brackets(text: &str) -> String {
    let mut parts = text.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |words, part| words + part.split_once(']').map_or("", |(_, rest)| rest)).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Declaration, Extent, Kind};

    fn kind(text: &str, size: usize) -> (String, Kind) {
        let declaration = Declaration::parse(text).unwrap_or_else(|| panic!("{text}"));
        (declaration.name.to_owned(), declaration.kind(Extent { size, signed: Some(false) }))
    }

    #[test]
    fn every_way_to_declare() {
        let array = |element_size, count| Kind::Array { element_size, count };
        let dynamic = |relative, text, element_size| Kind::Dynamic { relative, text, element_size, count: 1 };
        for (text, size, name, expected) in [
            ("char comm[16]", 16, "comm", Kind::Text),
            ("char comm[TASK_COMM_LEN]", 16, "comm", Kind::Text),
            ("char[16] comm", 16, "comm", Kind::Text),
            ("const char buf[]", 0, "buf", Kind::Text),
            ("u32 buf[]", 0, "buf", array(4, 0)),
            ("unsigned long args[6]", 48, "args", array(8, 6)),
            // What a 32-bit kernel writes.
            ("unsigned long args[6]", 24, "args", array(4, 6)),
            ("u8 a[UNKNOWN_CONST]", 6, "a", array(1, 6)),
            ("unsigned char mac[6]", 6, "mac", array(1, 6)),
            ("u16[ETH_ALEN] a", 12, "a", array(2, 6)),
            ("xfs_agblock_t a[2 * 2]", 16, "a", array(4, 4)),
            ("u8 a[2][3]", 6, "a", array(1, 6)),
            ("void * a[4]", 32, "a", array(8, 4)),
            ("enum x a[N]", 8, "a", array(4, 2)),
            ("struct x a[2]", 16, "a", Kind::Opaque),
            ("uuid_t a[2]", 32, "a", Kind::Opaque),
            ("what_t a[N]", 32, "a", Kind::Opaque),
            ("__data_loc char[] name", 4, "name", dynamic(false, true, 1)),
            ("__rel_loc char name[]", 4, "name", dynamic(true, true, 1)),
            ("__data_loc unsigned long[] mask", 4, "mask", dynamic(false, false, 8)),
            ("__data_loc cpumask_t mask", 4, "mask", dynamic(false, false, 8)),
            ("__data_loc struct x[] list", 4, "list", dynamic(false, false, 0)),
            (
                "__data_loc char[][3] a",
                12,
                "a",
                Kind::Dynamic { relative: false, text: true, element_size: 1, count: 3 },
            ),
            ("__data_loc char[] name", 3, "name", Kind::Opaque),
            ("bool b", 1, "b", Kind::Bool),
            ("bool b", 4, "b", Kind::Integer),
            ("const enum x e", 8, "e", Kind::Enum),
            ("struct foo f", 8, "f", Kind::Opaque),
            ("struct { int a; int b; } f", 8, "f", Kind::Opaque),
            ("const char *s", 8, "s", Kind::Pointer),
            ("const void* s", 4, "s", Kind::Pointer),
            ("void (*)(int) f", 8, "f", Kind::Pointer),
            ("const struct a *const b", 8, "b", Kind::Pointer),
            ("void __seg_gs * p", 8, "p", Kind::Pointer),
            ("int fd", 8, "fd", Kind::Integer),
            ("uuid_t u", 16, "u", Kind::Opaque),
            ("double d", 8, "d", Kind::Opaque),
            ("int nothing", 0, "nothing", Kind::Opaque),
        ] {
            assert_eq!(kind(text, size), (name.to_owned(), expected), "{text}");
        }
        for text in ["", "int", "int ", "int [3]", "é", "[", "]", "x]", "int 3", "int é"] {
            assert_eq!(Declaration::parse(text), None, "{text}");
        }
    }

    #[test]
    fn signs_come_from_the_file_or_else_from_the_type() {
        let signed = |text, signed| Declaration::parse(text).unwrap().signed(Extent { size: 8, signed });
        assert!(signed("int a", None) && signed("unsigned int a", Some(true)));
        assert!(!signed("u32 a", None) && !signed("__u64 a", None) && !signed("long a", Some(false)));
        assert!(!signed("void * a", Some(true)));
    }
}

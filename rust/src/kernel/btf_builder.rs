//! BTF made by hand, for tests.

use std::sync::Arc;

use super::btf::{Btf, kind};
use crate::sys::file::Contents;

/// Types and strings that are added one by one; each type gets the next number.
pub(crate) struct Builder {
    types: Vec<u32>,
    strings: Vec<u8>,
    first_id: u32,
    first_string: u32,
    next_id: u32,
}

/// Name, type, offset in bits and width of a bit field.
pub(crate) type Field<'a> = (&'a str, u32, u32, u32);

impl Builder {
    pub(crate) fn new() -> Self {
        Self { types: Vec::new(), strings: vec![0], first_id: 1, first_string: 0, next_id: 1 }
    }

    /// The BTF of a module, which goes on where the kernel's ends.
    pub(crate) fn on(kernel: &Self) -> Self {
        let first_string = u32::try_from(kernel.strings.len()).unwrap();
        let (first_id, next_id) = (kernel.next_id, kernel.next_id);
        Self { types: Vec::new(), strings: vec![0], first_id, first_string, next_id }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let offset = u32::try_from(self.strings.len()).unwrap() + self.first_string;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        offset
    }

    fn push(&mut self, kind: u8, flag: bool, name: &str, size_or_type: u32, length: usize, rest: &[u32]) -> u32 {
        let name = self.string(name);
        let info = (u32::from(flag) << 31) | (u32::from(kind) << 24) | u32::try_from(length).unwrap();
        self.types.extend([name, info, size_or_type]);
        self.types.extend(rest);
        self.next_id += 1;
        self.next_id - 1
    }

    pub(crate) fn int(&mut self, name: &str, size: u32) -> u32 {
        let encoding = u32::from(!name.contains("unsigned"));
        self.push(kind::INT, false, name, size, 0, &[(encoding << 24) | (size * 8)])
    }

    /// A pointer, qualifier or function declaration without a name, a typedef with one.
    pub(crate) fn refer(&mut self, kind: u8, name: &str, target: u32) -> u32 {
        self.push(kind, false, name, target, 0, &[])
    }

    pub(crate) fn pointer(&mut self, target: u32) -> u32 {
        self.refer(kind::PTR, "", target)
    }

    pub(crate) fn typedef(&mut self, name: &str, target: u32) -> u32 {
        self.refer(kind::TYPEDEF, name, target)
    }

    pub(crate) fn forward(&mut self, name: &str, is_union: bool) -> u32 {
        self.push(kind::FWD, is_union, name, 0, 0, &[])
    }

    pub(crate) fn array(&mut self, element: u32, count: u32) -> u32 {
        self.push(kind::ARRAY, false, "", 0, 0, &[element, 0, count])
    }

    pub(crate) fn function(&mut self, returned: u32, parameters: &[u32]) -> u32 {
        let rest: Vec<_> = parameters.iter().flat_map(|parameter| [0, *parameter]).collect();
        self.push(kind::FUNC_PROTO, false, "", returned, parameters.len(), &rest)
    }

    pub(crate) fn record(&mut self, kind: u8, name: &str, size: u32, fields: &[Field<'_>]) -> u32 {
        let rest: Vec<_> = fields
            .iter()
            .flat_map(|(name, type_id, offset, bits)| [self.string(name), *type_id, (bits << 24) | offset])
            .collect();
        self.push(kind, true, name, size, fields.len(), &rest)
    }

    pub(crate) fn structure(&mut self, name: &str, size: u32, fields: &[Field<'_>]) -> u32 {
        self.record(kind::STRUCT, name, size, fields)
    }

    pub(crate) fn enumeration(&mut self, name: &str, size: u32, signed: bool, values: &[(&str, i64)]) -> u32 {
        let wide = size == 8;
        let mut rest = Vec::new();
        for (name, value) in values {
            let words = [*value, value >> 32].map(|word| u32::try_from(word & 0xffff_ffff).unwrap());
            rest.push(self.string(name));
            rest.extend(&words[..=usize::from(wide)]);
        }
        self.push(if wide { kind::ENUM64 } else { kind::ENUM }, signed, name, size, values.len(), &rest)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len() * 4, self.strings.len());
        let lengths = [24, 0, types, types, strings].map(|length| u32::try_from(length).unwrap());
        let words = [0x0001_eb9f].into_iter().chain(lengths).chain(self.types.iter().copied());
        words.flat_map(u32::to_ne_bytes).chain(self.strings.iter().copied()).collect()
    }

    pub(crate) fn build(&self) -> Arc<Btf> {
        assert_eq!(self.first_id, 1);
        Arc::new(Btf::parse(Contents::Read(self.bytes()), None).unwrap())
    }

    pub(crate) fn build_on(&self, kernel: &Arc<Btf>) -> Btf {
        Btf::parse(Contents::Read(self.bytes()), Some(Arc::clone(kernel))).unwrap()
    }
}

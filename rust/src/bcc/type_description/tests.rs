use super::{Description, Part};
use crate::{
    kernel::{
        btf::{Btf, BtfError, kind},
        btf_builder::Builder,
    },
    sys::file::Contents,
};

fn int(name: &str, size: u32) -> Description {
    Description::Int { name: name.into(), size, signed: !name.contains("unsigned"), is_bool: false }
}

#[test]
fn enumerations_of_64_bits_and_both_signs() {
    let mut btf = Builder::new();
    let wide = btf.enumeration("wide", 8, true, &[("LEAST", i64::MIN), ("MOST", i64::MAX)]);
    let flags = btf.enumeration("flags", 8, false, &[("TOP", i64::MIN)]);
    let narrow = btf.enumeration("narrow", 4, false, &[("HIGH", 0xffff_ffff)]);
    let alias = btf.typedef("alias", 5);
    btf.enumeration("", 4, true, &[("MINUS", -1)]);
    let btf = btf.build();
    let described = |id, name: &str, size, signed, values: &[(&str, i128)]| {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        assert_eq!(Description::of(&btf, id).unwrap(), Description::Enum { name: name.into(), size, signed, values });
    };
    described(wide, "wide", 8, true, &[("LEAST", i64::MIN.into()), ("MOST", i64::MAX.into())]);
    described(flags, "flags", 8, false, &[("TOP", 1 << 63)]);
    described(narrow, "narrow", 4, false, &[("HIGH", 0xffff_ffff)]);
    described(alias, "alias", 4, true, &[("MINUS", -1)]);
}

#[test]
fn enumerations_of_compilers_that_do_not_tell_signs() {
    let mut btf = Builder::new();
    let id = btf.enumeration("old", 4, false, &[("MINUS", 0xffff_ffff), ("ONE", 1)]);
    let values = vec![("MINUS".into(), -1), ("ONE".into(), 1)];
    let expected = Description::Enum { name: "old".into(), size: 4, signed: true, values };
    assert_eq!(Description::of(&btf.build(), id).unwrap(), expected);
}

#[test]
fn names_come_from_tags_or_typedefs() {
    let mut btf = Builder::new();
    let number = btf.int("unsigned int", 4);
    let nameless = btf.structure("", 4, &[("x", number, 0, 0)]);
    let inner = btf.typedef("inner_t", nameless);
    let constant = btf.refer(kind::CONST, "", inner);
    let outer = btf.typedef("outer_t", constant);
    let pointer = btf.pointer(outer);
    let pointer = btf.typedef("pointer_t", pointer);
    let btf = btf.build();
    let member = Part { name: "x".into(), offset: 0, bits: 0, description: int("unsigned int", 4) };
    let expected = Description::Record { name: "inner_t".into(), size: 4, is_union: false, members: vec![member] };
    assert_eq!(Description::of(&btf, outer).unwrap(), expected);
    assert_eq!(Description::of(&btf, pointer).unwrap(), Description::Pointer { name: "inner_t".into() });
}

#[test]
fn types_that_contain_themselves_are_refused() {
    let mut btf = Builder::new();
    btf.structure("s", 8, &[("s", 1, 0, 0)]);
    btf.array(2, 2);
    btf.typedef("t", 3);
    // Two of the next in each, 40 times.
    for number in 4..44 {
        btf.structure("", 1, &[("x", number + 1, 0, 0), ("y", number + 1, 8, 0)]);
    }
    btf.int("int", 1);
    let btf = btf.build();
    for id in [1, 2, 3, 4] {
        assert!(Description::of(&btf, id).is_err());
    }
    for id in [0, 100] {
        assert!(matches!(Description::of(&btf, id), Err(BtfError::NoType(_))));
    }
}

#[test]
fn corrupt_btf_never_panics() {
    let mut btf = Builder::new();
    let long = btf.int("long int", 8);
    let pointer = btf.pointer(long);
    let array = btf.array(pointer, 3);
    let wide = btf.enumeration("wide", 8, true, &[("FAR", -1)]);
    let alias = btf.typedef("alias", wide);
    let union = btf.record(kind::UNION, "both", 24, &[("array", array, 0, 0), ("wide", alias, 0, 0)]);
    let whole = btf.structure("whole", 32, &[("bits", long, 3, 7), ("both", union, 64, 0)]);
    let bytes = btf.bytes();
    let strings = 24 + u32::from_ne_bytes(bytes[16..20].try_into().unwrap()) as usize;
    // Every byte of the types, with every value.
    for (at, value) in (24..bytes.len()).flat_map(|at| (0..=255).map(move |value| (at, value))) {
        let mut corrupt = bytes.clone();
        corrupt[at] = value;
        let Ok(parsed) = Btf::parse(Contents::Read(corrupt), None) else { continue };
        let described = Description::of(&parsed, whole);
        assert!(described.is_ok() || at < strings, "names are only names");
    }
}

use super::{Field, Layout};
use crate::{
    kernel::{
        btf::{Btf, BtfError, kind},
        btf_builder::Builder,
    },
    sys::file::Contents,
};

fn number(letter: char, size: usize) -> Layout {
    Layout::Number(letter, size)
}

fn field(name: &str, offset: usize, layout: Layout) -> Field {
    Field { name: name.into(), offset, layout }
}

fn bits(skip: usize, width: usize, number: Layout) -> Layout {
    Layout::Bits { skip, width, number: Box::new(number) }
}

#[test]
fn members_of_anonymous_ones_are_the_records_own() {
    let mut btf = Builder::new();
    let word = btf.int("unsigned int", 4);
    let byte = btf.int("unsigned char", 1);
    let raw = btf.array(byte, 4);
    let halves = btf.structure("", 4, &[("low", word, 0, 16), ("high", word, 16, 16)]);
    let either = btf.record(kind::UNION, "", 4, &[("v4", word, 0, 0), ("raw", raw, 0, 0), ("", halves, 0, 0)]);
    let alias = btf.typedef("alias", either);
    let whole = btf.structure("ip_t", 12, &[("pid", word, 0, 0), ("", alias, 32, 0), ("u", either, 64, 0)]);
    let inner = |at| {
        vec![
            field("v4", at, number('u', 4)),
            field("raw", at, Layout::Array(Box::new(number('u', 1)), 4)),
            field("low", at, bits(0, 16, number('u', 4))),
            field("high", at + 2, bits(0, 16, number('u', 4))),
        ]
    };
    let mut fields = vec![field("pid", 0, number('u', 4))];
    fields.extend(inner(4));
    fields.push(field("u", 8, Layout::Record(inner(0), 4)));
    assert_eq!(Layout::of_type(&btf.build(), whole).unwrap(), Layout::Record(fields, 12));
}

#[test]
fn numbers_have_the_signs_of_descriptions() {
    let mut btf = Builder::new();
    let types = [
        (btf.int("__int128", 16), Layout::Wide(true)),
        (btf.int("unsigned __int128", 16), Layout::Wide(false)),
        (btf.enumeration("plain", 4, false, &[("A", 1)]), number('u', 4)),
        (btf.enumeration("minus", 4, true, &[("B", -1)]), number('i', 4)),
        (btf.enumeration("wide", 8, true, &[("C", -1)]), number('i', 8)),
    ];
    let btf = btf.build();
    for (id, layout) in types {
        assert_eq!(Layout::of_type(&btf, id).unwrap(), layout);
    }
}

#[test]
fn bit_fields_have_columns_behind_the_bytes_of_c() {
    let inner = Layout::Record(vec![field("a", 0, bits(4, 3, number('i', 1))), field("b", 1, number('u', 1))], 2);
    let fields = vec![
        field("wide", 0, bits(1, 128, Layout::Wide(true))),
        field("pid", 20, number('u', 4)),
        field("two", 24, Layout::Array(Box::new(inner.clone()), 2)),
        field("flag", 28, bits(7, 1, number('b', 1))),
        field("rest", 32, Layout::Array(Box::new(inner), 0)),
    ];
    let layout = Layout::Record(fields, 32);
    let row = layout.unpacked();
    let Layout::Record(columns, size) = &row else { panic!() };
    assert_eq!(columns.iter().map(|column| column.offset).collect::<Vec<_>>(), [32, 20, 48, 64, 32]);
    assert_eq!(*size, 72);
    let mut bytes = [0; 32];
    bytes[0] = 0b10;
    bytes[16] = 1;
    bytes[20..24].copy_from_slice(&[7, 0, 0, 0]);
    bytes[24..29].copy_from_slice(&[0b0110_0000, 5, 0b0101_0000, 6, 0x80]);
    let mut unpacked = vec![0; *size];
    layout.unpack(&row, &bytes, &mut unpacked);
    assert_eq!(unpacked[..32], bytes);
    assert_eq!(i128::from_le_bytes(unpacked[32..48].try_into().unwrap()), i128::MIN + 1);
    // Of each of the two its own bytes, and the column.
    let two: Vec<_> = [48, 56].map(|at| (unpacked[at + 1], unpacked[at + 2].cast_signed())).to_vec();
    assert_eq!(two, [(5, -2), (6, -3)]);
    assert_eq!(unpacked[64], 1);
    assert_eq!(layout.pack(&row, &unpacked).unwrap(), bytes);
    // What is not a field does not count; what is does.
    unpacked[0] = 0xff;
    unpacked[50] = 3;
    bytes[0] |= 1;
    bytes[24] = 0b0011_0000;
    assert_eq!(layout.pack(&row, &unpacked).unwrap(), bytes);
    unpacked[50] = 4;
    assert_eq!(layout.pack(&row, &unpacked), None, "-4 to 3 fit");
}

#[test]
fn members_that_share_bytes_must_agree() {
    let layout = Layout::Record(vec![field("all", 0, number('u', 1)), field("low", 0, bits(0, 4, number('u', 1)))], 1);
    let row = layout.unpacked();
    assert_eq!(layout.pack(&row, &[0x21, 1, 0, 0, 0, 0, 0, 0]).unwrap(), [0x21]);
    assert_eq!(layout.pack(&row, &[0x21, 2, 0, 0, 0, 0, 0, 0]), None);
}

#[test]
fn corrupt_types_are_refused() {
    let mut btf = Builder::new();
    let long = btf.int("long", 8);
    let refused = [
        btf.structure("beyond", 8, &[("x", long, 8, 0)]),
        btf.structure("too_wide", 16, &[("x", long, 0, 65)]),
        btf.structure("between", 16, &[("x", long, 3, 0)]),
    ];
    let itself = btf.structure("itself", 8, &[("", 5, 0, 0)]);
    // Ten of the next in each.
    let fields = |next| ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].map(|name| (name, next, 0, 0));
    for id in 6..20 {
        btf.structure("", 8, &fields(id + 1));
    }
    btf.int("long", 8);
    let btf = btf.build();
    for id in refused {
        assert!(matches!(Layout::of_type(&btf, id), Err(BtfError::Outside)));
    }
    for id in [itself, 6] {
        assert!(matches!(Layout::of_type(&btf, id), Err(BtfError::Endless)));
    }
}

#[test]
fn corrupt_btf_never_panics() {
    let mut btf = Builder::new();
    let long = btf.int("long int", 8);
    let array = btf.array(long, 3);
    let wide = btf.int("__int128", 16);
    let both = btf.record(kind::UNION, "", 24, &[("array", array, 0, 0), ("some", wide, 3, 100)]);
    let whole = btf.structure("whole", 32, &[("bits", long, 3, 7), ("", both, 64, 0)]);
    let bytes = btf.bytes();
    for (at, value) in (24..bytes.len()).flat_map(|at| (0..=255).map(move |value| (at, value))) {
        let mut corrupt = bytes.clone();
        corrupt[at] = value;
        let Ok(parsed) = Btf::parse(Contents::Read(corrupt), None) else { continue };
        let Ok(layout) = Layout::of_type(&parsed, whole) else { continue };
        // As large as a map's key may be.
        if layout.size() < 1 << 16 {
            let row = layout.unpacked();
            let mut unpacked = vec![0; row.size()];
            layout.unpack(&row, &vec![0xff; layout.size()], &mut unpacked);
            layout.pack(&row, &unpacked);
        }
    }
}

use super::{Comparison, Filter, FilterError, Header, MAX_DEPTH, Place, Test};
use crate::kernel::format::Format;

fn format() -> Format {
    let fields = [
        ("unsigned short common_type", 0, 2, 0),
        ("int common_pid", 4, 4, 1),
        ("dev_t dev", 8, 4, 0),
        ("int ret", 12, 4, 1),
        ("char rwbs[8]", 16, 8, 0),
        ("__data_loc char[] name", 24, 4, 0),
        ("u8 mac[6]", 28, 6, 0),
        ("char path[32]", 40, 32, 0),
    ];
    let lines = fields.map(|(declared, offset, size, signed)| {
        format!("field:{declared};\toffset:{offset};\tsize:{size};\tsigned:{signed};\n")
    });
    Format::parse(&format!("name: x\nID: 1\nformat:\n{}print fmt: \n", lines.concat())).unwrap()
}

fn count(expression: &str) -> Vec<usize> {
    let filter = Filter::parse(expression, &format());
    filter.unwrap_or_else(|error| panic!("{expression}: {error}")).alternatives.iter().map(Vec::len).collect()
}

#[test]
fn negation_goes_inside_and_or_goes_outside() {
    assert_eq!(count("dev == 1 and ret < 0"), [2]);
    assert_eq!(count("dev == 1 || ret < 0 && ret > -5"), [1, 2]);
    assert_eq!(count("(dev == 1 or dev == 2) and (ret == 1 or ret == 2)"), [2, 2, 2, 2]);
    assert_eq!(count("not (dev == 1 or ret == 2)"), [2]);
    assert_eq!(count("!(dev == 1 and ret == 2)"), [1, 1]);
    // What says nothing new is not kept.
    assert_eq!(count("dev == 1 or dev == 1 and ret == 2"), [1]);
    let Filter { alternatives } = Filter::parse("not ret & 0xf0", &format()).unwrap();
    assert_eq!(alternatives[0][0].test, Test::Number(Comparison::NoBit, 0xf0));
    let Filter { alternatives } = Filter::parse("common_pid == 7", &format()).unwrap();
    assert_eq!(alternatives[0][0].operand.place, Place::Tid);
}

#[test]
fn records_pass_or_not() {
    let mut record = vec![0; 80];
    record[8..16].copy_from_slice(&[9, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff]);
    record[16..24].copy_from_slice(b"WSMETAXY");
    record[24..28].copy_from_slice(&((0x5_0000_u32 | 0x48).to_ne_bytes()));
    record[72..77].copy_from_slice(b"eth0\0");
    let header = Header { pid: 1, tid: 2, cpu: 3, comm: b"dd\0junk" };
    for (expression, expected) in [
        ("dev == 9 and ret == -2 and rwbs == 'WSMETAXY'", true),
        ("ret < 0 and ret >= -2 and not ret > -2", true),
        ("ret & 0x80000000", true),
        ("dev & 6", false),
        ("rwbs ~ \"W*\" and rwbs != 'W'", true),
        ("not rwbs ~ 'W*'", false),
        ("name == 'eth0' and path == ''", true),
        ("pid == 1 and tid == 2 and cpu == 3 and comm == 'dd'", true),
        ("comm == 'dd' and comm ~ 'ddj*'", false),
    ] {
        let filter = Filter::parse(expression, &format()).unwrap();
        assert_eq!(filter.matches(&record, &header), expected, "{expression}");
    }
    let filter = Filter::parse("ret != 0 or not ret == 0 or name != 'x'", &format()).unwrap();
    assert!(!filter.matches(&record[..12], &header));
}

#[test]
fn errors_say_column_and_cause() {
    let many = "dev == 1 or dev == 2 or dev == 3 or dev == 4 or dev == 5";
    let long = (0..9).map(|value| format!("dev != {value}")).collect::<Vec<_>>().join(" and ");
    for (expression, message) in [
        ("", "column 1: expected the name of a field, `not` or `(`, not the end"),
        ("dev", "column 4: expected `==`, `!=`, `<`, `<=`, `>`, `>=`, `&` or `~`, not the end"),
        ("dev = 1", "column 5: expected a word or sign, not `=`"),
        ("dev == ", "column 8: expected a number or text, not the end"),
        ("dev == 1 dev", "column 10: expected `and`, `or` or the end, not `dev`"),
        ("(dev == 1", "column 10: expected `and`, `or` or `)`, not the end"),
        ("dev == 010", "column 8: `010` is not a number of 64 bits"),
        ("dev == 0x1ffffffffffffffff", "column 8: `0x1ffffffffffffffff` is not a number of 64 bits"),
        ("rwbs == 'x", "column 9: the text never ends"),
        ("dve == 1", "column 1: no field `dve`; did you mean `dev`?"),
        ("rwsb == 'x'", "column 1: no field `rwsb`; did you mean `rwbs`?"),
        ("é == 1", "column 1: expected a word or sign, not `é`"),
        ("ert == 1", "column 1: no field `ert`; did you mean `ret`?"),
        ("bytes == 1", "column 1: no field `bytes`"),
        ("mac == 1", "column 1: `mac` cannot be filtered on: it has many values"),
        ("common_type == 1", "column 1: `common_type` cannot be filtered on: the kernel hides it from programs"),
        ("dev == 'x'", "column 8: `dev` is a number; compare it with a number"),
        ("rwbs == 3", "column 9: `rwbs` is text; compare it with text"),
        ("rwbs < 'x'", "column 6: `<` does not work on text like `rwbs`"),
        ("dev ~ 1", "column 5: `~` does not work on a number like `dev`"),
        ("dev == -1", "column 8: -1 does not fit `dev`, which goes from 0 to 4294967295"),
        ("ret == 2147483648", "column 8: 2147483648 does not fit `ret`, which goes from -2147483648 to 2147483647"),
        ("rwbs == '123456789'", "column 9: text of 9 bytes does not fit `rwbs`; 8 do"),
        ("path == '1234567890123456'", "column 9: text of 16 bytes does not fit `path`; 15 do"),
        ("rwbs ~ '*W'", "column 8: of patterns, only a `*` at the end is supported"),
        (many, "column 46: more than 4 alternatives, once every `or` is on the outside"),
        (&long, "column 101: more than 8 conditions in one alternative"),
    ] {
        assert_eq!(Filter::parse(expression, &format()).unwrap_err().to_string(), message, "{expression}");
    }
    let nested = "(".repeat(5000);
    assert_eq!(Filter::parse(&nested, &format()), Err(FilterError::Depth { column: MAX_DEPTH + 1 }));
}

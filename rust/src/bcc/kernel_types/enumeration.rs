//! Bodies of enumerations.

use std::fmt::Write as _;

use super::{
    sources::Id,
    writer::{Writer, clean},
};
use crate::kernel::btf::Type;

impl Writer<'_> {
    /// Return the braces of an enumeration, and what makes it as large as BTF says.
    pub(super) fn enumerators(&mut self, id: Id, found: &Type<'_>) -> String {
        let signed = found.kind_flag() || !self.sources.tells_signs();
        let mut body = String::from("{\n");
        for enumerator in found.enumerators(signed) {
            let name = clean(self.sources.string(id, enumerator.name_offset));
            let name = self.fresh(&name);
            let _ = writeln!(body, "{name} = {},", literal(enumerator.value));
        }
        body.push('}');
        // Without a mode it is an `int`, or wider if a value is.
        body.push_str(match found.size_or_type {
            1 => " __attribute__((mode(QI)))",
            2 => " __attribute__((mode(HI)))",
            8 => " __attribute__((mode(DI)))",
            _ => "",
        });
        body
    }
}

/// C has no negative literals, and none of 64 bits without a suffix.
fn literal(value: i128) -> String {
    if value == i128::from(i64::MIN) {
        format!("({}LL - 1)", i64::MIN + 1)
    } else if i32::try_from(value).is_ok() {
        value.to_string()
    } else if u32::try_from(value).is_ok() {
        format!("{value}U")
    } else if value < 0 {
        format!("{value}LL")
    } else {
        format!("{value}ULL")
    }
}

//! How the kernel would print a record: names for values, and in which base numbers are meant to be read.
//!
//! Everything behind `print fmt:` is C, and only what is worth showing is looked for: `__print_flags`,
//! `__print_symbolic`, and the conversion that prints a field. What isn't understood is left out.

use std::{collections::HashMap, ops::Range};

use super::{
    Field, Kind,
    expression::{self, Reference, Value},
    token::{Token, Tokens},
};

/// Where Linux's `dev_t` divides into major and minor.
const MINOR_BITS: u32 = 20;
const MINOR_MASK: u64 = (1 << MINOR_BITS) - 1;

/// What is known of a tracepoint's print format.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PrintFormat {
    /// The format string itself; empty if it isn't one.
    pub(crate) text: String,
    /// Names of values; a field may have several, one for each group of its bits.
    pub(crate) tables: Vec<Table>,
    /// What stands in the tables instead of numbers: enumerators that the kernel did not replace by their values (it does
    /// for those that its headers list by `TRACE_DEFINE_ENUM`), and other words.
    pub(crate) unknown: Vec<String>,
    /// How numbers are meant to be read, where it isn't as a decimal.
    pub(crate) hints: Vec<(String, Hint)>,
}

/// Names for the values of a field, or of `(field >> shift) & mask`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Table {
    pub(crate) field: String,
    pub(crate) shift: u32,
    pub(crate) mask: Option<u64>,
    /// Between flags that are set together; `None` where a value has one name, not one for each bit.
    pub(crate) delimiter: Option<String>,
    /// In the kernel's order: of flags, the first that match win.
    pub(crate) values: Vec<(i128, String)>,
    /// Entries for which the file has an enumerator whose value is not known: both names.
    pub(crate) unresolved: Vec<(String, String)>,
}

/// How a number is meant to be read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Hint {
    /// In base 16: addresses and masks.
    Hexadecimal,
    /// In base 8: modes.
    Octal,
    /// A device number: major and minor, divided at bit 20.
    Device,
}

impl PrintFormat {
    /// Look for what is worth knowing in what stands behind `print fmt:`.
    pub(super) fn parse(text: &str, fields: &[Field], enumerators: &HashMap<String, i128>) -> Self {
        let tokens = Tokens::new(text, enumerators);
        let fields: HashMap<_, _> = fields.iter().map(|field| (field.kernel_name.as_str(), field)).collect();
        let mut arguments = tokens.arguments(0..tokens.len()).into_iter();
        let text = arguments.next().and_then(|format| tokens.text(format)).unwrap_or_default();
        let arguments: Vec<_> = arguments.collect();
        let mut unknown = Vec::new();
        let tables = (0..tokens.len()).filter_map(|position| table(&tokens, position, &fields, &mut unknown)).collect();
        let hints = hints(&tokens, &text, &arguments, &fields);
        Self { text, tables, unknown, hints }
    }
}

/// Read the table of a `__print_flags` or `__print_symbolic` that starts at `position`.
fn table(
    tokens: &Tokens<'_>,
    position: usize,
    fields: &HashMap<&str, &Field>,
    unknown: &mut Vec<String>,
) -> Option<Table> {
    let Some(Token::Word(function)) = tokens.get(position) else { return None };
    let flags = match *function {
        "__print_flags" | "__print_flags_u64" => true,
        "__print_symbolic" | "__print_symbolic_u64" => false,
        _ => return None,
    };
    let close = tokens.partner(position + 1).filter(|_| tokens.is_sign(position + 1, "("))?;
    let mut arguments = tokens.arguments(position + 2..close).into_iter();
    let Some(Value::Reference(Reference { field, shift, mask })) = expression::evaluate(tokens, arguments.next()?)
    else {
        return None;
    };
    let field = fields.get(field)?;
    let delimiter = if flags { Some(tokens.text(arguments.next()?).unwrap_or_default()) } else { None };
    let (mut values, mut unresolved) = (Vec::new(), Vec::new());
    for (value, name) in arguments.filter_map(|argument| entry(tokens, &argument)) {
        if let Some(number) = expression::constant(tokens, value.clone()) {
            values.push((field.represent(number), name));
            continue;
        }
        if let (1, Some(Token::Word(enumerator))) = (value.len(), tokens.get(value.start)) {
            unresolved.push(((*enumerator).to_owned(), name));
        }
        for position in value {
            if let Some(Token::Word(word)) = tokens.get(position)
                && !unknown.iter().any(|known| known == word)
            {
                unknown.push((*word).to_owned());
            }
        }
    }
    // Some have no entry at all (kvm:kvm_inj_exception), or none without an enumerator in an expression.
    let empty = values.is_empty() && unresolved.is_empty();
    (!empty).then(|| Table { field: field.name.clone(), shift, mask, delimiter, values, unresolved })
}

/// Divide `{ value, "NAME" }`.
fn entry(tokens: &Tokens<'_>, range: &Range<usize>) -> Option<(Range<usize>, String)> {
    let close = tokens.partner(range.start).filter(|close| close + 1 == range.end)?;
    let parts = tokens.arguments(range.start + 1..close);
    let [value, name] = parts.as_slice() else { return None };
    Some((tokens.inner(value.clone()), tokens.text(name.clone())?))
}

/// Pair conversions with the fields they print.
fn hints(
    tokens: &Tokens<'_>,
    text: &str,
    arguments: &[Range<usize>],
    fields: &HashMap<&str, &Field>,
) -> Vec<(String, Hint)> {
    let references: Vec<_> = arguments
        .iter()
        .map(|argument| match expression::evaluate(tokens, argument.clone()) {
            Some(Value::Reference(reference)) => Some((*fields.get(reference.field)?, reference)),
            _ => None,
        })
        .collect();
    let mut found: Vec<(String, Hint)> = Vec::new();
    let mut add = |field: &Field, hint| {
        if matches!(field.kind, Kind::Integer | Kind::Enum | Kind::Pointer)
            && !found.iter().any(|(name, _)| *name == field.name)
        {
            found.push((field.name.clone(), hint));
        }
    };
    for pair in references.windows(2) {
        if let [Some((major, high)), Some((minor, low))] = pair
            && high.shift == MINOR_BITS
            && (low.shift, low.mask) == (0, Some(MINOR_MASK))
            && major.name == minor.name
        {
            add(major, Hint::Device);
        }
    }
    for (conversion, reference) in conversions(text).zip(references) {
        match (conversion, reference) {
            ('x' | 'X' | 'p', Some((field, _))) => add(field, Hint::Hexadecimal),
            ('o', Some((field, _))) => add(field, Hint::Octal),
            _ => {}
        }
    }
    found
}

/// List what the format string does with each of its arguments: the letter of a conversion, `*` for a width.
fn conversions(text: &str) -> impl Iterator<Item = char> {
    let mut letters = text.chars().peekable();
    let mut within = false;
    std::iter::from_fn(move || {
        loop {
            let letter = letters.next()?;
            match letter {
                '%' => within = letters.next_if_eq(&'%').is_none(),
                '*' if within => return Some('*'),
                letter if within && letter.is_ascii_alphabetic() && !"hlLqjzt".contains(letter) => {
                    within = false;
                    return Some(letter);
                }
                _ => {}
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::conversions;

    #[test]
    fn conversions_in_order() {
        let letters: String = conversions("%d,%d 100%% %-*.*s %#llx %pS 0%o %lu%%x %").collect();
        assert_eq!(letters, "dd**sxpou");
    }
}

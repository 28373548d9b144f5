//! Lexing: a filter's text divided into words, each with its column.

use super::FilterError;

/// A word of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    Name(String),
    Number(i128),
    Text(String),
    Operator(&'static str),
    And,
    Or,
    Not,
    Open,
    Close,
    End,
}

impl Word {
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Name(name) => format!("`{name}`"),
            Self::Number(number) => format!("`{number}`"),
            Self::Text(_) => "a text".into(),
            Self::Operator(operator) => format!("`{operator}`"),
            Self::And => "`and`".into(),
            Self::Or => "`or`".into(),
            Self::Not => "`not`".into(),
            Self::Open => "`(`".into(),
            Self::Close => "`)`".into(),
            Self::End => "the end".into(),
        }
    }
}

/// Divide into words, each with its column; the last is always [`Word::End`].
pub(super) fn words(text: &str) -> Result<Vec<(usize, Word)>, FilterError> {
    const SIGNS: [(&str, Word); 13] = [
        ("&&", Word::And),
        ("||", Word::Or),
        ("==", Word::Operator("==")),
        ("!=", Word::Operator("!=")),
        ("<=", Word::Operator("<=")),
        (">=", Word::Operator(">=")),
        ("<", Word::Operator("<")),
        (">", Word::Operator(">")),
        ("&", Word::Operator("&")),
        ("~", Word::Operator("~")),
        ("!", Word::Not),
        ("(", Word::Open),
        (")", Word::Close),
    ];
    let mut words = Vec::new();
    let (mut rest, mut column) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let (word, length) = if first.is_whitespace() {
            (None, first.len_utf8())
        } else if let Some((sign, word)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
            (Some(word.clone()), sign.len())
        } else if let '"' | '\'' = first {
            let end = rest[1..].find(first).ok_or(FilterError::Unterminated { column })?;
            (Some(Word::Text(rest[1..=end].to_owned())), end + 2)
        } else {
            let letters = rest.strip_prefix('-').unwrap_or(rest);
            let length = letters.find(|letter: char| !(letter == '_' || letter.is_ascii_alphanumeric()));
            let length = length.unwrap_or(letters.len()) + rest.len() - letters.len();
            (Some(name_or_number(&rest[..length], first, column)?), length)
        };
        words.extend(word.map(|word| (column, word)));
        column += rest[..length].chars().count();
        rest = &rest[length..];
    }
    words.push((column, Word::End));
    Ok(words)
}

fn name_or_number(word: &str, first: char, column: usize) -> Result<Word, FilterError> {
    match (word, first) {
        ("and", _) => return Ok(Word::And),
        ("or", _) => return Ok(Word::Or),
        ("not", _) => return Ok(Word::Not),
        (_, '_' | 'a'..='z' | 'A'..='Z') => return Ok(Word::Name(word.to_owned())),
        (_, '-' | '0'..='9') => {}
        _ => return Err(FilterError::Expected { column, expected: "a word or sign", found: format!("`{first}`") }),
    }
    let digits = word.strip_prefix('-').unwrap_or(word);
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        // C and Python disagree about what 010 is.
        [b'0', _, ..] => (0, digits),
        _ => (10, digits),
    };
    let number = (base != 0).then(|| u64::from_str_radix(digits, base).ok()).flatten().map(i128::from);
    let number = number.map(|number| if first == '-' { -number } else { number });
    let number = number.filter(|number| *number >= i64::MIN.into());
    number.map(Word::Number).ok_or_else(|| FilterError::Number { column, text: word.to_owned() })
}

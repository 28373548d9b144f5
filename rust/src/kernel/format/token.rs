//! C as the kernel prints it behind `print fmt:`, in words.

use std::{collections::HashMap, ops::Range};

/// One word of C.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// An identifier or keyword.
    Word(&'a str),
    /// A number with its base and suffixes, as written.
    Number(&'a str),
    /// A string, without quotes and escapes.
    Text(String),
    /// A character in single quotes.
    Character(u8),
    /// An operator or bracket; `->`, `<<` and `>>` are one, everything else is one character.
    Sign(&'a str),
}

/// The words, and for each opening bracket where its partner stands.
pub(super) struct Tokens<'a> {
    /// Values of the enumerators that are known.
    enumerators: &'a HashMap<String, i128>,
    list: Vec<Token<'a>>,
    /// The position of the closing bracket; for everything else, and for brackets left open, the end.
    partners: Vec<usize>,
}

impl<'a> Tokens<'a> {
    /// Divide into words; what comes after a string that never ends is left out.
    pub(super) fn new(text: &'a str, enumerators: &'a HashMap<String, i128>) -> Self {
        let mut list = Vec::new();
        let mut rest = text.trim_start();
        while let Some((token, length)) = next(rest) {
            list.push(token);
            rest = rest[length..].trim_start();
        }
        let mut partners = vec![list.len(); list.len()];
        let mut open = Vec::new();
        for (position, token) in list.iter().enumerate() {
            match token {
                Token::Sign("(" | "[" | "{") => open.push(position),
                Token::Sign(")" | "]" | "}") => {
                    if let Some(opening) = open.pop() {
                        partners[opening] = position;
                    }
                }
                _ => {}
            }
        }
        Self { enumerators, list, partners }
    }

    /// Return the value of an enumerator, if it is known.
    pub(super) fn enumerator(&self, name: &str) -> Option<i128> {
        self.enumerators.get(name).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn get(&self, position: usize) -> Option<&Token<'a>> {
        self.list.get(position)
    }

    pub(super) fn is_sign(&self, position: usize, sign: &str) -> bool {
        matches!(self.get(position), Some(Token::Sign(found)) if *found == sign)
    }

    /// Return where the bracket opened at `position` is closed, if it is.
    pub(super) fn partner(&self, position: usize) -> Option<usize> {
        self.partners.get(position).copied().filter(|partner| *partner < self.list.len())
    }

    /// Divide at the commas that stand in no bracket.
    pub(super) fn arguments(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut arguments = Vec::new();
        let (mut start, mut position) = (range.start, range.start);
        while position < range.end {
            if self.is_sign(position, ",") {
                arguments.push(start..position);
                start = position + 1;
            }
            position = self.partner(position).map_or(position + 1, |partner| partner + 1);
        }
        if start < range.end {
            arguments.push(start..range.end);
        }
        arguments
    }

    /// Take off the brackets around all of it.
    pub(super) fn inner(&self, mut range: Range<usize>) -> Range<usize> {
        while range.start + 1 < range.end
            && self.is_sign(range.start, "(")
            && self.partner(range.start) == Some(range.end - 1)
        {
            range = range.start + 1..range.end - 1;
        }
        range
    }

    /// Join the strings that the range consists of, as the compiler does; `None` if it is anything else.
    pub(super) fn text(&self, range: Range<usize>) -> Option<String> {
        let range = self.inner(range);
        let mut joined = None;
        for token in self.list.get(range)? {
            let Token::Text(text) = token else { return None };
            joined.get_or_insert_with(String::new).push_str(text);
        }
        joined
    }
}

/// Read one word; return it and how many bytes it took.
fn next(text: &str) -> Option<(Token<'_>, usize)> {
    let first = text.chars().next()?;
    let word = text.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).unwrap_or(text.len());
    Some(match first {
        '0'..='9' => (Token::Number(&text[..word]), word),
        '_' | 'a'..='z' | 'A'..='Z' => (Token::Word(&text[..word]), word),
        '"' | '\'' => {
            let (content, length) = quoted(text, first)?;
            match (first, content.as_bytes()) {
                ('"', _) => (Token::Text(content), length),
                (_, [byte]) => (Token::Character(*byte), length),
                _ => (Token::Sign(&text[..length]), length),
            }
        }
        _ => {
            let length = ["->", "<<", ">>"].iter().find(|sign| text.starts_with(**sign));
            let length = length.map_or(first.len_utf8(), |sign| sign.len());
            (Token::Sign(&text[..length]), length)
        }
    })
}

/// Read a string; return it without quotes and escapes, and how many bytes it took.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut content = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((position, letter)) = letters.next() {
        match letter {
            '\\' => content.push(match letters.next()?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '0' => '\0',
                other => other,
            }),
            letter if letter == quote => return Some((content, position + 1)),
            letter => content.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Token, Tokens};

    #[test]
    fn words_brackets_and_strings() {
        let none = HashMap::new();
        let tokens = Tokens::new(r#"f(REC->a, {1UL << 3, "x" "\ty"}) 'c'"#, &none);
        assert_eq!(tokens.partner(1), Some(tokens.len() - 2));
        assert_eq!(tokens.get(tokens.len() - 1), Some(&Token::Character(b'c')));
        let arguments = tokens.arguments(2..tokens.len() - 2);
        assert_eq!(arguments.len(), 2);
        let entry = tokens.arguments(arguments[1].start + 1..arguments[1].end - 1);
        assert_eq!(tokens.text(entry[1].clone()).as_deref(), Some("x\ty"));
    }

    #[test]
    fn what_is_not_closed_does_no_harm() {
        let none = HashMap::new();
        assert_eq!(Tokens::new("\"never", &none).len(), 0);
        let tokens = Tokens::new(")(]{", &none);
        assert_eq!((0..4).find_map(|position| tokens.partner(position)), Some(2));
        assert_eq!(Tokens::new("é'ab'", &none).len(), 2);
    }
}

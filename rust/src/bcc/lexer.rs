//! C source as tokens: enough of C's lexical rules to know what is a string, a comment, a directive and a name.
//!
//! What is no C at all (a string without its end) is passed over up to the end of its line: the compiler says it
//! better. Only what would make rtrace itself stumble is refused here.

use super::diagnostics::Refusal;

/// Parentheses, brackets and braces within each other; compilers stop at 256.
const MAX_DEPTH: usize = 256;
/// Bytes of a source; the largest of bcc's tools have 30 thousand.
pub(crate) const MAX_BYTES: usize = 4 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Identifier,
    Number,
    Text,
    Character,
    /// One byte of punctuation.
    Punctuation(u8),
    /// The `#` that starts a directive; its tokens follow, up to [`Kind::EndOfDirective`].
    Directive,
    EndOfDirective,
}

/// A piece of the source between `start` and `end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Token {
    pub(crate) fn text<'a>(&self, source: &'a str) -> &'a str {
        source.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    pub(crate) fn is(&self, punctuation: u8) -> bool {
        self.kind == Kind::Punctuation(punctuation)
    }
}

struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
    in_directive: bool,
    depth: usize,
}

/// Take a source apart.
pub(crate) fn tokens(source: &str) -> Result<Vec<Token>, Refusal> {
    if source.len() > MAX_BYTES {
        return Err(Refusal::new(0, format!("the source has {} bytes, more than {MAX_BYTES}", source.len())));
    }
    if let Some(at) = source.bytes().position(|byte| byte == 0) {
        return Err(Refusal::new(at, "a NUL character in the source"));
    }
    let mut lexer = Lexer { bytes: source.as_bytes(), at: 0, tokens: Vec::new(), in_directive: false, depth: 0 };
    lexer.run()?;
    Ok(lexer.tokens)
}

impl Lexer<'_> {
    fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Bytes of the line's end if it continues the line: a backslash and the line break.
    fn continuation(&self) -> usize {
        match (self.byte(0), self.byte(1), self.byte(2)) {
            (b'\\', b'\n', _) => 2,
            (b'\\', b'\r', b'\n') => 3,
            _ => 0,
        }
    }

    fn run(&mut self) -> Result<(), Refusal> {
        let mut first_on_line = true;
        while self.at < self.bytes.len() {
            let start = self.at;
            let byte = self.byte(0);
            let continuation = self.continuation();
            if continuation > 0 {
                self.at += continuation;
                continue;
            }
            match byte {
                b'\n' => {
                    self.at += 1;
                    first_on_line = true;
                    self.end_directive(start);
                    continue;
                }
                b' ' | b'\t' | b'\r' | 0x0b | 0x0c => {
                    self.at += 1;
                    continue;
                }
                b'/' if self.byte(1) == b'/' => {
                    self.skip_line_comment();
                    continue;
                }
                b'/' if self.byte(1) == b'*' => {
                    self.skip_comment()?;
                    continue;
                }
                b'#' if first_on_line => {
                    self.at += 1;
                    self.in_directive = true;
                    self.push(Kind::Directive, start);
                }
                b'"' => self.quoted(b'"', Kind::Text),
                b'\'' => self.quoted(b'\'', Kind::Character),
                b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' | 0x80.. => {
                    self.skip_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..));
                    self.push(Kind::Identifier, start);
                }
                b'0'..=b'9' => {
                    self.skip_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
                    self.push(Kind::Number, start);
                }
                _ => {
                    self.at += 1;
                    self.nest(byte, start)?;
                    self.push(Kind::Punctuation(byte), start);
                }
            }
            first_on_line = false;
        }
        self.end_directive(self.at);
        Ok(())
    }

    fn push(&mut self, kind: Kind, start: usize) {
        // Sources are far below 4 GiB.
        let position = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.tokens.push(Token { kind, start: position(start), end: position(self.at) });
    }

    fn end_directive(&mut self, start: usize) {
        if self.in_directive {
            self.in_directive = false;
            self.push(Kind::EndOfDirective, start);
        }
    }

    fn skip_while(&mut self, accept: impl Fn(u8) -> bool) {
        while self.at < self.bytes.len() && accept(self.bytes[self.at]) {
            self.at += 1;
        }
    }

    fn skip_line_comment(&mut self) {
        while self.at < self.bytes.len() && self.byte(0) != b'\n' {
            self.at += self.continuation().max(1);
        }
    }

    /// A comment without an end would swallow what rtrace puts behind the program.
    fn skip_comment(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        self.at += 2;
        while !(self.byte(0) == b'*' && self.byte(1) == b'/') {
            if self.at >= self.bytes.len() {
                return Err(Refusal::new(start, "a comment that never ends"));
            }
            self.at += 1;
        }
        self.at += 2;
        Ok(())
    }

    /// A string or character constant, up to its quote or the end of its line.
    fn quoted(&mut self, quote: u8, kind: Kind) {
        let start = self.at;
        self.at += 1;
        while self.at < self.bytes.len() && self.byte(0) != b'\n' {
            let byte = self.byte(0);
            // A backslash takes the next character with it, or the line break.
            self.at += if byte == b'\\' { self.continuation().max(2) } else { 1 };
            if byte == quote {
                break;
            }
        }
        self.at = self.at.min(self.bytes.len());
        // An escape may have taken the first of a character's bytes only.
        while self.at < self.bytes.len() && (0x80..0xc0).contains(&self.bytes[self.at]) {
            self.at += 1;
        }
        self.push(kind, start);
    }

    /// Keep count of what is open; macros may open more than they close.
    fn nest(&mut self, byte: u8, start: usize) -> Result<(), Refusal> {
        if self.in_directive {
            return Ok(());
        }
        match byte {
            b'(' | b'[' | b'{' => self.depth += 1,
            b')' | b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        if self.depth > MAX_DEPTH {
            return Err(Refusal::new(start, format!("brackets nested more than {MAX_DEPTH} deep")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Kind::{Directive, EndOfDirective, Identifier},
        tokens,
    };

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).unwrap().iter().map(|token| token.text(source)).collect()
    }

    #[test]
    fn strings_comments_and_characters_hide_what_they_hold() {
        assert_eq!(texts("a /* b */ \"c // \\\" d\" '\"' // e\nf"), ["a", "\"c // \\\" d\"", "'\"'", "f"]);
        assert_eq!(texts("x // a \\\n b\ny"), ["x", "y"]);
    }

    #[test]
    fn a_directive_ends_with_its_last_line() {
        let source = "#define A \\\n  b\nc";
        let kinds: Vec<_> = tokens(source).unwrap().iter().map(|token| token.kind).collect();
        assert_eq!(kinds, [Directive, Identifier, Identifier, Identifier, EndOfDirective, Identifier]);
    }

    #[test]
    fn what_never_ends_is_left_to_the_compiler() {
        assert_eq!(texts("\"abc\nd"), ["\"abc", "d"]);
        assert_eq!(texts("\"\\"), ["\"\\"]);
        assert_eq!(texts("'\\\u{e9}' x"), ["'\\\u{e9}'", "x"]);
        assert_eq!(texts("\u{e9}t\u{e9} = 1"), ["\u{e9}t\u{e9}", "=", "1"]);
    }

    #[test]
    fn what_no_compiler_takes_is_refused() {
        assert!(tokens("int a\0;").is_err());
        assert_eq!(tokens("a /* b").unwrap_err().at, 2);
        assert!(tokens("a /*/").is_err());
        assert!(tokens(&"{".repeat(257)).is_err());
        assert!(tokens(&"{}".repeat(1000)).is_ok());
        assert!(tokens(&"{".repeat(10 << 20)).is_err());
    }
}

//! Bytes of a source as text: UTF-8, except that comments may hold anything.

use super::{diagnostics::Refusal, lexer::Token};

/// Decode a source; return it and where bytes stood that are no UTF-8, each of which has become `?`.
pub(crate) fn decode(bytes: &[u8]) -> (String, Vec<usize>) {
    let mut text = String::with_capacity(bytes.len());
    let mut wrong = Vec::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for _ in chunk.invalid() {
            wrong.push(text.len());
            text.push('?');
        }
    }
    (text, wrong)
}

/// Refuse a source with such bytes anywhere but in comments, where names of authors have them.
pub(crate) fn check(tokens: &[Token], wrong: &[usize]) -> Result<(), Refusal> {
    let mut wrong = wrong.iter().copied().peekable();
    for token in tokens {
        while wrong.next_if(|at| *at < token.start as usize).is_some() {}
        if let Some(at) = wrong.next_if(|at| *at < token.end as usize) {
            return Err(Refusal::new(at, "a byte that is no UTF-8"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{check, decode};
    use crate::bcc::lexer::tokens;

    #[test]
    fn comments_may_hold_anything() {
        let (text, wrong) = decode(b"int a; // Andr\xe9\n/* \xff\xfe */ char *b = \"\xc3\xa9\";");
        assert_eq!(wrong.len(), 3);
        assert!(check(&tokens(&text).unwrap(), &wrong).is_ok());
    }

    #[test]
    fn code_may_not() {
        for (source, at) in [(&b"int \xe9;"[..], 4), (b"/* \xff */ \"a\xe9\"", 10), (b"#define \xff 1", 8)] {
            let (text, wrong) = decode(source);
            assert_eq!(check(&tokens(&text).unwrap(), &wrong).unwrap_err().at, at);
        }
    }
}

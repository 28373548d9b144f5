//! Parsing: brackets, `or`, `and` and `not`, in this order of precedence; what comes out is in normal form.

use super::{
    Condition, Filter, FilterError,
    check::{number_test, operand, text_test},
    normal_form::{Alternatives, all, any},
    word::{Word, words},
};
use crate::kernel::format::Format;

/// Brackets and negations within each other.
pub(super) const MAX_DEPTH: usize = 32;

impl Filter {
    /// Read an expression on the fields of a tracepoint.
    pub(crate) fn parse(expression: &str, format: &Format) -> Result<Self, FilterError> {
        let words = words(expression)?;
        let mut parser = Parser { words: &words, position: 0, depth: 0, format };
        let alternatives = parser.either(false)?;
        parser.expect("`and`, `or` or the end", |word| *word == Word::End)?;
        Ok(Self { alternatives })
    }
}

struct Parser<'a> {
    words: &'a [(usize, Word)],
    position: usize,
    depth: usize,
    format: &'a Format,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> (usize, &'a Word) {
        // The last word is the end, and nothing goes past it.
        self.words.get(self.position).map_or((0, &Word::End), |(column, word)| (*column, word))
    }

    fn take(&mut self) -> (usize, &'a Word) {
        let word = self.peek();
        self.position += 1;
        word
    }

    fn expect(&mut self, expected: &'static str, wanted: impl Fn(&Word) -> bool) -> Result<&'a Word, FilterError> {
        let (column, word) = self.take();
        if wanted(word) { Ok(word) } else { Err(FilterError::Expected { column, expected, found: word.describe() }) }
    }

    /// Operands of `or`; with `negated`, of what is to be negated.
    fn either(&mut self, negated: bool) -> Result<Alternatives, FilterError> {
        let mut left = self.both(negated)?;
        while let (column, Word::Or) = self.peek() {
            self.position += 1;
            let right = self.both(negated)?;
            left = if negated { all(&left, &right, column)? } else { any(left, right, column)? };
        }
        Ok(left)
    }

    /// Operands of `and`.
    fn both(&mut self, negated: bool) -> Result<Alternatives, FilterError> {
        let mut left = self.one(negated)?;
        while let (column, Word::And) = self.peek() {
            self.position += 1;
            let right = self.one(negated)?;
            left = if negated { any(left, right, column)? } else { all(&left, &right, column)? };
        }
        Ok(left)
    }

    fn one(&mut self, negated: bool) -> Result<Alternatives, FilterError> {
        let (column, word) = self.take();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(FilterError::Depth { column });
        }
        let found = match word {
            Word::Not => self.one(!negated)?,
            Word::Open => {
                let inner = self.either(negated)?;
                self.expect("`and`, `or` or `)`", |word| *word == Word::Close)?;
                inner
            }
            Word::Name(name) => {
                let condition = self.condition(name, column)?;
                vec![vec![if negated { condition.negated() } else { condition }]]
            }
            _ => {
                let expected = "the name of a field, `not` or `(`";
                return Err(FilterError::Expected { column, expected, found: word.describe() });
            }
        };
        self.depth -= 1;
        Ok(found)
    }

    fn condition(&mut self, name: &str, column: usize) -> Result<Condition, FilterError> {
        let operand = operand(self.format, name, column)?;
        let (operator_column, word) = self.take();
        let &Word::Operator(operator) = word else {
            let expected = "`==`, `!=`, `<`, `<=`, `>`, `>=`, `&` or `~`";
            return Err(FilterError::Expected { column: operator_column, expected, found: word.describe() });
        };
        let (column, word) = self.take();
        let name = || operand.name.clone();
        let kind = if operand.text { "text" } else { "a number" };
        let test = match (word, operand.text) {
            (Word::Number(value), false) => number_test(&operand, operator, *value, column)
                .ok_or_else(|| FilterError::Operator { column: operator_column, operator, name: name(), kind })??,
            (Word::Text(value), true) => text_test(&operand, operator, value, column)
                .ok_or_else(|| FilterError::Operator { column: operator_column, operator, name: name(), kind })??,
            (Word::Number(_) | Word::Text(_), _) => {
                return Err(FilterError::Mismatch { column, name: name(), kind });
            }
            _ => {
                return Err(FilterError::Expected { column, expected: "a number or text", found: word.describe() });
            }
        };
        Ok(Condition { operand, test })
    }
}

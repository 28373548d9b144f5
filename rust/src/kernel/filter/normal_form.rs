//! Lowering: into alternatives of conditions, `or` outside of `and`, negation within the comparisons.

use super::{Comparison, Condition, FilterError, MAX_ALTERNATIVES, MAX_CONDITIONS, Test, TextComparison};

/// Of which one must hold; each is conditions which must all hold.
pub(super) type Alternatives = Vec<Vec<Condition>>;

pub(super) fn any(mut left: Alternatives, right: Alternatives, column: usize) -> Result<Alternatives, FilterError> {
    left.extend(right);
    simplify(left, column)
}

pub(super) fn all(left: &Alternatives, right: &Alternatives, column: usize) -> Result<Alternatives, FilterError> {
    let pairs = left.iter().flat_map(|one| right.iter().map(move |other| one.iter().chain(other)));
    let joined = pairs.map(|conditions| {
        conditions.fold(Vec::new(), |mut kept: Vec<Condition>, condition| {
            if !kept.contains(condition) {
                kept.push(condition.clone());
            }
            kept
        })
    });
    simplify(joined.collect(), column)
}

/// Leave out alternatives that another one makes superfluous, and see that the rest fit.
fn simplify(alternatives: Alternatives, column: usize) -> Result<Alternatives, FilterError> {
    let mut kept: Alternatives = Vec::new();
    let within = |one: &[Condition], other: &[Condition]| one.iter().all(|condition| other.contains(condition));
    for alternative in alternatives {
        if kept.iter().any(|other| within(other, &alternative)) {
            continue;
        }
        kept.retain(|other| !within(&alternative, other));
        kept.push(alternative);
    }
    if kept.len() > MAX_ALTERNATIVES {
        return Err(FilterError::Alternatives { column });
    }
    if kept.iter().any(|conditions| conditions.len() > MAX_CONDITIONS) {
        return Err(FilterError::Conditions { column });
    }
    Ok(kept)
}

impl Condition {
    pub(super) fn negated(mut self) -> Self {
        match &mut self.test {
            Test::Number(comparison, _) => *comparison = comparison.negated(),
            Test::Text(comparison, _) => {
                *comparison = match comparison {
                    TextComparison::Equal => TextComparison::NotEqual,
                    TextComparison::NotEqual => TextComparison::Equal,
                    TextComparison::Starts => TextComparison::NotStarts,
                    TextComparison::NotStarts => TextComparison::Starts,
                }
            }
        }
        self
    }
}

impl Comparison {
    fn negated(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
            Self::AnyBit => Self::NoBit,
            Self::NoBit => Self::AnyBit,
        }
    }
}

//! C in bcc's dialect.

use crate::bcc::{
    lexer,
    scan::Scan,
    source::{Folders, Program},
};

/// Rewrite a program; lines stay, and every column of the result has one in the program.
pub fn dialect(text: &str) {
    let folders = Folders { include_dirs: &[] };
    let program = match Program::rewrite(text.as_bytes(), "<text>", &folders) {
        Ok(program) => program,
        Err(refused) => {
            assert!(refused.line >= 1 && refused.column >= 1);
            assert!(refused.line <= text.split('\n').count());
            return;
        }
    };
    let unit = &program.units[0];
    assert_eq!(unit.rewritten.matches('\n').count(), text.matches('\n').count());
    let lines = || text.split('\n').zip(unit.rewritten.split('\n')).enumerate();
    for (index, (before, after)) in lines().take(16) {
        for column in 1..=after.len().min(256) + 1 {
            assert!((1..=before.len() + 1).contains(&unit.edits.column(text, index + 1, column)));
        }
    }
    let tokens = lexer::tokens(text).unwrap_or_default();
    assert!(tokens.windows(2).all(|pair| pair[0].end <= pair[1].start));
    Scan::default().add(text, &tokens);
    // What was rewritten is C for the same lexer.
    assert!(lexer::tokens(&unit.rewritten).is_ok());
}

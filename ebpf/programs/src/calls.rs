//! A thread's stack of calls that have not returned yet.

use rtrace_common::function_latency::{NESTING, Start, Starts};

use crate::frame;

/// A call that was taken off the stack, and what that showed.
///
/// Not an `Option` of it: the fields of a `None` would be read uninitialised, which verifiers before Linux 6.3 refuse.
#[derive(Default)]
pub struct Returned {
    /// When it began; 0 if there was no such call.
    pub started_ns: u64,
    /// Whether it was made inside another call.
    pub nested: bool,
    /// Calls found to have ended without being seen.
    pub missed: u64,
}

/// Put a call at `frame` on the stack; return how many older ones had to be given up.
#[inline(always)]
pub fn push(starts: &mut Starts, start: Start) -> u64 {
    // The usual stack is empty.
    if starts.depth == 0 {
        starts.calls[0] = start;
        starts.depth = 1;
        return 0;
    }
    let mut missed = 0;
    for index in (0..NESTING).rev() {
        if starts.depth == index as u64 + 1 && frame::is_over(starts.calls[index].frame, start.frame) {
            starts.depth = index as u64;
            missed += 1;
        }
    }
    if starts.depth >= NESTING as u64 {
        for index in 1..NESTING {
            starts.calls[index - 1] = starts.calls[index];
        }
        starts.depth = NESTING as u64 - 1;
        missed += 1;
    }
    // The mask tells the verifier what the lines above ensure.
    starts.calls[starts.depth as usize & (NESTING - 1)] = start;
    starts.depth += 1;
    missed
}

/// Take the call at `frame` off the stack.
#[inline(always)]
pub fn pop(starts: &mut Starts, frame: u64) -> Returned {
    let depth = starts.depth;
    if depth == 1 && starts.calls[0].frame == frame {
        starts.depth = 0;
        return Returned { started_ns: starts.calls[0].ts_ns, nested: false, missed: 0 };
    }
    for index in (0..NESTING).rev() {
        if (index as u64) < depth && starts.calls[index].frame == frame {
            starts.depth = index as u64;
            let started_ns = starts.calls[index].ts_ns;
            return Returned { started_ns, nested: index > 0, missed: depth - 1 - index as u64 };
        }
    }
    Returned::default()
}

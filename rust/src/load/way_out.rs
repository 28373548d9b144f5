//! The way out of what the verifier says, which speaks of registers where programs have variables.

/// What rtrace adds to a log that ends before the verifier gave up.
pub(super) const TOO_LONG: &str = "the verifier follows 1,000,000 instructions at most (the end of its log is missing)";

/// Words of its log, which kernels have differently, and what to do about them; the first that is found counts.
const WAYS_OUT: [(&[&str], &str); 12] = [
    (
        &["map_value_or_null'", "mem_or_null'", "sock_or_null'", "alloc_mem_or_null'"],
        "there may be nothing: compare the pointer with 0 before reading or writing through it",
    ),
    (
        &["infinite loop detected", "back-edge from insn"],
        "the loop has to end, after a number of rounds that is a constant",
    ),
    (
        &["BPF program is too large. Processed", "The sequence of", TOO_LONG],
        "every round of every loop is followed: let loops end after a small number of rounds that is a constant, as in \
         `for (int i = 0; i < 64; i++)`",
    ),
    (
        &["type=scalar expected=fp", "type=inv expected=fp", "type=scalar expected=map_value", "type=imm expected="],
        "helpers and the methods of tables take addresses: `&key`, not `key`",
    ),
    (
        &["invalid read from stack", "invalid indirect read from stack", "invalid indirect access to stack"],
        "what a pointer is to is smaller than what is read there, or was not set in full: keys and values have the types \
         that their table is declared with, and start as `struct key_t key = {};`",
    ),
    (
        &["invalid mem access 'scalar'", "invalid mem access 'inv'"],
        "that number is no pointer the verifier knows of: bpf_probe_read_kernel() and bpf_probe_read_user() read from any \
         address",
    ),
    (&["R0 !read_ok"], "the program has to return a value on every way: `return 0;`"),
    (
        &["unbounded memory access", "min value is negative"],
        "sizes and indices have to be compared with constants before they are used, both ways: `if (n > 64) n = 64;` for \
         an unsigned `n`",
    ),
    (
        &["invalid access to map value", "invalid access to packet", "invalid access to memory"],
        "compare the place with the end of what is there before reading or writing",
    ),
    (
        &["helper bpf_override_return", "unknown func bpf_override_return"],
        "the kernel must be built with CONFIG_BPF_KPROBE_OVERRIDE=y",
    ),
    (
        &["cannot use helper bpf_", "unknown func bpf_"],
        "this kernel lacks that helper, or does not give it to programs of this kind",
    ),
    (
        &["combined stack size of", "invalid stack off="],
        "large structs and buffers belong in tables, as `BPF_PERCPU_ARRAY`",
    ),
];

/// Say what to do about a refusal.
pub(crate) fn of_refusal(log: &[String]) -> Option<&'static str> {
    // What is wrong comes last, and the walk in front of it may be long.
    let last: Vec<&str> = log.iter().rev().take(40).map(String::as_str).collect();
    let said = |words: &&str| last.iter().any(|line| line.contains(*words));
    WAYS_OUT.iter().find(|(words, _)| words.iter().any(said)).map(|(_, way_out)| *way_out)
}

#[cfg(test)]
mod tests {
    use super::of_refusal;

    #[test]
    fn what_is_wrong_is_near_the_end() {
        let log = |line: &str| vec!["0: (b7) r0 = 0".to_owned(), line.to_owned(), "processed 1 insns".to_owned()];
        assert!(of_refusal(&log("R6 invalid mem access 'map_value_or_null'")).unwrap().contains("compare the pointer"));
        assert!(of_refusal(&log("R2 type=scalar expected=fp, pkt")).unwrap().contains("`&key`"));
        assert!(of_refusal(&log("unknown func bpf_override_return#58")).unwrap().contains("CONFIG_"));
        assert!(of_refusal(&log("something new")).is_none());
        let mut many = log("R0 !read_ok");
        many.extend(vec!["frame1: R1=ctx()".to_owned(); 100]);
        assert!(of_refusal(&many).is_none());
    }
}

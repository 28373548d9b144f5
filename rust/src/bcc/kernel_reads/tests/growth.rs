//! Programs grow: what is counted in instructions has to be counted again.

use aya_obj::{
    Function,
    generated::{bpf_func_info, bpf_insn, bpf_line_info, bpf_prog_type},
};

use super::{assembler::assemble, expected::becomes};
use crate::bcc::kernel_reads::{Context, Fault, ReadsError, What, contexts_of, rewrite, rewrite_code};

#[test]
fn jumps_calls_and_addresses_of_functions_stay_right() {
    becomes(
        Context::Memory,
        "r6 = r1
         again:
         r1 = *(u64 *)(r6 + 0)
         call function
         if r0 == 0 goto again
         r2 = function callback ll
         r1 = 3
         r3 = 0
         r4 = 0
         call 181
         r0 = 0
         exit
         function:
         r0 = *(u32 *)(r1 + 4)
         if r0 == 7 goto function
         exit
         callback:
         r0 = *(u32 *)(r1 + 4)
         exit",
        "r6 = r1
         again:
         r1 = *(u64 *)(r6 + 0)
         call function
         if r0 == 0 goto again
         r2 = function callback ll
         r1 = 3
         r3 = 0
         r4 = 0
         call 181
         r0 = 0
         exit
         function:
         r6 = r1
         read[-8] r0 = *(u32 *)(r1 + 4)
         r1 = r6
         if r0 == 7 goto function
         exit
         callback:
         read[-8] r0 = *(u32 *)(r1 + 4)
         exit",
    );
}

#[test]
fn a_jump_that_no_longer_fits_is_an_error_and_a_long_one_fits() {
    let program = |goto: &str| {
        let reads = "r2 = *(u8 *)(r6 + 0)\n".repeat(6000);
        assemble(&format!("r6 = *(u64 *)(r1 + 0)\n{goto} end\n{reads}end:\nr0 = 0\nexit"))
    };
    let fault = rewrite_code(&program("if r6 == 0 goto"), Context::Memory).err();
    assert_eq!(fault, Some(Fault { at: 1, what: What::TooFar(36000) }));
    // Nothing else leads to the reads then, so none of them is replaced.
    assert!(rewrite_code(&program("gotol"), Context::Memory).expect("a program").is_none());
    let back = format!("r6 = *(u64 *)(r1 + 0)\nagain:\n{}gotol again", "r2 = *(u8 *)(r6 + 0)\n".repeat(6000));
    let rewritten = rewrite_code(&assemble(&back), Context::Memory).expect("a program").expect("reads");
    assert_eq!(rewritten.code.last().map(|last| last.imm), Some(-36001));
}

/// A function as aya-obj hands it over, one line of source for each instruction.
fn function(text: &str) -> Function {
    let code = assemble(text);
    let mut function = Function {
        address: 0,
        name: "do_entry".into(),
        section_index: object::SectionIndex(0),
        section_offset: 0,
        instructions: code.iter().copied().map(bpf_insn::from).collect(),
        func_info: aya_obj::btf::FuncSecInfo::default(),
        line_info: aya_obj::btf::LineSecInfo::default(),
        func_info_rec_size: 8,
        line_info_rec_size: 16,
    };
    let line = |at: u32| bpf_line_info { insn_off: at, file_name_off: 0, line_off: 0, line_col: (at + 10) << 10 };
    function.line_info.line_info = (0..code.len()).map(|at| line(u32::try_from(at).expect("short"))).collect();
    function.func_info.func_info =
        vec![bpf_func_info { insn_off: 0, type_id: 3 }, bpf_func_info { insn_off: 4, type_id: 4 }];
    function
}

#[test]
fn notes_about_the_source_move_along() {
    let mut function = function(
        "r1 = *(u64 *)(r1 + 0)
         r6 = *(u64 *)(r1 + 0)
         call function
         exit
         function:
         r0 = *(u64 *)(r6 + 0)
         exit",
    );
    // r6 is not set in the called function: the verifier's business, not ours.
    assert_eq!(rewrite(&mut function, Context::Memory), Ok(1));
    let lines: Vec<u32> = function.line_info.line_info.iter().map(|line| line.insn_off).collect();
    assert_eq!(lines, [0, 1, 7, 8, 9, 10]);
    let functions: Vec<u32> = function.func_info.func_info.iter().map(|function| function.insn_off).collect();
    assert_eq!(functions, [0, 9]);
    assert_eq!(function.instructions.len(), 11);
}

#[test]
fn errors_name_program_and_line() {
    let mut full = function("r1 = *(u64 *)(r1 + 0)\n*(u64 *)(r10 - 512) = r1\nr0 = *(u64 *)(r1 + 0)\nexit");
    let error = rewrite(&mut full, Context::Memory).expect_err("no room");
    assert_eq!(error, ReadsError::Stack { program: "do_entry".into(), line: Some(11), used: 512, needed: 8 });
    assert_eq!(
        error.to_string(),
        "program `do_entry`, line 11: 512 bytes of stack and 8 more for reads of kernel memory are more than 512"
    );
    let mut astray = function("r0 = 0\ngoto +7\nexit");
    let error = rewrite(&mut astray, Context::Memory).expect_err("astray");
    assert_eq!(error.to_string(), "program `do_entry`, line 11: instruction 1 goes nowhere");
}

#[test]
fn programs_on_packets_are_left_alone() {
    assert_eq!(contexts_of(bpf_prog_type::BPF_PROG_TYPE_XDP), []);
    assert_eq!(contexts_of(bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS), []);
    assert_eq!(contexts_of(bpf_prog_type::BPF_PROG_TYPE_KPROBE), [Context::Memory]);
}

//! Single programs whose new text is known to the letter.

use aya_obj::{
    Function,
    generated::{bpf_func_info, bpf_insn, bpf_line_info, bpf_prog_type},
};

use super::assembler::{assemble, disassemble};
use crate::bcc::kernel_reads::{Context, Fault, ReadsError, What, context_of, rewrite, rewrite_code};

/// Rewrite a program, which must come out as expected.
#[track_caller]
fn becomes(context: Context, before: &str, after: &str) {
    let before = assemble(before);
    let rewritten = rewrite_code(&before, context).expect("a program");
    let code = rewritten.map_or(before, |rewritten| rewritten.code);
    assert_eq!(disassemble(&code), disassemble(&assemble(after)));
}

#[track_caller]
fn stays(context: Context, program: &str) {
    becomes(context, program, program);
}

#[test]
fn a_load_through_a_number_is_replaced() {
    becomes(
        Context::Memory,
        "r1 = *(u64 *)(r1 + 112)
         r0 = *(u32 *)(r1 + 16)
         exit",
        "r1 = *(u64 *)(r1 + 112)
         r3 = r1
         r3 += 16
         r1 = r10
         r1 += -8
         r2 = 4
         call 4
         r0 = *(u32 *)(r10 - 8)
         exit",
    );
}

#[test]
fn a_context_that_was_moved_is_read_like_memory() {
    becomes(
        Context::Memory,
        "r1 += 20
         r0 = *(u32 *)(r1 + 4)
         exit",
        "r1 += 20
         r3 = r1
         r3 += 4
         r1 = r10
         r1 += -8
         r2 = 4
         call 4
         r0 = *(u32 *)(r10 - 8)
         exit",
    );
    // Where the verifier sees something else than the memory that is there, only it can tell what to do.
    stays(Context::Converted, "r1 += 20\n r0 = *(u32 *)(r1 + 4)\n exit");
}

#[test]
fn sign_extending_loads_and_offsets_of_zero() {
    becomes(
        Context::Memory,
        "r3 = *(u64 *)(r1 + 0)
         r0 = *(s8 *)(r3 + 0)
         exit",
        "r3 = *(u64 *)(r1 + 0)
         r1 = r10
         r1 += -8
         r2 = 1
         call 4
         r0 = *(s8 *)(r10 - 8)
         exit",
    );
}

#[test]
fn what_lives_on_is_kept_in_registers_then_on_the_stack() {
    becomes(
        Context::Memory,
        "r6 = 1
         r7 = 2
         r8 = 3
         r4 = r1
         r2 = *(u64 *)(r1 + 0)
         *(u64 *)(r10 - 16) = r2
         r0 = *(u8 *)(r2 + 1)
         r0 += r2
         r4 = *(u64 *)(r4 + 8)
         r0 += r4
         r0 += r6
         r0 += r7
         r0 += r8
         exit",
        "r6 = 1
         r7 = 2
         r8 = 3
         r4 = r1
         r2 = *(u64 *)(r1 + 0)
         *(u64 *)(r10 - 16) = r2
         r9 = r2
         *(u64 *)(r10 - 32) = r4
         r3 = r2
         r3 += 1
         r1 = r10
         r1 += -24
         r2 = 1
         call 4
         r0 = *(u8 *)(r10 - 24)
         r2 = r9
         r4 = *(u64 *)(r10 - 32)
         r0 += r2
         r4 = *(u64 *)(r4 + 8)
         r0 += r4
         r0 += r6
         r0 += r7
         r0 += r8
         exit",
    );
}

#[test]
fn maps_frames_contexts_and_records_are_read_as_they_are() {
    stays(
        Context::Memory,
        "r6 = r1
         r2 = r10
         r2 += -4
         *(u32 *)(r10 - 4) = 0
         r1 = map 5 ll
         call 1
         if r0 == 0 goto end
         r1 = *(u64 *)(r0 + 8)
         r0 += 8
         r1 = *(u64 *)(r0 + 8)
         r1 = *(u64 *)(r6 + 8)
         r1 = *(u32 *)(r10 - 4)
         r1 = value 3 ll
         r1 = *(u64 *)(r1 + 0)
         r0 = 0
         end:
         exit",
    );
}

#[test]
fn pointers_survive_the_stack_unless_overwritten() {
    let program = |between: &str| {
        format!(
            "*(u64 *)(r10 - 8) = r1
             {between}
             r1 = *(u64 *)(r10 - 8)
             r0 = *(u64 *)(r1 + 0)
             exit"
        )
    };
    stays(Context::Memory, &program(""));
    stays(Context::Memory, &program("*(u32 *)(r10 - 12) = 1"));
    for overwritten in ["*(u32 *)(r10 - 8) = 1", "*(u8 *)(r10 - 1) = 1", "*(u64 *)(r10 - 4) = 1"] {
        let before = assemble(&program(overwritten));
        let rewritten = rewrite_code(&before, Context::Memory).expect("a program").expect("a read");
        assert_eq!(rewritten.reads, 1, "{overwritten}");
    }
}

#[test]
fn a_map_value_or_null_is_a_pointer_and_one_or_a_number_is_not() {
    let program = |other: &str| {
        format!(
            "r6 = *(u64 *)(r1 + 0)
             r2 = r10
             r2 += -4
             *(u32 *)(r10 - 4) = 0
             r1 = map 5 ll
             call 1
             if r6 == 0 goto join
             r0 = {other}
             join:
             if r0 == 0 goto end
             r0 = *(u64 *)(r0 + 0)
             end:
             exit"
        )
    };
    stays(Context::Memory, &program("0"));
    let before = assemble(&program("r6"));
    assert_eq!(rewrite_code(&before, Context::Memory).expect("a program").expect("a read").reads, 1);
}

#[test]
fn typed_programs_keep_their_loads_and_read_numbers() {
    becomes(
        Context::Typed,
        "r6 = *(u64 *)(r1 + 0)
         r6 = *(u64 *)(r6 + 8)
         r6 = *(u64 *)(r6 + 8)
         call 35
         r0 = *(u32 *)(r0 + 4)
         exit",
        "r6 = *(u64 *)(r1 + 0)
         r6 = *(u64 *)(r6 + 8)
         r6 = *(u64 *)(r6 + 8)
         call 35
         r3 = r0
         r3 += 4
         r1 = r10
         r1 += -8
         r2 = 4
         call 4
         r0 = *(u32 *)(r10 - 8)
         exit",
    );
    stays(
        Context::Memory,
        "call 158
         r0 = *(u64 *)(r0 + 8)
         r0 = *(u32 *)(r0 + 4)
         exit",
    );
}

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
         r3 = r1
         r3 += 4
         r1 = r10
         r1 += -8
         r2 = 4
         call 4
         r0 = *(u32 *)(r10 - 8)
         r1 = r6
         if r0 == 7 goto function
         exit
         callback:
         r3 = r1
         r3 += 4
         r1 = r10
         r1 += -8
         r2 = 4
         call 4
         r0 = *(u32 *)(r10 - 8)
         exit",
    );
}

#[test]
fn arguments_of_all_calls_count() {
    // The function reads the context for one caller and a number for the other.
    let program = |argument: &str| {
        format!(
            "r6 = r1
             call function
             r1 = {argument}
             call function
             exit
             function:
             r0 = *(u64 *)(r1 + 8)
             exit"
        )
    };
    stays(Context::Memory, &program("r6"));
    let before = assemble(&program("5"));
    assert_eq!(rewrite_code(&before, Context::Memory).expect("a program").expect("a read").reads, 1);
}

#[test]
fn a_register_that_only_some_ways_set_is_set_on_all() {
    becomes(
        Context::Memory,
        "r6 = *(u64 *)(r1 + 0)
         call 14
         if r6 == 0 goto read
         r4 = 5
         read:
         r1 = *(u32 *)(r6 + 4)
         r0 = 0
         if r1 == 0 goto end
         r0 = r4
         end:
         exit",
        "r6 = *(u64 *)(r1 + 0)
         call 14
         r4 = 0
         if r6 == 0 goto read
         r4 = 5
         read:
         r7 = r4
         r3 = r6
         r3 += 4
         r1 = r10
         r1 += -8
         r2 = 4
         call 4
         r1 = *(u32 *)(r10 - 8)
         r4 = r7
         r0 = 0
         if r1 == 0 goto end
         r0 = r4
         end:
         exit",
    );
}

#[test]
fn pointers_of_unknown_offset_get_the_whole_frame() {
    becomes(
        Context::Memory,
        "r6 = *(u64 *)(r1 + 0)
         r7 = r10
         r7 += -8
         r8 = r6
         r8 &= 7
         r7 -= r8
         *(u8 *)(r7 + 0) = 1
         r0 = *(u8 *)(r6 + 0)
         exit",
        "r6 = *(u64 *)(r1 + 0)
         r7 = r10
         r7 += -8
         r8 = r6
         r8 &= 7
         r7 -= r8
         *(u8 *)(r7 + 0) = 1
         r3 = r6
         r1 = r10
         r1 += -512
         r2 = 1
         call 4
         r0 = *(u8 *)(r10 - 512)
         exit",
    );
}

#[test]
fn a_frame_that_is_full_is_an_error() {
    let program = assemble(
        "r1 = *(u64 *)(r1 + 0)
         *(u64 *)(r10 - 512) = r1
         r0 = *(u64 *)(r1 + 0)
         exit",
    );
    let fault = rewrite_code(&program, Context::Memory).err();
    assert_eq!(fault, Some(Fault { at: 1, what: What::Stack { used: 512, needed: 8 } }));
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
    assert_eq!(context_of(bpf_prog_type::BPF_PROG_TYPE_XDP), None);
    assert_eq!(context_of(bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS), None);
    assert_eq!(context_of(bpf_prog_type::BPF_PROG_TYPE_KPROBE), Some(Context::Memory));
}

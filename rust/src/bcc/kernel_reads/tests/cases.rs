//! Single programs whose new text is known to the letter: what is replaced, and what is kept where.

use super::{assembler::assemble, expected::becomes};
use crate::bcc::kernel_reads::{Context, Fault, What, rewrite_code};

#[track_caller]
fn stays(context: Context, program: &str) {
    becomes(context, program, program);
}

#[track_caller]
fn reads_once(program: &str) {
    let rewritten = rewrite_code(&assemble(program), Context::Memory).expect("a program").expect("a read");
    assert_eq!(rewritten.reads, 1, "{program}");
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
         read[-8] r0 = *(u32 *)(r1 + 4)
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
         read[-8] r0 = *(s8 *)(r3 + 0)
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
         read[-24] r0 = *(u8 *)(r2 + 1)
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
        reads_once(&program(overwritten));
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
    reads_once(&program("r6"));
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
         read[-8] r0 = *(u32 *)(r0 + 4)
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
    reads_once(&program("5"));
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
         read[-8] r1 = *(u32 *)(r6 + 4)
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
         read[-512] r0 = *(u8 *)(r6 + 0)
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
fn programs_that_cast_what_is_typed_read_all_but_the_context() {
    let program = "r6 = *(u64 *)(r1 + 0)
         r0 = *(u32 *)(r6 + 4)
         exit";
    stays(Context::Typed, program);
    becomes(
        Context::Cast,
        program,
        "r6 = *(u64 *)(r1 + 0)
         read[-8] r0 = *(u32 *)(r6 + 4)
         exit",
    );
}

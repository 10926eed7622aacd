//! Code as Go 1.26 compiles it, byte for byte (from `go tool objdump`), and code made to be hard.

use proptest::prelude::*;

use super::*;

const START: u64 = 0x40_0000;
const COMPILED: FunctionFacts = FunctionFacts {
    assembly: false,
    restartable: Vec::new(),
};
const ASSEMBLY: FunctionFacts = FunctionFacts {
    assembly: true,
    restartable: Vec::new(),
};

fn amd64(bytes: &[u8]) -> Result<CallSites, Unmeasurable> {
    call_sites(Arch::X86_64, bytes, Vaddr(START), &COMPILED)
}

fn arm64(words: &[u32]) -> Result<CallSites, Unmeasurable> {
    call_sites(Arch::Aarch64, &bytes_of(words), Vaddr(START), &COMPILED)
}

fn bytes_of(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Sites with the entry at `entry`, all as offsets from the start.
fn sites(entry: u64, after_stack_check: bool, reenters: bool, exits: &[u64]) -> CallSites {
    CallSites {
        entry: EntrySite {
            address: Vaddr(START + entry),
            after_stack_check,
            reenters,
            keeps_arguments: true,
        },
        exits: exits.iter().map(|exit| Vaddr(START + exit)).collect(),
    }
}

/// The same where an instruction was passed over that arguments may not have survived.
fn moved(mut sites: CallSites) -> CallSites {
    sites.entry.keeps_arguments = false;
    sites
}

fn at(offset: u64) -> Vaddr {
    Vaddr(START + offset)
}

/// `check` and its branch, a frame, a return, and the restart.
fn checked(check: &[u8]) -> Vec<u8> {
    let mut code = check.to_vec();
    code.extend([0x76, 0x06]); // jbe +6
    code.extend([0x55, 0x48, 0x89, 0xe5, 0x5d, 0xc3]); // push rbp; mov rbp,rsp; pop rbp; ret
    code.extend([0xe8, 0, 0, 0, 0]); // call morestack
    let back = -(code.len() as i8 + 2);
    code.extend([0xeb, back as u8, 0xcc, 0xcc]); // jmp start; int3; int3
    code
}

#[test]
fn amd64_small_frame_is_entered_after_its_stack_check() {
    let code = checked(&[0x49, 0x3b, 0x66, 0x10]);
    assert_eq!(amd64(&code), Ok(sites(6, true, false, &[11])));
}

#[test]
fn amd64_systemstack_guard_is_a_stack_check_too() {
    let code = checked(&[0x49, 0x3b, 0x66, 0x18]);
    assert_eq!(amd64(&code), Ok(sites(6, true, false, &[11])));
}

#[test]
fn amd64_large_frame_is_entered_after_its_stack_check() {
    // lea r12, [rsp-0xe0]; cmp r12, [r14+0x10]
    let code = checked(&[
        0x4c, 0x8d, 0xa4, 0x24, 0x20, 0xff, 0xff, 0xff, 0x4d, 0x3b, 0x66, 0x10,
    ]);
    assert_eq!(amd64(&code), Ok(sites(14, true, false, &[19])));
}

#[test]
fn amd64_huge_frame_is_entered_after_its_stack_check() {
    // mov r12, rsp; sub r12, 0x12340; jb block; cmp r12, [r14+0x10]
    let code = checked(&[
        0x49, 0x89, 0xe4, 0x49, 0x81, 0xec, 0x40, 0x23, 0x01, 0x00, 0x72, 0x0c, 0x4d, 0x3b, 0x66,
        0x10,
    ]);
    assert_eq!(amd64(&code), Ok(sites(18, true, false, &[23])));
}

#[test]
fn amd64_stack_check_may_follow_a_load_of_g() {
    // mov r14, fs:[-8]
    let from_tls = [
        0x64, 0x4c, 0x8b, 0x34, 0x25, 0xf8, 0xff, 0xff, 0xff, 0x49, 0x3b, 0x66, 0x10,
    ];
    assert_eq!(
        amd64(&checked(&from_tls)),
        Ok(sites(15, true, false, &[20]))
    );
    // mov r14, [rip+…]; mov r14, fs:[r14]
    let from_got = [
        0x4c, 0x8b, 0x35, 1, 2, 3, 0, 0x64, 0x4d, 0x8b, 0x36, 0x49, 0x3b, 0x66, 0x10,
    ];
    assert_eq!(
        amd64(&checked(&from_got)),
        Ok(sites(17, true, false, &[22]))
    );
    // mov r14, -8; mov r14, fs:[r14]
    let relaxed = [
        0x49, 0xc7, 0xc6, 0xf8, 0xff, 0xff, 0xff, 0x64, 0x4d, 0x8b, 0x36, 0x49, 0x3b, 0x66, 0x10,
    ];
    assert_eq!(amd64(&checked(&relaxed)), Ok(sites(17, true, false, &[22])));
}

#[test]
fn amd64_bounds_check_of_the_same_looks_is_no_stack_check() {
    // cmp rsp, [r14+0x10]; jbe block; ret; block: call panicBounds; int3
    let code = [
        0x49, 0x3b, 0x66, 0x10, 0x76, 0x01, 0xc3, 0xe8, 0, 0, 0, 0, 0xcc,
    ];
    assert_eq!(amd64(&code), Ok(sites(0, false, false, &[6])));
    // cmp rbx, 3; jbe: not the comparison of a stack check
    let code = [
        0x48, 0x83, 0xfb, 0x03, 0x76, 0x01, 0xc3, 0xe8, 0, 0, 0, 0, 0xeb, 0xf2,
    ];
    assert_eq!(amd64(&code), Ok(sites(0, false, true, &[6])));
}

#[test]
fn amd64_loop_to_the_first_instruction_reenters() {
    let code = [
        0x48, 0x8b, 0x08, 0x48, 0xff, 0xc1, 0x48, 0x89, 0x08, 0x48, 0x81, 0xf9, 0xe8, 0x03, 0, 0,
        0x7e, 0xee, 0xc3, 0xcc,
    ];
    assert_eq!(amd64(&code), Ok(sites(0, false, true, &[18])));
    // A loop to another instruction doesn't.
    let code = [0x90, 0x48, 0x8b, 0x00, 0x48, 0x85, 0xc0, 0x75, 0xf8, 0xc3];
    assert_eq!(amd64(&code), Ok(sites(0, false, false, &[9])));
}

#[test]
fn amd64_every_return_is_an_exit() {
    // ret; ret 8; repz ret; the padding is not
    assert_eq!(
        amd64(&[0x90, 0xc3, 0xc2, 0x08, 0x00, 0xf3, 0xc3, 0xcc]),
        Ok(sites(0, false, false, &[1, 2, 5]))
    );
}

#[test]
fn amd64_return_byte_within_an_instruction_is_no_exit() {
    // mov eax, 0xc3c3c3c3; jmp rel8 whose displacement is 0xcc… at the very end
    let mut code = vec![0xb8, 0xc3, 0xc3, 0xc3, 0xc3, 0xc3];
    code.extend(std::iter::repeat_n(0x90, 60));
    code.extend([0xeb, 0xcc]);
    assert_eq!(amd64(&code), Ok(sites(0, false, false, &[5])));
}

#[test]
fn amd64_function_without_return_is_measurable() {
    // call; ud2
    assert_eq!(
        amd64(&[0x90, 0xe8, 0, 0, 0, 0, 0x0f, 0x0b]),
        Ok(sites(0, false, false, &[]))
    );
}

#[test]
fn amd64_jumps_out_of_the_function_are_tail_calls() {
    let tail = |offset| Err(Unmeasurable::TailCall { at: at(offset) });
    assert_eq!(amd64(&[0x90, 0xe9, 0, 1, 0, 0]), tail(1)); // jmp rel32
    assert_eq!(amd64(&[0x90, 0xeb, 0x80]), tail(1)); // jmp rel8, backwards
    assert_eq!(amd64(&[0x74, 0x40, 0xc3]), tail(0)); // je
    assert_eq!(amd64(&[0x48, 0x8b, 0x49, 0x18, 0xff, 0xe1]), tail(4)); // mov rcx,[rcx+24]; jmp rcx
    assert_eq!(amd64(&[0xff, 0x62, 0x18]), tail(0)); // jmp [rdx+24]
}

#[test]
fn amd64_switch_through_a_table_stays_in_the_function() {
    // jmp [rsi+rdx*8]; ret
    let code = [0x90, 0xff, 0x24, 0xd6, 0xc3];
    assert_eq!(amd64(&code), Ok(sites(0, false, true, &[4])));
    // Only compiled code promises that.
    let made = call_sites(Arch::X86_64, &code, Vaddr(START), &ASSEMBLY);
    assert_eq!(made, Err(Unmeasurable::TailCall { at: at(1) }));
    // Where a second pass would unbalance the stack, the table can't lead back: push rbp; …; pop rbp
    let code = [0x55, 0xff, 0x24, 0xd6, 0x5d, 0xc3];
    assert_eq!(amd64(&code), Ok(sites(0, false, false, &[5])));
}

#[test]
fn amd64_lock_prefix_moves_the_entry_or_refuses() {
    // lock xadd [rax], ecx; mov eax, ecx; ret
    let code = [0xf0, 0x0f, 0xc1, 0x08, 0x89, 0xc8, 0xc3];
    assert_eq!(amd64(&code), Ok(moved(sites(4, false, false, &[6]))));
    // lock or [rax], ebx; ret: what follows is the return
    let refused = Err(Unmeasurable::LockPrefix { at: at(0) });
    assert_eq!(amd64(&[0xf0, 0x09, 0x18, 0xc3]), refused);
    // Nothing follows.
    assert_eq!(amd64(&[0xf0, 0x09, 0x18]), refused);
}

#[test]
fn a_function_that_only_returns_has_no_duration() {
    let empty = Err(Unmeasurable::Unprobeable {
        at: at(0),
        why: Refusal::Return,
    });
    assert_eq!(amd64(&[0xc3, 0xcc]), empty);
    assert_eq!(arm64(&[RET, 0]), empty);
}

#[test]
fn amd64_invalid_code_is_not_guessed_at() {
    // 06 (push es) does not exist in 64-bit code; a return follows it
    assert_eq!(
        amd64(&[0x90, 0x06, 0xc3]),
        Err(Unmeasurable::Undecodable { at: at(1) })
    );
    // An instruction cut off by the end.
    assert_eq!(
        amd64(&[0xc3, 0xe8, 0, 0]),
        Err(Unmeasurable::Undecodable { at: at(1) })
    );
}

#[test]
fn padding_alone_is_no_function() {
    assert_eq!(amd64(&[]), Err(Unmeasurable::NotGo));
    assert_eq!(amd64(&[0xcc; 16]), Err(Unmeasurable::NotGo));
    assert_eq!(arm64(&[0; 4]), Err(Unmeasurable::NotGo));
}

#[test]
fn amd64_assembly_that_uses_r14_or_calls_loses_g() {
    let made = |bytes: &[u8]| call_sites(Arch::X86_64, bytes, Vaddr(START), &ASSEMBLY);
    let lost = |offset| Err(Unmeasurable::ClobbersG { at: at(offset) });
    assert_eq!(made(&[0x90, 0x4d, 0x89, 0xc6, 0xc3]), lost(1)); // mov r14, r8
    assert_eq!(made(&[0x90, 0x41, 0xff, 0xc6, 0xc3]), lost(1)); // inc r14d
    assert_eq!(made(&[0x90, 0xe8, 0, 0, 0, 0, 0xc3]), lost(1)); // call
    assert_eq!(
        made(&[0x4d, 0x89, 0xf0, 0xc3]),
        Ok(sites(0, false, false, &[3]))
    ); // mov r8, r14
    let load = [0x64, 0x4c, 0x8b, 0x34, 0x25, 0xf8, 0xff, 0xff, 0xff, 0xc3]; // mov r14, fs:[-8]
    assert_eq!(made(&load), Ok(sites(0, false, false, &[9])));
}

#[test]
fn amd64_kernel_refusals_and_emulations() {
    let refusal = Amd64::refusal;
    assert_eq!(refusal(&[0xf0, 0x0f, 0xb1, 0x32]), Some(Refusal::Lock));
    assert_eq!(
        refusal(&[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0]),
        Some(Refusal::SegmentPrefix)
    );
    // xchg rax, r8; xchg eax, r8d; xchg ax, r8w
    for exchange in [&[0x49, 0x90][..], &[0x41, 0x90], &[0x66, 0x41, 0x90]] {
        assert_eq!(refusal(exchange), Some(Refusal::Misread), "{exchange:x?}");
    }
    assert_eq!(refusal(&[0xf4]), Some(Refusal::Opcode)); // hlt
    assert_eq!(refusal(&[0x0f, 0x0b]), Some(Refusal::Opcode)); // ud2
    assert_eq!(refusal(&[0xc5, 0xfe, 0x6f, 0x06]), Some(Refusal::Opcode)); // vmovdqu ymm0, [rsi]
    for accepted in [
        &[0xc3][..],
        &[0x55],
        &[0x90],
        &[0xf3, 0x90],       // pause
        &[0x66, 0x48, 0x90], // a NOP of three bytes
        &[0x48, 0x92],       // xchg rax, rdx
        &[0x41, 0x57],
        &[0x48, 0x83, 0xec, 0x18],
        &[0xc5, 0xf8, 0x77],
    ] {
        assert_eq!(refusal(accepted), None, "{accepted:x?}");
    }
    for cheap in [
        &[0x55][..],
        &[0x41, 0x57],
        &[0x90],
        &[0xeb, 0],
        &[0x0f, 0x84, 0, 0, 0, 0],
    ] {
        assert!(emulated(Arch::X86_64, cheap), "{cheap:x?}");
    }
    for dear in [&[0xc3][..], &[0x48, 0x83, 0xec, 0x18], &[0xff, 0xe0], &[]] {
        assert!(!emulated(Arch::X86_64, dear), "{dear:x?}");
    }
}

/// What coverage probes: where a hit is cheapest, but nothing that may not be come to.
#[test]
fn amd64_a_block_is_probed_where_a_hit_is_cheapest() {
    let of = |bytes: &[u8]| entry(Arch::X86_64, bytes, at(0));
    // sub rsp, 0x18; mov [rsp+0x10], rbp; test rax, rax; je +1; nop; ret
    let calm = [
        0x48, 0x83, 0xec, 0x18, 0x48, 0x89, 0x6c, 0x24, 0x10, 0x48, 0x85, 0xc0, 0x74, 1, 0x90, 0xc3,
    ];
    assert_eq!(of(&calm), Ok(at(12)));
    // sub rsp, 0x18; mov rdx, [rax]; je +1; nop; ret: the load may fault
    let may_fault = [
        0x48, 0x83, 0xec, 0x18, 0x48, 0x8b, 0x10, 0x74, 1, 0x90, 0xc3,
    ];
    assert_eq!(of(&may_fault), Ok(at(0)));
    // nop5; sub rsp, 0x18; ret: the kernel would write a call over the NOP
    let rewritten = [0x0f, 0x1f, 0x44, 0, 0, 0x48, 0x83, 0xec, 0x18, 0xc3];
    assert_eq!(of(&rewritten), Ok(at(5)));
    // inc eax; nop; jne -3: the jump leads behind the first instruction, where another block begins
    let loops = [0xff, 0xc0, 0x90, 0x75, 0xfd, 0xc3];
    assert_eq!(of(&loops), Ok(at(0)));
    let found = blocks(Arch::X86_64, &loops, at(0), &[], 0).expect("it decodes");
    let sites: Vec<_> = found.blocks.iter().map(|block| block.site).collect();
    assert_eq!(sites, [Some(at(0)), Some(at(2)), Some(at(5))]);
}

const RET: u32 = 0xd65f_03c0;
const NOP: u32 = 0xd503_201f;
/// `ldr x16, [x28, #16]`
const GUARD: u32 = 0xf940_0b90;
/// `cmp x17, x16`
const COMPARE: u32 = 0xeb10_023f;

/// `check`, a frame, a return, and the restart; with the branch on `lower or same` filled in.
fn checked_arm64(check: &[u32]) -> Vec<u32> {
    let mut code = check.to_vec();
    code.push(0x5400_0009 | 4 << 5); // b.ls +4
    code.extend([0xf81e_0ffe, 0xf842_07fe, RET]); // str x30,[sp,#-32]!; ldr x30,[sp],#32; ret
    code.extend([0xaa1e_03e3, 0x9400_1000]); // mov x3, x30; bl morestack
    let back = -(code.len() as i32) & 0x03ff_ffff;
    code.extend([0x1400_0000 | back as u32, 0, 0]); // b start; padding
    code
}

#[test]
fn arm64_is_entered_after_its_stack_check() {
    let forms: [&[u32]; 8] = [
        &[0xf940_0b81, 0x9100_03e2, 0xeb01_005f], // Go 1.17: ldr x1; mov x2, sp; cmp x2, x1
        &[GUARD, 0x9100_03f1, COMPARE],           // Go 1.18: mov x17, sp
        &[GUARD, 0xeb30_63ff],                    // cmp sp, x16
        &[0xf940_0f90, 0xeb30_63ff],              // with guard 24
        &[GUARD, 0xd10f_83f1, COMPARE],           // sub x17, sp, #992
        &[GUARD, 0xf13e_43f1, 0x5400_0000 | 6 << 5 | 3, COMPARE], // subs x17, sp, #3984
        &[
            GUARD,
            0xd282_741b,
            0xeb3b_63f1,
            0x5400_0000 | 6 << 5 | 3,
            COMPARE,
        ], // mov x27, #5024
        &[
            GUARD,
            0xd29f_f21b,
            0xf2a3_fffb,
            0xeb3b_63f1,
            0x5400_0000 | 6 << 5 | 3,
            COMPARE,
        ],
    ];
    for form in forms {
        let entry = (form.len() as u64 + 1) * 4;
        assert_eq!(
            arm64(&checked_arm64(form)),
            Ok(sites(entry, true, false, &[entry + 8])),
            "{form:x?}"
        );
    }
}

#[test]
fn arm64_table_does_not_lead_to_the_set_up_of_a_frame() {
    // ldr x16; cmp sp, x16; b.ls +6; sub x20, sp, #32: writes no SP. ldr x27, […]; br x27; ret
    let mut code = vec![GUARD, 0xeb30_63ff, 0x5400_0009 | 5 << 5];
    code.extend([0xd100_83f4, 0xf862_787b, 0xd61f_0360, RET]);
    code.extend([0x9400_1000, 0x1400_0000 | (-8_i32 as u32 & 0x03ff_ffff)]); // bl; b start
    assert_eq!(arm64(&code), Ok(sites(12, true, false, &[24])));
}

#[test]
fn arm64_leaf_is_entered_at_its_first_instruction() {
    assert_eq!(arm64(&[NOP, RET, 0]), Ok(sites(0, false, false, &[4])));
    // cbnz x0, start
    assert_eq!(
        arm64(&[NOP, 0xb5ff_ffe0, RET]),
        Ok(sites(0, false, true, &[8]))
    );
    // ret x1 returns too
    assert_eq!(arm64(&[NOP, 0xd65f_0020]), Ok(sites(0, false, false, &[4])));
}

/// `atomic.AddInt64` in a leaf: Go 1.26 loads whether there are atomic instructions by way of R27, and
/// goes back to the first byte when it preempts the goroutine in between.
#[test]
fn arm64_is_entered_at_the_end_of_a_sequence_that_is_restarted() {
    // adrp x27; ldrb w0, [x27, #3820]; tbz w0, #0, +8; nop; ret
    let code = [0xf000_09fb, 0x397b_b360, 0x3600_0040, NOP, RET];
    let with = |restartable| restarted(&code, restartable);
    assert_eq!(with(vec![]), Ok(sites(0, false, false, &[16])));
    let sequence = START..START + 8;
    // R27 is no argument's.
    assert_eq!(with(vec![sequence]), Ok(sites(4, false, false, &[16])));
    // One right behind the other.
    let two = vec![START..START + 4, START + 4..START + 8];
    assert_eq!(with(two), Ok(sites(0, false, false, &[16])));
    // To its end not every call comes.
    let beyond = START..START + 16;
    let why = Refusal::Restarted;
    assert_eq!(
        with(vec![beyond]),
        Err(Unmeasurable::Unprobeable { at: at(0), why })
    );
}

fn restarted(code: &[u32], restartable: Vec<Range<u64>>) -> Result<CallSites, Unmeasurable> {
    let facts = FunctionFacts {
        assembly: false,
        restartable,
    };
    call_sites(Arch::Aarch64, &bytes_of(code), Vaddr(START), &facts)
}

#[test]
fn arm64_arguments_are_kept_by_what_writes_no_register_of_theirs() {
    let passed = |word: u32| {
        let sequence = START..START + 8;
        let sites = restarted(&[word, NOP, NOP, RET], vec![sequence]).expect("sites");
        assert_eq!(sites.entry.address, at(4), "{word:#x}");
        sites.entry.keeps_arguments
    };
    for kept in [
        0xf000_09fb, // adrp x27
        0xd282_0c1b, // movz x27, #4192
        0xcb3b_63f4, // sub x20, sp, x27
        0x9100_0471, // add x17, x3, #1
        0xb27a_03f0, // orr x16, xzr, #64
        0xf100_041f, // cmp x0, #1
        0x8b01_0010, // add x16, x0, x1
    ] {
        assert!(passed(kept), "{kept:#x}");
    }
    for lost in [
        0xf000_09e0, // adrp x0
        0xf000_09ef, // adrp x15
        0x9100_0421, // add x1, x1, #1
        0x8b01_0000, // add x0, x0, x1
        0xf944_1b61, // ldr x1, [x27, #2096]
        0xf900_03f0, // str x16, [sp]
        0xf840_8c10, // ldr x16, [x0, #8]!
        0xf821_0010, // ldadd x1, x16, [x0]
        0xa9ff_4410, // ldp x16, x17, [x0, #-16]!
    ] {
        assert!(!passed(lost), "{lost:#x}");
    }
}

#[test]
fn arm64_jumps() {
    let tail = |offset| Err(Unmeasurable::TailCall { at: at(offset) });
    assert_eq!(arm64(&[NOP, 0x1400_1000]), tail(4)); // b
    assert_eq!(arm64(&[NOP, 0x3600_ff00, RET]), tail(4)); // tbz
    assert_eq!(arm64(&[0xf940_0c20, 0xd61f_0000]), tail(4)); // ldr x0,[x1,#24]; br x0
    // ldr x27, [x3, x2, lsl #3]; br x27
    assert_eq!(
        arm64(&[NOP, 0xf862_787b, 0xd61f_0360, RET]),
        Ok(sites(0, false, true, &[12]))
    );
    // The same load into another register is no table.
    assert_eq!(arm64(&[NOP, 0xf862_7861, 0xd61f_0360, RET]), tail(8));
}

#[test]
fn arm64_literals_are_data_and_other_words_must_decode() {
    const DATA: u32 = RET;
    // nop; ldr x0, +8; ret; data; data: the words look like returns and are none
    let found = arm64(&[NOP, 0x5800_0040, RET, DATA, DATA]);
    assert_eq!(found, Ok(sites(0, false, false, &[8])));
    // A reserved encoding.
    assert_eq!(
        arm64(&[NOP, 0x0200_0018, RET]),
        Err(Unmeasurable::Undecodable { at: at(4) })
    );
    // Constants that nothing loads may stand behind the last instruction.
    let left = arm64(&[NOP, RET, 0x0011_4c00, 0]);
    assert_eq!(left, Ok(sites(0, false, false, &[4])));
    let falls_in = arm64(&[RET, NOP, 0x0200_0018]);
    assert_eq!(falls_in, Err(Unmeasurable::Undecodable { at: at(8) }));
    let jumped_to = arm64(&[0xb500_0060, NOP, RET, 0x0200_0018]);
    assert_eq!(jumped_to, Err(Unmeasurable::Undecodable { at: at(12) }));
    let returns_again = arm64(&[NOP, RET, 0x0200_0018, RET]);
    assert_eq!(returns_again, Err(Unmeasurable::Undecodable { at: at(8) }));
    // A zero word is an instruction that traps, at the end or not.
    assert_eq!(arm64(&[NOP, 0, RET]), Ok(sites(0, false, false, &[8])));
    // Control may not fall into data.
    assert_eq!(
        arm64(&[0x5800_0040, NOP, DATA, DATA]),
        Err(Unmeasurable::Undecodable { at: at(8) })
    );
    // A rest of fewer than four bytes.
    let code = [&bytes_of(&[RET])[..], &[0, 0]].concat();
    let cut = call_sites(Arch::Aarch64, &code, Vaddr(START), &COMPILED);
    assert_eq!(cut, Err(Unmeasurable::Undecodable { at: at(4) }));
}

#[test]
fn arm64_exclusive_load_is_not_probed() {
    // ldaxr x1, [x0]; nop; ret
    assert_eq!(
        arm64(&[0xc85f_fc01, NOP, RET]),
        Ok(moved(sites(4, false, false, &[8])))
    );
    // ldar x0, [x0] is no exclusive load
    assert_eq!(arm64(&[0xc8df_fc00, RET]), Ok(sites(0, false, false, &[4])));
}

#[test]
fn arm64_assembly_that_uses_x28_or_calls_loses_g() {
    let made = |words: &[u32]| call_sites(Arch::Aarch64, &bytes_of(words), Vaddr(START), &ASSEMBLY);
    let lost = |offset| Err(Unmeasurable::ClobbersG { at: at(offset) });
    assert_eq!(made(&[NOP, 0xaa01_03fc, RET]), lost(4)); // mov x28, x1
    assert_eq!(made(&[NOP, 0xf940_001c, RET]), lost(4)); // ldr x28, [x0]
    assert_eq!(made(&[NOP, 0xa940_701b, RET]), lost(4)); // ldp x27, x28, [x0]
    assert_eq!(made(&[NOP, 0x9400_0001, RET]), lost(4)); // bl
    let kept = Ok(sites(0, false, false, &[8]));
    assert_eq!(made(&[NOP, 0xf900_001c, RET]), kept); // str x28, [x0]
    assert_eq!(made(&[NOP, 0xf940_0b90, RET]), kept); // ldr x16, [x28, #16]
}

#[test]
fn a_call_is_found_by_its_target() {
    // nop; call +0; ret
    let code = [0x90, 0xe8, 0, 0, 0, 0, 0xc3];
    assert_eq!(
        find_call(Arch::X86_64, &code, Vaddr(START), at(6)),
        Some(at(1))
    );
    assert_eq!(find_call(Arch::X86_64, &code, Vaddr(START), at(5)), None);
    let code = bytes_of(&[NOP, 0x9400_0002, RET]);
    assert_eq!(
        find_call(Arch::Aarch64, &code, Vaddr(START), at(12)),
        Some(at(4))
    );
}

proptest! {
    /// Whatever the bytes, wherever they stand: it ends, and every site lies in the function, in order.
    #[test]
    fn any_bytes_decode_or_are_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..512),
        start in prop_oneof![any::<u64>(), Just(0), Just(u64::MAX - 100)],
        assembly: bool,
    ) {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            find_call(arch, &bytes, Vaddr(start), Vaddr(start));
            emulated(arch, &bytes);
            let facts = FunctionFacts {
                assembly,
                restartable: std::iter::once(start..start.saturating_add(12)).collect(),
            };
            if let Ok(sites) = call_sites(arch, &bytes, Vaddr(start), &facts) {
                let offset = |site: Vaddr| site.0.wrapping_sub(start);
                prop_assert!(offset(sites.entry.address) < bytes.len() as u64);
                prop_assert!(sites.exits.iter().all(|exit| offset(*exit) < bytes.len() as u64));
                prop_assert!(sites.exits.is_sorted_by_key(|exit| offset(*exit)));
            }
        }
    }
}

//! A machine that runs small programs, and refuses what the verifier would on the way that is taken.
//!
//! Every value carries whether it is a pointer. Loads through numbers are what the rewriting is about: a machine that
//! is `lenient` reads kernel memory there, one that is not refuses.

use std::collections::HashMap;

use crate::bcc::kernel_reads::{
    helpers,
    instruction::{FRAME, Flow, Instruction, code},
};

/// Where frames, the context, and the one map value are.
const FRAMES: u64 = 0xffff_c900_0000_0000;
pub(super) const CONTEXT: u64 = 0xffff_c900_1000_0000;
pub(super) const VALUE: u64 = 0xffff_c900_2000_0000;
pub(super) const CONTEXT_BYTES: u64 = 64;
pub(super) const VALUE_BYTES: u64 = 64;
/// Kernel memory that can be read.
pub(super) const KERNEL: u64 = 0xffff_8880_0000_0000;
const KERNEL_BYTES: u64 = 1 << 16;

/// Why a run ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The verifier would refuse this.
    Refused(usize, &'static str),
    /// It went on for too long.
    TooLong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word {
    bits: u64,
    pointer: bool,
}

/// What can be seen of a run from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Stored { at: u64, bytes: Vec<u8> },
    Helper { number: i32, arguments: Vec<u64> },
    Ended { result: u64 },
}

/// A run of a program.
pub(super) struct Machine<'a> {
    program: &'a [Instruction],
    lenient: bool,
    registers: [Option<Word>; 11],
    /// Bytes that were written to frames and to the map value.
    memory: HashMap<u64, u8>,
    /// Where whole pointers lie in frames.
    pointers: HashMap<u64, u64>,
    callers: Vec<(usize, [Option<Word>; 4])>,
    pub(super) events: Vec<Event>,
}

fn noise(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// A byte of kernel memory: every other word is an address of more of it.
fn kernel_byte(address: u64) -> u8 {
    let word = address & !7;
    let noise = noise(word);
    let value = if noise.is_multiple_of(4) { noise } else { KERNEL + (noise >> 8) % (KERNEL_BYTES + 64) };
    value.to_le_bytes()[(address & 7) as usize]
}

fn within(address: u64, bytes: u64, start: u64, size: u64) -> bool {
    address >= start && address.checked_add(bytes).is_some_and(|end| end <= start + size)
}

impl<'a> Machine<'a> {
    pub(super) fn new(program: &'a [Instruction], lenient: bool) -> Self {
        let mut machine = Self {
            program,
            lenient,
            registers: [None; 11],
            memory: HashMap::new(),
            pointers: HashMap::new(),
            callers: Vec::new(),
            events: Vec::new(),
        };
        machine.registers[1] = Some(Word { bits: CONTEXT, pointer: true });
        machine.registers[10] = Some(Word { bits: FRAMES, pointer: true });
        machine
    }

    /// Run to the end, or to where it stops.
    pub(super) fn run(&mut self, fuel: usize) -> Result<(), Stop> {
        let mut at = 0;
        for _ in 0..fuel {
            let Some(instruction) = self.program.get(at).copied() else {
                return Err(Stop::Refused(at, "runs off the end"));
            };
            match self.step(at, instruction).map_err(|cause| Stop::Refused(at, cause))? {
                Some(next) => at = next,
                None => return Ok(()),
            }
        }
        Err(Stop::TooLong)
    }

    fn get(&self, register: u8) -> Result<Word, &'static str> {
        self.registers[usize::from(register)].ok_or("reads a register that nobody has written")
    }

    fn set(&mut self, register: u8, word: Word) -> Result<(), &'static str> {
        if register == FRAME {
            return Err("writes the frame pointer");
        }
        self.registers[usize::from(register)] = Some(word);
        Ok(())
    }

    fn frame(&self) -> u64 {
        FRAMES - 512 * self.callers.len() as u64
    }

    /// Whether memory may be touched through a pointer.
    fn is_ours(&self, address: u64, bytes: u64) -> bool {
        within(address, bytes, self.frame() - 512, 512 * (self.callers.len() as u64 + 1))
            || within(address, bytes, VALUE, VALUE_BYTES)
    }

    fn byte(&self, address: u64) -> u8 {
        if within(address, 1, KERNEL, KERNEL_BYTES) {
            return kernel_byte(address);
        }
        if within(address, 1, CONTEXT, CONTEXT_BYTES) {
            // The first words are addresses.
            let word = (address - CONTEXT) / 8;
            let value = if word < 4 { KERNEL + word * 0x1000 } else { noise(word) };
            return value.to_le_bytes()[(address & 7) as usize];
        }
        self.memory.get(&address).copied().unwrap_or(0)
    }

    fn bytes(&self, address: u64, count: u64) -> Vec<u8> {
        (0..count).map(|index| self.byte(address.wrapping_add(index))).collect()
    }

    /// Read as the helper does: nothing of it, if not all can be read.
    fn probe(&self, address: u64, count: u64) -> Vec<u8> {
        let readable = within(address, count, KERNEL, KERNEL_BYTES)
            || within(address, count, CONTEXT, CONTEXT_BYTES)
            || self.is_ours(address, count);
        if readable { self.bytes(address, count) } else { vec![0; count as usize] }
    }

    fn write(&mut self, address: u64, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            self.memory.insert(address + index as u64, *byte);
            self.pointers.remove(&((address + index as u64) & !7));
        }
        if within(address, 1, VALUE, VALUE_BYTES) {
            self.events.push(Event::Stored { at: address, bytes: bytes.to_vec() });
        }
    }

    fn load(&mut self, instruction: Instruction) -> Result<Word, &'static str> {
        let base = self.get(instruction.src)?;
        let address = base.bits.wrapping_add(instruction.off as u64);
        let count = u64::from(instruction.bytes());
        let bytes = if base.pointer {
            if !self.is_ours(address, count) && !within(address, count, CONTEXT, CONTEXT_BYTES) {
                return Err("loads from outside");
            }
            let in_frame = within(address, count, self.frame() - 512, 512 * 64);
            if in_frame && (0..count).any(|index| !self.memory.contains_key(&(address + index))) {
                return Err("loads what nobody has stored");
            }
            self.bytes(address, count)
        } else if self.lenient && address >= 4096 {
            self.probe(address, count)
        } else {
            return Err("loads through a number");
        };
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(&bytes);
        let mut bits = u64::from_le_bytes(word);
        if instruction.mode() == code::MEMSX {
            let shift = 64 - 8 * count;
            bits = ((bits << shift) as i64 >> shift) as u64;
        }
        let pointer = base.pointer && count == 8 && self.pointers.contains_key(&address);
        Ok(Word { bits, pointer })
    }

    fn store(&mut self, instruction: Instruction, word: Word) -> Result<(), &'static str> {
        let base = self.get(instruction.dst)?;
        let address = base.bits.wrapping_add(instruction.off as u64);
        let count = usize::from(instruction.bytes());
        if !base.pointer || !self.is_ours(address, count as u64) {
            return Err("stores to where it must not");
        }
        let in_value = within(address, 1, VALUE, VALUE_BYTES);
        if word.pointer && (in_value || count != 8 || address % 8 != 0) {
            return Err("leaks a pointer");
        }
        let bits = if instruction.is_atomic() {
            let old = self.probe(address, 8);
            u64::from_le_bytes(old.try_into().unwrap_or_default()).wrapping_add(word.bits)
        } else {
            word.bits
        };
        self.write(address, &bits.to_le_bytes()[..count]);
        if word.pointer && !instruction.is_atomic() {
            self.pointers.insert(address, word.bits);
        }
        Ok(())
    }

    fn call_helper(&mut self, number: i32) -> Result<(), &'static str> {
        let count = helpers::arguments(number);
        let arguments = (1..=count).map(|register| self.get(register)).collect::<Result<Vec<_>, _>>()?;
        let mut result = Word { bits: 0, pointer: false };
        if number == helpers::PROBE_READ {
            let [to, size, from] = arguments[..] else { return Err("takes three arguments") };
            if !to.pointer || !self.is_ours(to.bits, size.bits) {
                return Err("writes to where it must not");
            }
            let bytes = self.probe(from.bits, size.bits);
            self.write(to.bits, &bytes);
        } else if number == 16 {
            let [to, size] = arguments[..] else { return Err("takes two arguments") };
            if !to.pointer || size.bits > 64 || !self.is_ours(to.bits, size.bits) {
                return Err("writes to where it must not");
            }
            self.write(to.bits, &vec![7; size.bits as usize]);
        } else {
            let seen = arguments.iter().map(|word| if word.pointer { 0 } else { word.bits });
            self.events.push(Event::Helper { number, arguments: seen.collect() });
            result.bits = match number {
                1 => VALUE,
                35 => KERNEL + 0x800,
                _ => noise(self.events.len() as u64),
            };
            result.pointer = number == 1;
        }
        self.clobber();
        self.registers[0] = Some(result);
        Ok(())
    }

    fn clobber(&mut self) {
        for register in &mut self.registers[1..=5] {
            *register = None;
        }
    }

    fn compute(&mut self, instruction: Instruction) -> Result<(), &'static str> {
        let Instruction { dst, src, imm, .. } = instruction;
        let number = |bits: u64| Word { bits, pointer: false };
        let right = if instruction.has_source() { self.get(src)? } else { number(imm as u64) };
        let wide = instruction.class() == code::ALU64;
        if instruction.operation() == code::MOV {
            let word = if wide { right } else { number(right.bits & u64::from(u32::MAX)) };
            return self.set(dst, word);
        }
        let left = self.get(dst)?;
        let pointer = left.pointer || right.pointer;
        let (operation, both) = (instruction.operation(), left.pointer && right.pointer);
        if pointer && !(wide && !both && (operation == code::ADD || operation == code::SUB && left.pointer)) {
            return Err("computes with a pointer");
        }
        let (a, b) = (left.bits, right.bits);
        let bits = match operation {
            code::ADD => a.wrapping_add(b),
            code::SUB => a.wrapping_sub(b),
            0x40 => a | b,
            0x50 => a & b,
            0xa0 => a ^ b,
            0x60 => a << (b & if wide { 63 } else { 31 }),
            _ => return Err("computes what this machine cannot"),
        };
        self.set(dst, Word { bits: if wide { bits } else { bits & u64::from(u32::MAX) }, pointer })
    }

    fn holds(&self, instruction: Instruction) -> Result<bool, &'static str> {
        let left = self.get(instruction.dst)?;
        let right = if instruction.has_source() { self.get(instruction.src)?.bits } else { instruction.imm as u64 };
        Ok(match instruction.operation() {
            0x10 => left.bits == right,
            0x20 => left.bits > right,
            0x50 => left.bits != right,
            0xa0 => left.bits < right,
            _ => return Err("compares as this machine cannot"),
        })
    }

    /// Run one instruction; return where the next is.
    fn step(&mut self, at: usize, instruction: Instruction) -> Result<Option<usize>, &'static str> {
        let Instruction { dst, src, imm, .. } = instruction;
        let land = |distance: i64| usize::try_from(at as i64 + 1 + distance).map_err(|_| "goes nowhere");
        match instruction.class() {
            code::LD => {
                let high = self.program.get(at + 1).map_or(0, |second| i64::from(second.imm));
                let bits = (high << 32 | i64::from(imm as u32)) as u64;
                self.set(dst, Word { bits, pointer: src != 0 })?;
                return Ok(Some(at + 2));
            }
            code::LDX => {
                let word = self.load(instruction)?;
                self.set(dst, word)?;
            }
            code::ST => self.store(instruction, Word { bits: imm as u64, pointer: false })?,
            code::STX => self.store(instruction, self.get(src)?)?,
            code::ALU | code::ALU64 => self.compute(instruction)?,
            _ => match instruction.flow() {
                Flow::Jump(distance) => return land(distance).map(Some),
                Flow::Branch(distance) if self.holds(instruction)? => return land(distance).map(Some),
                Flow::Branch(_) => {}
                Flow::Next => self.call_helper(imm)?,
                Flow::Call(distance) => {
                    if self.callers.len() >= 7 {
                        return Err("calls too deep");
                    }
                    let mut kept = [None; 4];
                    kept.copy_from_slice(&self.registers[6..=9]);
                    self.callers.push((at + 1, kept));
                    self.registers[6..=9].fill(None);
                    self.registers[0] = None;
                    self.registers[10] = Some(Word { bits: self.frame(), pointer: true });
                    return land(distance).map(Some);
                }
                Flow::Exit => return self.leave(),
            },
        }
        Ok(Some(at + 1))
    }

    fn leave(&mut self) -> Result<Option<usize>, &'static str> {
        let result = self.get(0)?;
        let Some((back, kept)) = self.callers.pop() else {
            self.events.push(Event::Ended { result: result.bits });
            return if result.pointer { Err("leaks a pointer") } else { Ok(None) };
        };
        let left = self.frame() - 512;
        self.memory.retain(|address, _| !within(*address, 1, left - 512, 512));
        self.pointers.retain(|address, _| !within(*address, 1, left - 512, 512));
        self.clobber();
        self.registers[6..=9].copy_from_slice(&kept);
        self.registers[10] = Some(Word { bits: self.frame(), pointer: true });
        Ok(Some(back))
    }
}

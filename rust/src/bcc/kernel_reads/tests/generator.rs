//! Random programs that do what compiled ones do, most of the time.
//!
//! What each register holds is followed from line to line but not along jumps, so a program is right on some of its
//! ways and wrong on others; the machine stops where the verifier would have refused.

/// Numbers without chance: the same seed gives the same ones everywhere.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap_or(0)]
    }
}

/// What a register is meant to hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Nothing,
    Number,
    /// The address of kernel memory.
    Address,
    Context,
    Value,
    /// A pointer into the frame.
    Frame,
}

struct Writer {
    random: Random,
    text: String,
    registers: [Holds; 10],
    slots: [Holds; 8],
    function: usize,
    functions: usize,
    blocks: u64,
    /// How far down the frame goes.
    depth: u64,
}

/// Write a program.
pub(super) fn program(seed: u64) -> String {
    let mut random = Random::new(seed);
    let functions = 1 + random.below(3) as usize;
    let mut writer = Writer {
        random,
        text: String::new(),
        registers: [Holds::Nothing; 10],
        slots: [Holds::Nothing; 8],
        function: 0,
        functions,
        blocks: 0,
        depth: 0,
    };
    for function in 0..functions {
        writer.function = function;
        writer.write_function();
    }
    writer.text
}

impl Writer {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A register that holds something of one kind; now and then any.
    fn holding(&mut self, wanted: Holds) -> Option<u8> {
        let found: Vec<u8> = (0..10).filter(|register| self.registers[usize::from(*register)] == wanted).collect();
        if self.random.below(60) == 0 {
            return Some(self.random.below(10) as u8);
        }
        if found.is_empty() { None } else { Some(self.random.one_of(&found)) }
    }

    fn set(&mut self, register: u8, holds: Holds) {
        self.registers[usize::from(register)] = holds;
    }

    fn any(&mut self) -> u8 {
        self.random.below(10) as u8
    }

    fn write_function(&mut self) {
        self.registers = [Holds::Nothing; 10];
        self.slots = [Holds::Nothing; 8];
        self.blocks = 2 + self.random.below(5);
        self.depth = 72 + 8 * self.random.below(56);
        if self.function == 0 {
            self.registers[1] = Holds::Context;
            self.line("r6 = r1");
            self.registers[6] = Holds::Context;
            self.look_up();
            self.line("r7 = r0");
            self.registers[7] = Holds::Value;
            self.line("r8 = *(u64 *)(r6 + 8)");
            self.registers[8] = Holds::Address;
        } else {
            let name = format!("function{}:", self.function);
            self.line(&name);
            self.registers[1] = Holds::Address;
            self.registers[2] = Holds::Frame;
            self.registers[3] = Holds::Number;
            self.registers[4] = Holds::Value;
        }
        for block in 0..self.blocks {
            let label = format!("label{}_{block}:", self.function);
            self.line(&label);
            for _ in 0..self.random.below(9) {
                self.operation();
            }
            self.jump(block);
        }
        let end = format!("label{}_{}:", self.function, self.blocks);
        self.line(&end);
        match self.holding(Holds::Number) {
            Some(number) if self.random.below(4) > 0 => self.line(&format!("r0 = r{number}")),
            _ => self.line("r0 = 3"),
        }
        self.line("exit");
    }

    fn jump(&mut self, block: u64) {
        let target = match self.random.below(8) {
            0 => self.random.below(block + 1),
            1..=4 => block + 1 + self.random.below(self.blocks - block),
            _ => return,
        };
        let Some(number) = self.holding(Holds::Number).or(self.holding(Holds::Address)) else { return };
        let condition = self.random.one_of(&["==", "!=", ">", "<"]);
        let than = self.random.one_of(&[0, 1, 7, 100_000]);
        let line = format!("if r{number} {condition} {than} goto label{}_{target}", self.function);
        self.line(&line);
    }

    fn look_up(&mut self) {
        let depth = self.depth;
        self.line(&format!("*(u32 *)(r10 - {depth}) = 1"));
        self.line("r2 = r10");
        self.line(&format!("r2 += -{depth}"));
        self.line("r1 = map 7 ll");
        self.line("call 1");
        self.called(Holds::Value);
    }

    fn called(&mut self, result: Holds) {
        self.registers[..6].fill(Holds::Nothing);
        self.registers[0] = result;
    }

    fn operation(&mut self) {
        let to = self.any();
        match self.random.below(22) {
            0..=5 => self.load_from_kernel(to),
            6 => {
                if let Some(context) = self.holding(Holds::Context) {
                    let word = 8 * self.random.below(4);
                    self.line(&format!("r{to} = *(u64 *)(r{context} + {word})"));
                    self.set(to, Holds::Address);
                }
            }
            7 | 8 => {
                let from = self.any();
                if self.registers[usize::from(from)] != Holds::Nothing || self.random.below(20) == 0 {
                    self.line(&format!("r{to} = r{from}"));
                    self.set(to, self.registers[usize::from(from)]);
                }
            }
            9 | 10 => {
                let operation = self.random.one_of(&["+=", "^=", "&=", "-=", "<<="]);
                let operand = self.random.below(60);
                if let Some(number) = self.holding(Holds::Number) {
                    let other = self.holding(Holds::Number).filter(|_| operand < 30);
                    let operand = other.map_or(operand.to_string(), |register| format!("r{register}"));
                    self.line(&format!("r{number} {operation} {operand}"));
                } else {
                    self.line(&format!("r{to} = {operand}"));
                    self.set(to, Holds::Number);
                }
            }
            11 => {
                if let Some(address) = self.holding(Holds::Address) {
                    let distance = 8 * self.random.below(9);
                    self.line(&format!("r{address} += {distance}"));
                }
            }
            12 | 13 => self.store_to_value(),
            14 => self.spill(),
            15 => self.fill(to),
            16 => {
                let helper = self.random.one_of(&[5, 14, 35]);
                self.line(&format!("call {helper}"));
                self.called(if helper == 35 { Holds::Address } else { Holds::Number });
            }
            17 => match self.random.below(3) {
                0 => self.look_up(),
                1 => self.comm(),
                _ => {
                    let offset = 8 * (2 + self.random.below(6));
                    self.line(&format!("r{to} = r10"));
                    self.line(&format!("r{to} += -{offset}"));
                    self.set(to, Holds::Frame);
                }
            },
            18 => self.store_to_frame(),
            19 => {
                let depth = self.depth;
                if let Some(number) = self.holding(Holds::Number) {
                    self.line(&format!("*(u64 *)(r10 - {depth}) = r{number}"));
                    self.load_from_kernel(to);
                    self.line(&format!("r{number} = *(u64 *)(r10 - {depth})"));
                    self.set(number, Holds::Number);
                }
            }
            _ => self.call(),
        }
    }

    /// Write through a pointer into a frame: this function's, or one that it was given.
    fn store_to_frame(&mut self) {
        let size = self.random.one_of(&["u64", "u32", "u8"]);
        if let (Some(frame), Some(number)) = (self.holding(Holds::Frame), self.holding(Holds::Number)) {
            self.line(&format!("*({size} *)(r{frame} + 0) = r{number}"));
        }
    }

    /// Read into a register that no call needs.
    fn load_beside(&mut self, from: u8) {
        if self.random.below(2) == 0 {
            let to = self.random.one_of(&[0, 0, 6, 9]);
            self.line(&format!("r{to} = *(u64 *)(r{from} + 8)"));
            self.set(to, Holds::Address);
        }
    }

    fn load_from_kernel(&mut self, to: u8) {
        let Some(address) = self.holding(Holds::Address) else { return };
        let size = self.random.one_of(&["u64", "u64", "u32", "u16", "u8", "s8", "s16", "s32"]);
        let (sign, offset) = (self.random.one_of(&['+', '+', '-']), self.random.below(64));
        let offset = if size == "u64" { offset & !7 } else { offset };
        self.line(&format!("r{to} = *({size} *)(r{address} {sign} {offset})"));
        self.set(to, if size == "u64" { Holds::Address } else { Holds::Number });
    }

    fn store_to_value(&mut self) {
        let (size, bytes) = self.random.one_of(&[("u64", 8), ("u32", 4), ("u8", 1)]);
        let offset = bytes * self.random.below(64 / bytes);
        let what = self.holding(Holds::Number).or(self.holding(Holds::Address));
        if let Some((value, what)) = self.holding(Holds::Value).zip(what) {
            self.line(&format!("*({size} *)(r{value} + {offset}) = r{what}"));
        }
    }

    /// Put a register on the stack; the context only where nothing is ever written over it.
    fn spill(&mut self) {
        let register = self.any();
        let holds = self.registers[usize::from(register)];
        if holds == Holds::Nothing {
            return;
        }
        let slot = if holds == Holds::Context { 0 } else { 1 + self.random.below(7) as usize };
        self.line(&format!("*(u64 *)(r10 - {}) = r{register}", 8 * (slot + 1)));
        self.slots[slot] = holds;
        if slot > 0 && self.random.below(6) == 0 {
            let offset = 8 * (slot + 1) - self.random.below(8) as usize;
            self.line(&format!("*(u8 *)(r10 - {offset}) = 5"));
            self.slots[slot] = Holds::Nothing;
        }
    }

    fn fill(&mut self, to: u8) {
        let slot = self.random.below(8) as usize;
        if self.slots[slot] != Holds::Nothing {
            self.line(&format!("r{to} = *(u64 *)(r10 - {})", 8 * (slot + 1)));
            self.set(to, self.slots[slot]);
        }
    }

    /// A helper that writes to the stack.
    fn comm(&mut self) {
        let slot = 2 + self.random.below(4) as usize;
        self.line("r1 = r10");
        self.line(&format!("r1 += -{}", 8 * (slot + 1)));
        self.line("r2 = 16");
        if let Some(address) = self.holding(Holds::Address).filter(|register| *register > 2) {
            self.load_beside(address);
        }
        self.line("call 16");
        self.called(Holds::Number);
        // As good as any address.
        for slot in [slot - 1, slot] {
            self.slots[slot] = Holds::Address;
        }
    }

    fn call(&mut self) {
        let later = self.function + 1;
        if later >= self.functions {
            return;
        }
        let callee = later + self.random.below((self.functions - later) as u64) as usize;
        let arguments = [Holds::Address, Holds::Number, Holds::Value].map(|wanted| self.holding(wanted));
        let [Some(address), Some(number), Some(value)] = arguments else { return };
        // By way of the stack, as they may be in each other's places.
        for (slot, register) in [(2, address), (3, number), (4, value)] {
            self.line(&format!("*(u64 *)(r10 - {}) = r{register}", 8 * slot));
        }
        for (slot, register) in [(2, 1), (3, 3), (4, 4)] {
            self.line(&format!("r{register} = *(u64 *)(r10 - {})", 8 * slot));
        }
        self.line("r2 = r10");
        self.line("r2 += -40");
        self.load_beside(1);
        self.line(&format!("call function{callee}"));
        self.called(Holds::Number);
        for slot in 1..5 {
            self.slots[slot] = if self.slots[slot] == Holds::Nothing { Holds::Nothing } else { Holds::Address };
        }
    }
}

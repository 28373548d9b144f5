//! What the kernel was given, and what it says about it, for those who want to see.

use aya_obj::generated::bpf_insn;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict},
};

use super::{Loader, source_line, verifier_log};
use crate::{error::Error, kind::Kind, object::Object};

/// One program as the kernel gets it.
struct Explanation {
    instructions: Vec<u8>,
    lines: Vec<(u32, String, String)>,
    log: String,
}

impl Loader {
    /// Load a program for the verifier's log only.
    fn explain(
        &mut self,
        name: &str,
        kind: Option<&'static Kind>,
        target: Option<&str>,
        level: u32,
    ) -> Result<Explanation, Error> {
        self.must_have(name)?;
        let btf = self.elf.btf.clone();
        let (explanation, _) = self.load_with(name, kind, target, |attributes, function| {
            let (log, loaded) = verifier_log(attributes, level);
            match loaded {
                // More words than there is room for; the program is as good as any.
                Err(error) if error.raw_os_error() != Some(libc::ENOSPC) => Err(error),
                Ok(_) | Err(_) => Ok(Explanation {
                    instructions: bytes_of(&function.instructions),
                    lines: source_line::all(function, btf.as_ref()),
                    log,
                }),
            }
        })?;
        Ok(explanation)
    }
}

/// Write instructions out, 8 bytes each.
pub(crate) fn bytes_of(instructions: &[bpf_insn]) -> Vec<u8> {
    let encode = |instruction: &bpf_insn| {
        let registers = instruction.dst_reg() | instruction.src_reg() << 4;
        let (offset, immediate) = (instruction.off.to_le_bytes(), instruction.imm.to_le_bytes());
        [&[instruction.code, registers], &offset[..], &immediate[..]].concat()
    };
    instructions.iter().flat_map(encode).collect()
}

/// Tell what the kernel is given for a program, and what its verifier says.
///
/// A dict of ``instructions`` (8 bytes each, relocated, with reads of kernel memory as calls), ``lines`` (tuples of an
/// instruction's number, ``FILE:LINE`` and that line of the source) and ``log``, the verifier's words: a summary at
/// level 1, every instruction with the registers at level 2. The program is verified for it once more, and not kept.
#[pyfunction]
#[pyo3(signature = (object, program, *, kind = None, target = None, log_level = 1))]
pub(crate) fn explain_program<'py>(
    py: Python<'py>,
    object: &Object,
    program: &str,
    kind: Option<&str>,
    target: Option<&str>,
    log_level: u32,
) -> PyResult<Bound<'py, PyDict>> {
    let kind = kind.map(Kind::named).transpose()?;
    let found = py.detach(|| object.with_loader(|loader| loader.explain(program, kind, target, log_level)))?;
    let facts = PyDict::new(py);
    facts.set_item("instructions", PyBytes::new(py, &found.instructions))?;
    facts.set_item("lines", found.lines)?;
    facts.set_item("log", found.log)?;
    Ok(facts)
}

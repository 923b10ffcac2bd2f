use std::fmt;

use super::{Register, Step};

/// Why some steps are no expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InvalidExpression {
    /// There is too much of something.
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The most there may be.
        most: usize,
    },
    /// A step reads a register that is no input's and no earlier step's.
    Undefined {
        /// The number of the step.
        step: usize,
        /// The register.
        register: Register,
    },
    /// A step takes a mask for a value, or a value for a mask.
    WrongKind {
        /// The number of the step.
        step: usize,
        /// The register.
        register: Register,
        /// Whether it is a mask.
        is_mask: bool,
    },
    /// The operation does not exist for this type of number.
    Unsupported {
        /// The number of the step.
        step: usize,
        /// The step.
        what: Step,
        /// The name of the type.
        of: &'static str,
    },
    /// An output is no step's register, or another output's as well.
    NoOutput {
        /// The register.
        register: Register,
    },
}

impl fmt::Display for InvalidExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { what, most } => write!(f, "an expression has at most {most} {what}"),
            Self::Undefined { step, register } => {
                write!(f, "step {step} reads register {register}, which no input and no earlier step defines")
            }
            Self::WrongKind { step, register, is_mask: true } => {
                write!(f, "step {step} takes register {register} for a value, and it is a mask")
            }
            Self::WrongKind { step, register, is_mask: false } => {
                write!(f, "step {step} takes register {register} for a mask, and it is a value")
            }
            Self::Unsupported { step, what, of } => write!(f, "step {step}, {what:?}, does not exist for {of}"),
            Self::NoOutput { register } => {
                write!(f, "register {register} is an output, and no step's or another output's as well")
            }
        }
    }
}

impl std::error::Error for InvalidExpression {}

//! The names of the operations, and the ways in which one can be refused.

use std::fmt;

/// An elementwise function of one argument.
///
/// Integers take `Neg`, `Abs`, `Sign`, `Square`, `Relu`, `Relu6` and `Rint`; complex numbers `Neg`, `Square` and
/// `Reciprocal`; floats all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Unary {
    /// −x; wraps.
    Neg,
    /// |x|; the lowest integer stays what it is.
    Abs,
    /// −1, 0 or 1 with the sign of x; NaN stays NaN, and −0 becomes 0.
    Sign,
    /// eˣ
    Exp,
    /// eˣ − 1
    Expm1,
    /// ln x
    Log,
    /// ln (1 + x)
    Log1p,
    /// √x
    Sqrt,
    /// 1 / √x
    Rsqrt,
    /// x²
    Square,
    /// 1 / x
    Reciprocal,
    /// sin x
    Sin,
    /// cos x
    Cos,
    /// tan x
    Tan,
    /// sinh x
    Sinh,
    /// cosh x
    Cosh,
    /// tanh x
    Tanh,
    /// arcsin x
    Asin,
    /// arccos x
    Acos,
    /// arctan x
    Atan,
    /// arsinh x
    Asinh,
    /// arcosh x
    Acosh,
    /// artanh x
    Atanh,
    /// 1 / (1 + e⁻ˣ)
    Sigmoid,
    /// ln (1 + eˣ)
    Softplus,
    /// x / (1 + |x|)
    Softsign,
    /// The error function.
    Erf,
    /// 1 − erf x
    Erfc,
    /// ln |Γ(x)|
    Lgamma,
    /// The greatest integer not above x.
    Floor,
    /// The least integer not below x.
    Ceil,
    /// The nearest integer, the even one of two.
    Rint,
    /// max(x, 0)
    Relu,
    /// min(max(x, 0), 6)
    Relu6,
    /// x where it is above 0, else the parameter times x.
    LeakyRelu(f64),
    /// x where it is not below 0, else eˣ − 1.
    Elu,
    /// λx where x is not below 0, else λα(eˣ − 1).
    Selu,
    /// xΦ(x), Φ being the distribution function of the normal distribution.
    Gelu,
    /// The same with σ(2√(2/π)(x + 0.044715x³)) in place of Φ.
    GeluTanh,
}

impl Unary {
    /// Whether it takes a few instructions.
    pub(crate) fn is_light(self) -> bool {
        matches!(
            self,
            Self::Neg
                | Self::Abs
                | Self::Sign
                | Self::Sqrt
                | Self::Square
                | Self::Reciprocal
                | Self::Softsign
                | Self::Floor
                | Self::Ceil
                | Self::Rint
                | Self::Relu
                | Self::Relu6
                | Self::LeakyRelu(_)
        )
    }
}

/// An elementwise function of two arguments.
///
/// Integers take the arithmetic up to `SquaredDifference`, complex numbers `Add`, `Sub`, `Mul`, `Div`, `DivNoNan` and
/// `SquaredDifference`, floats all of them. Most names in `Grad` are TensorFlow's gradient operations.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Binary {
    /// a + b
    Add,
    /// a − b
    Sub,
    /// ab
    Mul,
    /// a / b; integers truncate.
    Div,
    /// ⌊a / b⌋
    FloorDiv,
    /// a − b⌊a / b⌋, whose sign is that of b.
    FloorMod,
    /// a / b, truncated.
    TruncateDiv,
    /// The remainder of the truncated division, whose sign is that of a.
    TruncateMod,
    /// aᵇ; a negative exponent of an integer is a [`Fault`].
    Pow,
    /// The greater one; NaN where one is NaN.
    Maximum,
    /// The lesser one; NaN where one is NaN.
    Minimum,
    /// (a − b)²; for complex numbers |a − b|².
    SquaredDifference,
    /// a / b, and 0 where b is 0.
    DivNoNan,
    /// The angle of the point (b, a).
    Atan2,
    /// a / b, and 0 where a is 0.
    Xdivy,
    /// a ln b, and 0 where a is 0.
    Xlogy,
    /// a ln (1 + b), and 0 where a is 0.
    Xlog1py,
    /// dy where x is above 0, of (dy, x).
    ReluGrad,
    /// dy where x is between 0 and 6, of (dy, x).
    Relu6Grad,
    /// dy where x is above 0, else the parameter times dy, of (dy, x).
    LeakyReluGrad(f64),
    /// dy where y is not below 0, else dy (y + 1), of (dy, y).
    EluGrad,
    /// λ dy where y is not below 0, else dy (y + λα), of (dy, y).
    SeluGrad,
    /// dy / (1 + e⁻ˣ), of (dy, x).
    SoftplusGrad,
    /// dy / (1 + |x|)², of (dy, x).
    SoftsignGrad,
    /// dy (1 − y²), of (y, dy).
    TanhGrad,
    /// dy y (1 − y), of (y, dy).
    SigmoidGrad,
    /// dy / 2y, of (y, dy).
    SqrtGrad,
    /// −dy y³ / 2, of (y, dy).
    RsqrtGrad,
    /// −dy y², of (y, dy).
    ReciprocalGrad,
    /// dy (Φ(x) + xφ(x)), of (dy, x).
    GeluGrad,
    /// The same of `GeluTanh`.
    GeluTanhGrad,
    /// max(x, 0) − xz + ln (1 + e^−|x|), of (x, z).
    SigmoidCrossEntropy,
}

impl Binary {
    /// Whether it takes a few instructions.
    pub(crate) fn is_light(self) -> bool {
        !matches!(
            self,
            Self::FloorDiv
                | Self::FloorMod
                | Self::TruncateDiv
                | Self::TruncateMod
                | Self::Pow
                | Self::Atan2
                | Self::Xlogy
                | Self::Xlog1py
                | Self::SoftplusGrad
                | Self::GeluGrad
                | Self::GeluTanhGrad
                | Self::SigmoidCrossEntropy
        )
    }
}

/// An elementwise comparison, giving 1 or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// a = b
    Equal,
    /// a ≠ b
    NotEqual,
    /// a < b
    Less,
    /// a ≤ b
    LessEqual,
    /// a > b
    Greater,
    /// a ≥ b
    GreaterEqual,
}

/// A question about each element of a float, giving 1 or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// Whether it is not a number.
    IsNan,
    /// Whether it is infinite.
    IsInf,
    /// Whether it is neither.
    IsFinite,
}

/// A function of two truth values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logical {
    /// Whether both are true; folded, whether all are.
    And,
    /// Whether one is true; folded, whether any is.
    Or,
}

/// A reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// The sum; 0 of nothing; integers wrap.
    Sum,
    /// The sum over the count, truncated for integers; of nothing NaN, and 0 for integers.
    Mean,
    /// The product; 1 of nothing; integers wrap.
    Prod,
    /// The greatest; NaN where one is; of nothing the lowest value of the type.
    Max,
    /// The least; NaN where one is; of nothing the highest value of the type.
    Min,
}

/// The rule of an optimizer: how a value w and what is remembered of it change by a gradient g. η is the learning rate;
/// before the rule, w loses its part `decay`·η, if there is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Update {
    /// w − ηg
    Descent,
    /// m ← μm − ηg, then w + m or, with `nesterov`, w + μm − ηg. One slot: m.
    Momentum {
        /// μ
        momentum: f64,
        /// Whether the step looks ahead.
        nesterov: bool,
    },
    /// m ← m + (1 − β₁)(g − m), v ← v + (1 − β₂)(g² − v), then w − αm / (√v + ε) with α = η√(1 − β₂ᵗ) / (1 − β₁ᵗ) in
    /// step t. Slots: m and v and, with `amsgrad`, the greatest v so far, which then divides.
    Adam {
        /// β₁
        beta_1: f64,
        /// β₂
        beta_2: f64,
        /// β₁ and β₂ where they are raised to the power t.
        powers: [f64; 2],
        /// ε
        epsilon: f64,
        /// Whether the greatest v divides.
        amsgrad: bool,
    },
    /// v ← ρv + (1 − ρ)g², then w − ηg / √(v + ε) or, where μ is not 0, b ← μb + ηg / √(v + ε) and w − b. `centered`
    /// takes from v the square of a, a ← ρa + (1 − ρ)g. Slots: v, b if there is one, a if there is one.
    RmsProp {
        /// ρ
        rho: f64,
        /// μ
        momentum: f64,
        /// ε
        epsilon: f64,
        /// Whether the variance of the gradients divides.
        centered: bool,
    },
}

/// The operation does not exist for this type of number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsupported;

/// Why the values of the arguments have no result. The output is then partly written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation does not exist for this type of number.
    Unsupported,
    /// An integer was divided by 0.
    ZeroDivisor {
        /// The first such element, counted in row-major order.
        element: usize,
    },
    /// An integer was raised to a negative power.
    NegativeExponent {
        /// The first such element, counted in row-major order.
        element: usize,
    },
    /// The label of a sparse cross entropy is not a column of its logits.
    LabelOutOfRange {
        /// The first such element.
        element: usize,
    },
}

impl Fault {
    /// The same fault, seen from `start` elements earlier.
    pub(crate) fn after(self, start: usize) -> Self {
        match self {
            Self::Unsupported => self,
            Self::ZeroDivisor { element } => Self::ZeroDivisor { element: element + start },
            Self::NegativeExponent { element } => Self::NegativeExponent { element: element + start },
            Self::LabelOutOfRange { element } => Self::LabelOutOfRange { element: element + start },
        }
    }
}

impl From<Unsupported> for Fault {
    fn from(_: Unsupported) -> Self {
        Self::Unsupported
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operation does not exist for this type of number")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => Unsupported.fmt(f),
            Self::ZeroDivisor { element } => {
                write!(f, "Integer division by zero at element {element}")
            }
            Self::NegativeExponent { element } => {
                write!(f, "Integers to negative integer powers are not allowed, found one at element {element}")
            }
            Self::LabelOutOfRange { element } => {
                write!(f, "the label at element {element} is not a class")
            }
        }
    }
}

impl std::error::Error for Unsupported {}
impl std::error::Error for Fault {}

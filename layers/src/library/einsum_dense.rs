use super::dense::Unquantized;
use super::lora::{LoraAlpha, LoraInitializers, LoraRank, adapts};
use crate::OrNone;
use crate::activation::AnyActivation;
use crate::constraint::AnyConstraint;
use crate::initializer::{AnyInitializer, GlorotUniform, Zeros};
use crate::regularizer::AnyRegularizer;
use modulor::module::{InputShapes, ManualBuild};
use modulor::variable::Initializer;
use modulor::{DType, DTypePolicy, Error, Layer, Module, Result, Tensor, Variable};
use serde::{Deserialize, Deserializer, Serialize};

/// A layer of one einsum: `activation(einsum(equation, x, kernel) + bias)`; see [`Tensor::einsum`].
///
/// The equation has letters for the axes of the input, of the kernel and of the output, as in `ab,bc->ac`; an ellipsis stands
/// for leading axes of input and output, as in `...ab,bc->...ac`, or for trailing ones, as in `ab...,bc->ac...`.
///
/// # Shapes
///
/// That of the input gives those axes of the output that they share. `output_shape` has the others, without the batch and
/// what the ellipsis stands for: `None` is an axis that the input has.
///
/// # Variables
///
/// `kernel`, of a dim for each of its letters; with `bias_axes`, some letters of the output, `bias`, which has those axes and
/// broadcasts along the others. With a `lora_rank`, `kernel` is not trainable, and there are `lora_kernel_a`, of the kernel's
/// shape but for `lora_rank` last, and `lora_kernel_b`, of `lora_rank` and the kernel's last dim, float32.
///
/// ```
/// use modulor::{Call, DType, ModuleExt, Tensor};
/// use modulor_layers::library::EinsumDense;
/// # fn main() -> modulor::Result<()> {
/// let layer = EinsumDense::new("abc,cde->abde", [None, Some(2), Some(5)]).bias_axes("de");
/// assert_eq!(*layer.call(&Tensor::zeros([7, 3, 4], DType::F32)?)?.shape(), [7, 3, 2, 5]);
/// let shapes: Vec<_> = layer.weights().into_iter().flat_map(|weight| weight.shape()).collect();
/// assert_eq!(shapes, [vec![4, 2, 5], vec![2, 5]]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers", build = manual)]
pub struct EinsumDense {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    #[config(into)]
    equation: String,
    #[config(into)]
    output_shape: OutputShape,
    /// The function of the result, by name or as an [`AnyActivation`]; linear unless set.
    #[config(default, into)]
    activation: AnyActivation,
    /// The letters of the output that the bias has; there is none unless they are set.
    #[config(default, into)]
    bias_axes: OrNone<String>,
    /// How the kernel begins; [`GlorotUniform`] unless set.
    #[config(default = GlorotUniform::default().into(), into)]
    kernel_initializer: AnyInitializer,
    /// How the bias begins; [`Zeros`] unless set.
    #[config(default = Zeros.into(), into)]
    bias_initializer: AnyInitializer,
    /// What the kernel costs; nothing unless set.
    #[config(default, into)]
    kernel_regularizer: OrNone<AnyRegularizer>,
    /// What the bias costs; nothing unless set.
    #[config(default, into)]
    bias_regularizer: OrNone<AnyRegularizer>,
    /// What the output costs; nothing unless set.
    #[config(default, into)]
    activity_regularizer: OrNone<AnyRegularizer>,
    /// Where the kernel may be; anywhere unless set.
    #[config(default, into)]
    kernel_constraint: OrNone<AnyConstraint>,
    /// Where the bias may be; anywhere unless set.
    #[config(default, into)]
    bias_constraint: OrNone<AnyConstraint>,
    #[module(default)]
    lora_rank: LoraRank,
    #[module(default)]
    lora_alpha: LoraAlpha,
    #[skip]
    lora_initializers: LoraInitializers,
    #[module(default)]
    quantization_config: Unquantized,
    #[variable(
        init = ByAxes { initializer: kernel_initializer, equation },
        regularizer = kernel_regularizer,
        constraint = kernel_constraint,
        trainable = !lora_rank.is_set()
    )]
    kernel: Variable,
    #[variable(
        init = bias_initializer,
        regularizer = bias_regularizer,
        constraint = bias_constraint,
        when = bias_axes.0.is_some()
    )]
    bias: Variable,
    #[variable(
        init = lora_initializers.a.clone(),
        dtype = DType::F32,
        regularizer = kernel_regularizer,
        when = lora_rank.is_set()
    )]
    lora_kernel_a: Variable,
    #[variable(init = lora_initializers.b.clone(), dtype = DType::F32, regularizer = kernel_regularizer, when = lora_rank.is_set())]
    lora_kernel_b: Variable,
}

/// The dims of an output without its batch, `None` for those that the input has: a number, or a list.
///
/// ```
/// use modulor_layers::library::OutputShape;
/// assert_eq!(OutputShape::from([None, Some(64)]), OutputShape::from(vec![None, Some(64)]));
/// assert_eq!(OutputShape::from(64), OutputShape::from([64]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct OutputShape(Vec<Option<usize>>);

impl From<usize> for OutputShape {
    fn from(dim: usize) -> Self {
        OutputShape(vec![Some(dim)])
    }
}

impl<const N: usize> From<[usize; N]> for OutputShape {
    fn from(dims: [usize; N]) -> Self {
        OutputShape(dims.map(Some).to_vec())
    }
}

impl<const N: usize> From<[Option<usize>; N]> for OutputShape {
    fn from(dims: [Option<usize>; N]) -> Self {
        OutputShape(dims.to_vec())
    }
}

impl From<Vec<Option<usize>>> for OutputShape {
    fn from(dims: Vec<Option<usize>>) -> Self {
        OutputShape(dims)
    }
}

impl<'de> Deserialize<'de> for OutputShape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            One(usize),
            Several(Vec<Option<usize>>),
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::One(dim) => dim.into(),
            Form::Several(dims) => OutputShape(dims),
        })
    }
}

impl From<&str> for OrNone<String> {
    fn from(text: &str) -> Self {
        OrNone(Some(text.to_owned()))
    }
}

/// Where the ellipsis of an equation is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Elided {
    Nothing,
    Left,
    Right,
}

/// The letters of an equation that the layer takes.
struct Letters<'a> {
    input: &'a str,
    kernel: &'a str,
    output: &'a str,
    elided: Elided,
}

impl<'a> Letters<'a> {
    fn of(equation: &'a str) -> Result<Letters<'a>> {
        let parts = equation.split_once(',').and_then(|(input, rest)| {
            let (kernel, output) = rest.split_once("->")?;
            let (input, output, elided) = match (input.strip_prefix("..."), input.strip_suffix("...")) {
                (Some(input), _) => (input, output.strip_prefix("...")?, Elided::Left),
                (None, Some(input)) => (input, output.strip_suffix("...")?, Elided::Right),
                (None, None) => (input, output, Elided::Nothing),
            };
            let letters = |text: &str| !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_alphabetic());
            [input, kernel, output].into_iter().all(letters).then_some(Letters { input, kernel, output, elided })
        });
        parts.ok_or_else(|| {
            Error::invalid_argument(format!(
                "`equation` is of the form X,Y->Z, ...X,Y->...Z or X...,Y->Z..., found `{equation}`"
            ))
        })
    }

    /// The axes of the kernel that the output has not got, and those that it has.
    fn axes(&self) -> [Vec<i64>; 2] {
        let axes = |shared: bool| {
            let of_kind = |(_, letter): &(usize, char)| self.output.contains(*letter) == shared;
            self.kernel.chars().enumerate().filter(of_kind).map(|(axis, _)| axis as i64).collect()
        };
        [axes(false), axes(true)]
    }

    /// The shapes of the kernel and, for some letters, of the bias.
    fn shapes(
        &self,
        input: &[Option<usize>],
        output: &[Option<usize>],
        bias_axes: Option<&str>,
    ) -> Result<(Vec<usize>, Option<Vec<usize>>)> {
        let fault = |message: String| Err(Error::invalid_argument(message));
        let Some(elided) = input.len().checked_sub(self.input.len()) else {
            return fault(format!("`{}` are more axes than an input of {} has", self.input, input.len()));
        };
        if elided > 0 && self.elided == Elided::Nothing {
            return fault(format!("`{}` are fewer axes than an input of {} has", self.input, input.len()));
        }
        let left = if self.elided == Elided::Left { elided } else { 0 };
        let in_input = |letter: char| self.input.find(letter).map(|at| input[left + at]);
        // The batch is the first axis of all, of which there is one more than `output_shape` has.
        let given = 1_usize.saturating_sub(left);
        if output.len() + given != self.output.len() {
            let expected = self.output.len() - given.min(self.output.len());
            return fault(format!(
                "`output_shape` must have {expected} dims for the output `{}`, found {}",
                self.output,
                output.len()
            ));
        }
        let in_output = |letter: char| {
            let at = self.output.find(letter)?;
            Some(at.checked_sub(given).map_or(input.first().copied().flatten(), |at| output[at]))
        };
        for letter in self.input.chars() {
            if let (Some(Some(one)), Some(Some(other))) = (in_input(letter), in_output(letter))
                && one != other
            {
                return fault(format!("the dim of `{letter}` is {one} in the input, and {other} in `output_shape`"));
            }
        }
        let known = |letter: char| in_output(letter).flatten().or_else(|| in_input(letter).flatten());
        let absent = |of: &str, others: [&str; 2]| {
            of.chars().find(|letter| !others.iter().any(|letters| letters.contains(*letter)))
        };
        if let Some(letter) = absent(self.output, [self.input, self.kernel]) {
            return fault(format!("`{letter}` is neither an axis of the input nor one of the kernel"));
        }
        if let Some(letter) = absent(self.kernel, [self.input, self.output]) {
            return fault(format!("`{letter}` of the kernel is neither an axis of the input nor one of the output"));
        }
        let dim = |letter: char| {
            known(letter)
                .ok_or_else(|| Error::invalid_argument(format!("the dim of `{letter}` must be known, and is not")))
        };
        let kernel = self.kernel.chars().map(dim).collect::<Result<Vec<_>>>()?;
        let Some(bias_axes) = bias_axes else { return Ok((kernel, None)) };
        if let Some(letter) = bias_axes.chars().find(|letter| !self.output.contains(*letter)) {
            return fault(format!("`{letter}` of `bias_axes` is no axis of the output `{}`", self.output));
        }
        let first = self.output.chars().position(|letter| bias_axes.contains(letter)).unwrap_or(self.output.len());
        let own = |letter: char| if bias_axes.contains(letter) { dim(letter) } else { Ok(1) };
        let mut bias = self.output.chars().skip(first).map(own).collect::<Result<Vec<_>>>()?;
        if self.elided == Elided::Right {
            bias.extend(vec![1; elided]);
        }
        Ok((kernel, Some(bias)))
    }
}

/// An initializer for the kernel of an equation: one that goes by fans counts the axes that are summed over as inputs, and
/// the others as outputs.
pub(super) struct ByAxes {
    pub(super) initializer: AnyInitializer,
    pub(super) equation: String,
}

impl Initializer for ByAxes {
    fn init(&self, dims: &[usize], dtype: DType, seed: u64) -> Result<Tensor> {
        let [inputs, outputs] = Letters::of(&self.equation)?.axes();
        self.initializer.clone().along(inputs, outputs).init(dims, dtype, seed)
    }
}

adapts! { EinsumDense kernel by lora_kernel_a lora_kernel_b, kernel_constraint; }

impl ManualBuild for EinsumDense {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let letters = Letters::of(&self.equation)?;
        let input = inputs.shape(0)?.dims().ok_or_else(|| {
            Error::invalid_argument("the rank of the input must be known, for the equation says what its axes are")
        })?;
        let (kernel, bias) = letters.shapes(&input, &self.output_shape.0, self.bias_axes.0.as_deref())?;
        inputs.size(&self.kernel, "kernel", &kernel)?;
        if let (true, [leading @ .., last]) = (self.lora_rank.is_set(), &*kernel) {
            let rank = self.lora_rank.columns();
            inputs.size(&self.lora_kernel_a, "lora_kernel_a", &[leading, &[rank]].concat())?;
            inputs.size(&self.lora_kernel_b, "lora_kernel_b", &[rank, *last])?;
        }
        bias.map_or(Ok(()), |bias| inputs.size(&self.bias, "bias", &bias))
    }
}

impl Layer for EinsumDense {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let kernel = self.adapted(Variable::read)?.map_or_else(|| self.kernel.read(), Ok)?;
        let mut y = Tensor::einsum(&self.equation, &[x, &kernel])?;
        if self.bias_axes.0.is_some() {
            y = y.add(&self.bias)?;
        }
        let y = self.activation.apply(&y)?;
        super::activity::charge(self.activity_regularizer.0.as_ref(), &y)?;
        Ok(y)
    }
}

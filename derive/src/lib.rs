//! `#[derive(Module)]`, `#[derive(Structure)]` and `#[function]` of modulor, which documents and re-exports them.
//!
//! The stages, one file each: `ast` reads the type, with the words of its attributes by `attr`; `valid` checks what only
//! shows when the words are seen together; `expand` writes the code; `fallback` writes stubs where there were mistakes, so
//! that one mistake gives one message.

mod ast;
mod attr;
mod expand;
mod fallback;
mod fault;
mod function;
#[cfg(test)]
mod fuzz;
mod names;
mod nearest;
mod structure;
mod valid;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct or an enum a module: its variables, submodules, paths and config follow from its fields.
///
/// ```ignore
/// #[derive(Module)]
/// struct FlexibleDense {
///     #[config]
///     out_features: usize,
///     #[variable(shape = [input[-1], out_features], init = RandomNormal::default())]
///     w: Variable,
///     #[variable(shape = [out_features], init = Zeros)]
///     b: Variable,
/// }
/// ```
///
/// # Fields
///
/// A field without a word is a `Variable`, a module or a container of them: `Option`, `Vec`, an array, a tuple, `Box`,
/// `Arc`, `Mutex`, a `BTreeMap` or `HashMap` with `String` keys, `Box<dyn Layer>`, `Arc<dyn Layer>`. Three words say
/// that it is something else:
///
/// | word | meaning |
/// |---|---|
/// | `#[config]` | a setting, written to the config; needs `Clone` and serde |
/// | `#[config(default)]`, `#[config(default = EXPR)]` | a setting that `new` does not ask for: a builder method sets it |
/// | `#[config(with = PATH)]` | a setting that `PATH::serialize` and `PATH::deserialize` write and read, as serde's `with` |
/// | `#[config(into)]` | `new` or the builder method takes whatever is `Into` the setting, as `activation("relu")` |
/// | `#[config(written = EXPR)]` | the config says this of the setting, which may name settings, as `written = width.or(Some(units))` |
/// | `#[variable(..)]` | a `Variable`, with what is known about it |
/// | `#[skip]`, `#[skip(default = EXPR)]` | neither visited nor saved; made anew by `Default` or `EXPR` |
///
/// A setting `dtype` that is a `DTypePolicy` is what the module computes in: variables that say no dtype are kept in its
/// variable dtype, and `call` casts floats to its compute dtype.
///
/// What is known about a variable:
///
/// | word | meaning |
/// |---|---|
/// | `shape = [DIM, ..]` | an expression for each dimension: settings by name, `input[i]` for an axis of the first input, `inputs[k][i]` for one of input `k` |
/// | `init = EXPR` | an initializer, its name, or the initial value; `"glorot_uniform"` if left out |
/// | `regularizer = EXPR`, `constraint = EXPR` | by value or by name |
/// | `dtype = EXPR` | a `DType`, an `Option` of one, or a name |
/// | `trainable = false` | state that is not trained; `trainable = EXPR` where the settings say so |
/// | `persistent = false` | state that is not saved |
/// | `weight = false` | state that is not among the weights, nor counted as parameters; never trained |
/// | `autocast = false` | a module with a dtype policy reads it in its own dtype, not in that which the module computes in |
/// | `when = EXPR` | the variable exists only if the settings say so, as `when = use_bias` |
///
/// The place of a variable or submodule in paths and configs:
///
/// | word | meaning |
/// |---|---|
/// | `#[module(rename = "..")]` | another name than the field's |
/// | `#[module(alias = "..")]` | a name that older files have |
/// | `#[module(flatten)]` | the fields of this module are in the place of the field itself |
/// | `#[module(trainable = false)]` | frozen from the start |
/// | `#[module(default)]`, `#[module(default = EXPR)]` | a module or container that `new` does not ask for |
///
/// # Types and variants
///
/// | word in `#[module(..)]` | meaning |
/// |---|---|
/// | `name = ".."` | what automatic names start from; by default the type's name in snake case |
/// | `package = ".."` | the first half of the registered name `package>Type`; by default the crate's name |
/// | `version = N`, `migrate = PATH` | the version of the config, and the `fn(Config, u32) -> Result<Config>` that brings older ones to it |
/// | `no_new` | neither `new` nor builder methods |
/// | `build = manual` | the type implements `ManualBuild` |
/// | `transparent` | a wrapper of one module that adds no part to paths |
/// | `no_config` | cannot be made from a config |
/// | `crate = PATH`, `bound = ".."` | as in serde: where modulor is; bounds instead of the derived ones |
/// | on a variant: `tagged` | its name is a part of the paths below it |
/// | on a variant: `rename = ".."` | another name for that |
/// | on a variant: `default` | the variant of a config that names none |
///
/// # Handles, not clones
///
/// A module is not `Clone`, as that could mean two things, so that `vec![Dense::new(3); 4]` is refused. `share()` is the
/// same module again, with the same variables; `copy()` is another one with the same values. In a list each layer is made
/// by itself, as in `(0..4).map(|_| Dense::new(3)).collect()`. For a type of your own the compiler then advises
/// `#[derive(Clone)]`: that is `share()` by another name, where every field is `Clone`.
///
/// # What is generated
///
/// `Track`, `Module` and `FromConfig`; an entry in the registry for a type without parameters; and, for a struct with
/// settings or variables, `new` with an argument for each setting without default and each submodule, and a builder
/// method for each setting with a default.
#[proc_macro_derive(Module, attributes(config, variable, skip, module))]
pub fn derive_module(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    module(&input).into()
}

/// Makes a struct of tensors and other structures something that a layer can take or give.
///
/// A struct with named fields is a map in the erased form, a tuple struct is a list. It must be `Clone`.
#[proc_macro_derive(Structure, attributes(module))]
pub fn derive_structure(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    structure::expand(&input).into()
}

/// Makes a function one that is traced into a graph for each kind of arguments, and run as a compiled plan from then on:
/// TensorFlow's `tf.function`.
///
/// ```ignore
/// #[function]
/// fn root(x: &Tensor) -> Result<Tensor> {
///     let mut y = x.clone();
///     while (&y * &y - x).abs()?.greater(1e-4)? {
///         y = (&y + x / &y) / 2.0;
///     }
///     if y.less(1.0)? { y.neg() } else { Ok(y) }
/// }
///
/// impl Model {
///     #[function]
///     fn predict(&self, x: &Tensor, deep: bool) -> Result<Tensor> { .. }
/// }
/// ```
///
/// It goes on a function with a body, also a generic one, also in an `impl` of a type or a trait. It is called as it was
/// before, and gives the same values. What `Function` says of tracing holds here too; inside a trace and where a tape listens,
/// the operations of the graph are called one by one. `function::with_eager_functions` runs the code itself, for looking
/// inside. `autograph::traces_of(root)` says why it was traced.
///
/// # Arguments
///
/// | type | what becomes of it |
/// |---|---|
/// | a structure: `&Tensor`, `Tensor`, `&(Tensor, Tensor)`, `&[Tensor]`, `Option<&Tensor>`, a derived one | fed to the graph: its dtypes, shapes and structure are part of the kind |
/// | a module, a variable, a container of them: `&self`, `&Dense`, `&Variable` | captured: a graph is kept for its classes, its variables (and which of them are trained) and its settings |
/// | floats: `f64`, `f32`, an `Option`, `Vec`, array or pair of them | part of the kind, by their bits |
/// | anything else that is `Eq`, `Clone`, `Debug`, `Send` and `Sync`: `bool`, `usize`, `&str`, an enum of yours | part of the kind |
///
/// The result is a `Result` of a structure, or of `()`. Other types, `&mut` arguments and `impl Trait` are errors.
///
/// Modules that were dropped are not held for ever: their graphs go when something else is traced, or are the least recently
/// used of 64. What a module has in a `#[skip]` field is not looked at: a graph has what was there when it was traced. A module
/// without a config (`no_config`) is refused.
///
/// # What is rewritten
///
/// Conditions and what a `for` goes through may be plain values or tensors. Of plain values everything is Rust as always, done
/// while tracing: a `bool` chooses which branch is in the graph, a loop over a range is unrolled. Of tensors,
///
/// - `if`, with `else if` and `else`, as a statement or as a value, is a branch of the graph;
/// - `while` is a loop of the graph;
/// - `for` is a loop of the graph over the rows of a tensor, along its first axis.
///
/// Tensors have no `<` and no `&&`: a condition is written `x.less(&y)?`, `a.logical_and(&b)?`, and of several elements
/// `x.less(&y)?.all(..)?`. Where the value of a tensor is known while tracing, an `if` is decided then.
///
/// Variables that are declared outside and assigned inside, also by `+=` and its like, are carried through; what is declared
/// inside is local. Structures of tensors can be carried, and keep their structure, dtypes and ranks: both branches give the
/// same, and a loop what it began with. `let y;` may get its value in the branches. A plain value that a tensor would have to
/// decide is an error when the function is traced, which says where: make it a tensor. So is a reference: give a tensor.
///
/// In a branch, values that would be moved are cloned, so that both branches have them.
///
/// `return` may leave the function from a branch, if the `if` is a statement of the function itself (or of such a branch).
/// `break` and `continue` leave a `while` or `for` of tensors, from within `if`s; `?` ends the call while it is traced. In other
/// places they are errors when a tensor decides: a `return` out of a loop over tensors, a `break` out of `loop`.
///
/// `match`, `if let`, `while let` and `loop` are plain Rust, with what is in them rewritten. Closures, macros' arguments,
/// nested functions and `async` blocks are left as they are.
///
/// # Words
///
/// `#[function(crate = path)]` says where modulor is, as in serde.
#[proc_macro_attribute]
pub fn function(words: TokenStream, item: TokenStream) -> TokenStream {
    function::expand(words.into(), item.into()).into()
}

fn module(item: &DeriveInput) -> proc_macro2::TokenStream {
    let mut faults = fault::Faults::default();
    let input = ast::Input::parse(item, &mut faults);
    valid::check(&input, &mut faults);
    if faults.is_empty() {
        return expand::module(&input);
    }
    let mut output = faults.into_compile_errors();
    if valid::stubs_compile(&input) {
        output.extend(fallback::module(&input));
    }
    output
}

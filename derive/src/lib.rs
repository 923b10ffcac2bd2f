//! `#[derive(Module)]` and `#[derive(Structure)]` of modulor, which documents and re-exports them.
//!
//! The stages, one file each: `ast` reads the type, with the words of its attributes by `attr`; `valid` checks what only
//! shows when the words are seen together; `expand` writes the code; `fallback` writes stubs where there were mistakes, so
//! that one mistake gives one message.

mod ast;
mod attr;
mod expand;
mod fallback;
mod fault;
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

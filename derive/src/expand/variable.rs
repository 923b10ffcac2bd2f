//! `declare` and `build`: what `#[variable(..)]` says, as code.

use super::{Expansion, mentions};
use crate::{
    ast::{Arm, Field},
    attr::{Role, VariableWords},
};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Expr, ExprArray, Ident, parse_quote_spanned,
    spanned::Spanned,
    visit_mut::{self, VisitMut},
};

impl Expansion<'_> {
    /// What a variable is, as far as the settings tell; and the flag of a submodule that is frozen from the start.
    pub(super) fn declare(&self, arm: &Arm, field: &Field) -> TokenStream {
        let words = match &field.role {
            Role::Variable(words) => words,
            Role::Part => return self.declare_part(arm, field),
            _ => return TokenStream::new(),
        };
        let cell = self.cell(arm, field);
        let name = field.key();
        let init = self.init(words);
        let shape = match &words.shape {
            None => quote!(__m::None),
            Some(shape) => {
                let dims = shape.elems.iter().map(|dim| match mentions_input(dim) {
                    true => quote!(__m::None),
                    false => {
                        let dim = dim_value(dim);
                        quote!(__m::Some(#dim))
                    }
                });
                quote!(__m::Some(__m::Vec::from([#(#dims),*])))
            }
        };
        let dtype = words.dtype.as_ref().map_or_else(
            || quote!(__m::None),
            |dtype| match dtype {
                Expr::Lit(literal) => quote_spanned!(dtype.span()=> __m::dtype_by_name(#literal)),
                dtype => quote_spanned!(dtype.span()=> __m::dtype(#dtype)),
            },
        );
        let regularizer = words.regularizer.as_ref().map_or_else(
            || quote!(__m::None),
            |(value, _)| quote_spanned!(value.span()=> __m::IntoRegularizer::into_regularizer(#value)),
        );
        let constraint = words.constraint.as_ref().map_or_else(
            || quote!(__m::None),
            |value| quote_spanned!(value.span()=> __m::IntoConstraint::into_constraint(#value)),
        );
        let trainable = words.trainable.as_ref().map_or_else(
            || quote!(true),
            |trainable| quote_spanned!(trainable.span()=> { let __modulor_trainable: bool = #trainable; __modulor_trainable }),
        );
        let among_trained = !words.is_state();
        let persistent = words.persistent.unwrap_or(true);
        let weight = words.weight.is_none_or(|(weight, _)| weight);
        let autocast = words.autocast.unwrap_or(true);
        let known_dims = words.shape.iter().flat_map(|shape| &shape.elems).filter(|dim| !mentions_input(dim));
        let exprs = known_dims
            .chain(&words.init)
            .chain(&words.dtype)
            .chain(&words.trainable)
            .chain(words.regularizer.as_ref().map(|(value, _)| value))
            .chain(&words.constraint);
        let settings = settings_in(arm, exprs.map(Expr::to_token_stream).collect());
        let declaration = quote! {{
            #settings
            __m::Variable::declare(#cell, __m::by_policy(self, __m::Declaration {
                name: __m::Some(#name),
                init: #init,
                shape: #shape,
                dtype: #dtype,
                trainable: #trainable,
                among_trained: #among_trained,
                persistent: #persistent,
                weight: #weight,
                autocast: #autocast,
                regularizer: #regularizer,
                constraint: #constraint,
            }));
        }};
        self.when(arm, words, declaration)
    }

    fn declare_part(&self, arm: &Arm, field: &Field) -> TokenStream {
        let Some((trainable, _)) = field.place.trainable else {
            return TokenStream::new();
        };
        let table = self.table(arm, field);
        let local = &field.local;
        quote!(__m::set_trainable(#local, &#table, #trainable);)
    }

    fn init(&self, words: &VariableWords) -> TokenStream {
        let Some(init) = &words.init else {
            return quote!(__m::any_init("glorot_uniform"));
        };
        let maker = match (&words.shape, self.input.words.manual_build) {
            (Some(_), _) => quote!(any_init),
            (None, None) => quote!(value_init),
            (None, Some(_)) => quote!(filling_init),
        };
        quote_spanned!(init.span()=> __m::#maker(#init))
    }

    /// The shape of a variable, where it follows from the inputs.
    pub(super) fn size(&self, arm: &Arm, field: &Field) -> TokenStream {
        let Role::Variable(words) = &field.role else {
            return TokenStream::new();
        };
        let Some(shape) = words.shape.as_ref().filter(|shape| shape.elems.iter().any(mentions_input)) else {
            return TokenStream::new();
        };
        let cell = self.cell(arm, field);
        let name = field.key();
        let settings = settings_in(arm, shape.to_token_stream());
        let dims = dims(shape);
        let sizing = quote! {{
            #settings
            __modulor_inputs.size(#cell, #name, &[#(#dims),*])?;
        }};
        self.when(arm, words, sizing)
    }

    /// Does something with a variable only where the settings say that there is one.
    pub(super) fn when(&self, arm: &Arm, words: &VariableWords, then: TokenStream) -> TokenStream {
        let Some(when) = &words.when else {
            return then;
        };
        let settings = settings_in(arm, when.to_token_stream());
        let condition = quote_spanned! {when.span()=> { #settings let __modulor_when: bool = #when; __modulor_when } };
        quote!(if #condition { #then })
    }
}

/// Makes locals of the settings that an expression names, so that it reads as it would in a method.
///
/// They are called what the fields are called; that is also what makes the compiler suggest the right name for a
/// misspelt one.
pub(super) fn settings_in(arm: &Arm, tokens: TokenStream) -> TokenStream {
    let settings = arm.fields.iter().filter(|field| matches!(field.role, Role::Setting { .. }));
    let named = settings.filter(|field| mentions(&tokens, &field.local));
    named
        .map(|field| {
            let local = &field.local;
            quote!(let #local = __m::Clone::clone(#local);)
        })
        .collect()
}

fn mentions_input(dim: &Expr) -> bool {
    let tokens = dim.to_token_stream();
    let word = |word| mentions(&tokens, &Ident::new(word, Span::call_site()));
    word("input") || word("inputs")
}

/// The dimensions of a shape, axes of the inputs included.
fn dims(shape: &ExprArray) -> impl Iterator<Item = TokenStream> {
    shape.elems.iter().map(|dim| {
        let mut dim = dim.clone();
        AxesOfInputs.visit_expr_mut(&mut dim);
        dim_value(&dim)
    })
}

/// A dimension that the compiler checks to be a `usize` where it is written.
fn dim_value(dim: &Expr) -> TokenStream {
    let span = dim.span();
    quote_spanned!(span=> { let __modulor_dim: usize = #dim; __modulor_dim })
}

/// Rewrites `input[i]` and `inputs[k][i]`, wherever they stand in a dimension.
struct AxesOfInputs;

impl VisitMut for AxesOfInputs {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        visit_mut::visit_expr_mut(self, expr);
        let Expr::Index(outer) = expr else { return };
        let axis = &outer.index;
        let span = outer.expr.span();
        if is_word(&outer.expr, "input") {
            *expr = parse_quote_spanned!(span=> __modulor_inputs.dim(0, #axis)?);
        } else if let Expr::Index(inner) = &*outer.expr
            && is_word(&inner.expr, "inputs")
        {
            let index = &inner.index;
            *expr = parse_quote_spanned!(span=> __modulor_inputs.dim(#index, #axis)?);
        }
    }
}

fn is_word(expr: &Expr, word: &str) -> bool {
    matches!(expr, Expr::Path(path) if path.path.is_ident(word))
}

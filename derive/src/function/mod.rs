//! `#[function]`: `uses` tells what code does with the variables around it, `plain` what is no tensor for sure, `exits` writes
//! `break` and `continue` as flags, and `rewrite` writes the body anew.

mod exits;
mod plain;
mod rewrite;
mod uses;

use crate::{fault::Faults, nearest};
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use rewrite::Rewriter;
use syn::{
    FnArg, GenericArgument, Ident, ItemFn, Meta, Pat, PatType, Path, PathArguments, ReceiverKind, ReturnType, Safety,
    Token, Type, parse::Parser, parse_quote, punctuated::Punctuated, spanned::Spanned, visit_mut::VisitMut,
};

pub fn expand(words: TokenStream, item: TokenStream) -> TokenStream {
    let mut faults = Faults::default();
    let krate = krate(words, &mut faults);
    let function = match syn::parse2::<ItemFn>(item.clone()) {
        Ok(function) => function,
        Err(_) => {
            let message = "`#[function]` belongs on a function with a body, by itself or in an `impl`";
            let mut output = syn::Error::new(item.span(), message).to_compile_error();
            // What is no item either has given the message of the compiler.
            output.extend(syn::parse2::<syn::Item>(item).map(ToTokens::into_token_stream).unwrap_or_default());
            return output;
        }
    };
    let arguments = arguments(&function, &mut faults);
    check(&function, &mut faults);
    if faults.is_empty() {
        return written(function, &arguments, &krate);
    }
    let mut output = faults.into_compile_errors();
    output.extend(stub(function));
    output
}

/// The function without its body, so that whoever calls it is not told that there is none.
fn stub(mut function: ItemFn) -> TokenStream {
    function.block = parse_quote!({ loop {} });
    quote!(#[allow(unused_variables, unused_mut, clippy::all)] #function)
}

/// Where modulor is.
fn krate(words: TokenStream, faults: &mut Faults) -> TokenStream {
    let mut krate = quote!(::modulor);
    let words = match Punctuated::<Meta, Token![,]>::parse_terminated.parse2(words) {
        Ok(words) => words,
        Err(error) => {
            faults.push(error.span(), "`#[function]` takes words such as `crate = path::to::modulor`");
            return krate;
        }
    };
    for word in words {
        match &word {
            Meta::NameValue(named) if named.path.is_ident("crate") => {
                match syn::parse2::<Path>(named.value.to_token_stream()) {
                    Ok(path) => krate = path.into_token_stream(),
                    Err(_) => faults.push_at(&named.value, "`crate` takes a path, as `crate = path::to::modulor`"),
                }
            }
            other => {
                let name = other.path().to_token_stream().to_string();
                faults.push_at(
                    other.path(),
                    format!("unknown word `{name}`; {}", nearest::suggestion(&name, &["crate"])),
                );
            }
        }
    }
    krate
}

/// An argument, as the function takes it and as its body sees it.
struct Argument {
    /// Its name outside of the body.
    outer: Ident,
    /// Its name in messages.
    shown: String,
    /// What the body calls it, if that is not `self`.
    pat: Option<Pat>,
    /// Its type, without the reference.
    ty: Type,
    passed: Passed,
}

#[derive(Clone, Copy, PartialEq)]
enum Passed {
    Value,
    Reference,
    /// `Option<&T>`
    OptionalReference,
}

fn arguments(function: &ItemFn, faults: &mut Faults) -> Vec<Argument> {
    let mut found = Vec::new();
    for (at, input) in function.sig.inputs.iter().enumerate() {
        match input {
            FnArg::Receiver(receiver) => {
                if !matches!(receiver.kind, ReceiverKind::Reference(_, _, None)) {
                    faults.push_at(
                        receiver,
                        "a `#[function]` takes `&self`: a graph is kept for the module, and what changes in it is a `Variable`",
                    );
                }
                let (outer, ty) = (Ident::new("self", receiver.self_token.span), parse_quote!(Self));
                found.push(Argument { outer, shown: "self".to_owned(), pat: None, ty, passed: Passed::Reference });
            }
            FnArg::Typed(typed) => found.extend(argument(at, typed, faults)),
        }
    }
    found
}

fn argument(at: usize, typed: &PatType, faults: &mut Faults) -> Option<Argument> {
    let (passed, ty) = match &*typed.ty {
        Type::Reference(reference) if reference.mutability.is_some() => {
            faults.push_at(
                reference,
                "a `#[function]` changes no argument: give the new value back, or keep the state in a `Variable`",
            );
            return None;
        }
        Type::Reference(reference) => (Passed::Reference, (*reference.elem).clone()),
        ty => match optional(ty) {
            Some(inner) => (Passed::OptionalReference, parse_quote!(::core::option::Option<#inner>)),
            None => (Passed::Value, ty.clone()),
        },
    };
    #[derive(Default)]
    struct Inner {
        references: bool,
        anonymous: bool,
    }
    impl VisitMut for Inner {
        fn visit_type_mut(&mut self, ty: &mut Type) {
            self.references |= matches!(ty, Type::Reference(_));
            self.anonymous |= matches!(ty, Type::ImplTrait(_));
            syn::visit_mut::visit_type_mut(self, ty);
        }
    }
    let mut inner = Inner::default();
    inner.visit_type_mut(&mut ty.clone());
    if inner.references {
        let message =
            "references within an argument are not taken: write `&(A, B)` for `(&A, &B)`, `&[A]` for `Vec<&A>`";
        faults.push_at(&typed.ty, message);
        return None;
    }
    if inner.anonymous {
        faults.push_at(
            &typed.ty,
            "a graph is kept for a type that has a name: write `<T: Trait>` and `T` for `impl Trait`",
        );
        return None;
    }
    let (outer, shown) = match &*typed.pat {
        Pat::Ident(name) if name.subpat.is_none() && name.by_ref.is_none() => {
            (name.ident.clone(), name.ident.to_string())
        }
        _ => (format_ident!("__modulor_argument_{at}"), format!("argument {at}")),
    };
    Some(Argument { outer, shown, pat: Some((*typed.pat).clone()), ty, passed })
}

/// The `T` of `Option<&T>`.
fn optional(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(Type::Reference(reference)) if reference.mutability.is_none() => Some(&reference.elem),
        _ => None,
    }
}

fn check(function: &ItemFn, faults: &mut Faults) {
    let signature = &function.sig;
    if let Some(word) = &signature.asyncness {
        faults.push_at(word, "a graph is run and not awaited: remove `async`");
    }
    if let Some(word) = &signature.constness {
        faults.push_at(word, "a graph is made when the program runs: remove `const`");
    }
    if let Safety::Unsafe(word) = &signature.safety {
        faults.push_at(word, "a `#[function]` is safe to call: put `unsafe` around what needs it");
    }
    if let Some(word) = &signature.abi {
        faults.push_at(word, "a `#[function]` is called from Rust: call it in a function with this ABI");
    }
    let gives_result = match &signature.output {
        ReturnType::Default => false,
        ReturnType::Type(_, ty) => matches!(&**ty, Type::Path(path)
            if path.path.segments.last().is_some_and(|last| last.ident == "Result")),
    };
    if !gives_result {
        let message =
            "a `#[function]` gives `Result<..>`, as operations can fail: of a Tensor, a structure of them, or `()`";
        match &signature.output {
            ReturnType::Default => faults.push_at(&signature.ident, message),
            ReturnType::Type(_, ty) => faults.push_at(ty, message),
        }
    }
}

/// The function with a body that finds the graph and runs it.
fn written(function: ItemFn, arguments: &[Argument], krate: &TokenStream) -> TokenStream {
    let ItemFn { attrs, vis, mut sig, block, .. } = function;
    let mut rewriter = Rewriter::new(sig.output.clone());
    for argument in arguments {
        if let Some(pat) = &argument.pat {
            let ty = &argument.ty;
            let seen: Type = if argument.passed == Passed::Reference { parse_quote!(&#ty) } else { ty.clone() };
            rewriter.declare(pat, Some(&seen), false, false);
        }
    }
    let body = rewriter.body(block.stmts);
    let typed = sig.inputs.iter_mut().zip(arguments);
    for (input, argument) in typed {
        if let FnArg::Typed(typed) = input {
            let outer = &argument.outer;
            *typed.pat = parse_quote!(#outer);
        }
    }
    let (output, name) = (&sig.output, sig.ident.to_string());
    let way = |at: usize| format_ident!("__modulor_way_{at}");
    let ways = arguments.iter().enumerate().map(|(at, Argument { ty, .. })| {
        let way = way(at);
        let probe = quote_spanned!(ty.span()=> (&&&&&&__m::Probe::<#ty>::new()).modulor_argument());
        quote!(let #way = #probe;)
    });
    let owned = arguments.iter().filter(|argument| argument.passed == Passed::OptionalReference);
    let owned = owned.map(|Argument { outer, .. }| quote!(let #outer = #outer.cloned();));
    let seen = |argument: &Argument| {
        let outer = &argument.outer;
        match argument.passed {
            Passed::Reference => quote!(#outer),
            _ => quote!(&#outer),
        }
    };
    let each = |of: &dyn Fn(usize, &Argument) -> TokenStream| -> TokenStream {
        let parts = arguments.iter().enumerate().rev();
        parts.fold(quote!(()), |rest, (at, argument)| {
            let part = of(at, argument);
            quote!((#part, #rest))
        })
    };
    let asked = |method: &str| {
        let method = Ident::new(method, proc_macro2::Span::call_site());
        move |at: usize, argument: &Argument| {
            let (way, ty, seen) = (way(at), &argument.ty, seen(argument));
            let ask = quote_spanned!(ty.span()=> __m::Argument::<#ty>::#method);
            quote!(#ask(&#way, #seen))
        }
    };
    let fed = each(&asked("fed"));
    let key = each(&|at, argument| {
        let (shown, key) = (&argument.shown, asked("key")(at, argument));
        quote!(__m::Named(#shown, #key))
    });
    let identified = arguments.iter().enumerate().map(|(at, argument)| {
        let (way, ty, seen) = (way(at), &argument.ty, seen(argument));
        quote!(__m::Argument::<#ty>::identify(&#way, #seen, __modulor_identity)?;)
    });
    let mut fed_place = quote!(__modulor_fed);
    let bound = arguments.iter().enumerate().map(|(at, argument)| {
        let place = quote!(#fed_place.0);
        fed_place = quote!(#fed_place.1);
        let (way, Argument { ty, pat, .. }, seen) = (way(at), argument, seen(argument));
        let Some(pat) = pat else { return TokenStream::new() };
        match argument.passed {
            Passed::Value => quote!(let #pat: #ty = __m::Given::<#ty>::give(&#way, &#place, #seen);),
            Passed::Reference => quote!(let #pat: &#ty = __m::Argument::<#ty>::lend(&#way, &#place, #seen);),
            Passed::OptionalReference => {
                quote!(let #pat = __m::Argument::<#ty>::lend(&#way, &#place, #seen).as_ref();)
            }
        }
    });
    let bound: TokenStream = bound.collect();
    quote! {
        #(#attrs)*
        #vis #sig {
            #[allow(unused_imports)]
            use #krate::__private::autograph::{
                self as __m, AnyArgument as _, AnyLoop as _, AnyPart as _, DupAny as _, DupClone as _, EqArgument as _,
                FailingPart as _, FloatArgument as _, ModuleArgument as _, OwnedRows as _, PlainPart as _, RowsLoop as _,
                SliceArgument as _, StructureArgument as _, StructurePart as _,
            };
            static __MODULOR_TRACES: __m::Traces = __m::Traces::new();
            #(#owned)*
            #(#ways)*
            __m::call(
                &__MODULOR_TRACES,
                #name,
                |__modulor_identity| {
                    #(#identified)*
                    __m::Ok(())
                },
                __m::KeyParts(#key),
                #fed,
                |__modulor_fed| #output {
                    #bound
                    #body
                },
            )
        }
    }
}

//! `Track` and `Module`: what walks, handles and calls need.

use super::{Expansion, default_name, head};
use crate::{
    ast::{Arm, Field},
    attr::Role,
};
use proc_macro2::TokenStream;
use quote::quote;

impl Expansion<'_> {
    pub(super) fn track_impl(&self) -> TokenStream {
        let class = self.input.class();
        let share = self.match_self(|arm| {
            let head = head(arm);
            let fields = arm.fields.iter().map(|field| {
                let Field { member, local, .. } = field;
                let table = self.table(arm, field);
                quote!(#member: (#table.share)(#local))
            });
            quote!(#head { #(#fields),* })
        });
        let (config, from_config) = if self.input.words.no_config.is_some() {
            let refusal = no_config(&class);
            (refusal.clone(), refusal)
        } else {
            (quote!(__m::Ok(__m::Some(__m::object(self)?))), quote!(__m::read_object::<Self>(#class, __modulor_config)))
        };
        self.implement(
            quote!(Track),
            quote! {
                fn track(&self, __modulor_name: &str, __modulor_visitor: &mut dyn __m::Visitor) {
                    __modulor_visitor.module(__modulor_name, self)
                }

                fn share(&self) -> Self {
                    #share
                }

                fn field_config(&self) -> __m::Result<__m::Option<__m::Value>> {
                    #config
                }

                fn from_field(__modulor_config: __m::Option<&__m::Value>) -> __m::Result<Self> {
                    #from_config
                }
            },
        )
    }

    pub(super) fn module_impl(&self) -> TokenStream {
        let class = self.input.class();
        let name = default_name(self.input);
        let package = self.package();
        let fields = self.match_self(|arm| arm.fields.iter().map(|field| self.visit(arm, field)).collect());
        let declare = self.match_self(|arm| arm.fields.iter().map(|field| self.declare(arm, field)).collect());
        let build = match self.input.words.manual_build {
            Some(_) => quote!(__m::ManualBuild::build(self, __modulor_inputs)),
            None => {
                let build = self.match_self(|arm| arm.fields.iter().map(|field| self.size(arm, field)).collect());
                quote!(#build __m::Ok(()))
            }
        };
        let config = self.config_body();
        let policy = self.policy();
        self.implement(
            quote!(Module),
            quote! {
                fn as_module(&self) -> &dyn __m::Module {
                    self
                }

                fn class_name(&self) -> &str {
                    #class
                }

                fn default_name(&self) -> &str {
                    #name
                }

                fn package(&self) -> &str {
                    #package
                }

                fn fields(&self, __modulor_visitor: &mut dyn __m::Visitor) {
                    #fields
                }

                fn declare(&self) {
                    #declare
                }

                fn build(&self, __modulor_inputs: &__m::InputShapes) -> __m::Result<()> {
                    #build
                }

                #policy

                fn config(&self) -> __m::Result<__m::Config> {
                    #config
                }
            },
        )
    }

    /// The policy is the setting under Keras's key, if that is one: an alias of the type is one as well.
    fn policy(&self) -> Option<TokenStream> {
        let of = |arm: &'_ Arm| {
            let is_policy = |field: &&Field| matches!(field.role, Role::Setting { .. }) && field.key() == "dtype";
            arm.fields.iter().find(is_policy).map(|field| field.local.clone())
        };
        self.input.arms.iter().any(|arm| of(arm).is_some()).then(|| {
            let policy = self.match_self(|arm| match of(arm) {
                Some(local) => quote!(__m::policy(#local)),
                None => quote!(__m::None),
            });
            quote! {
                fn dtype_policy(&self) -> __m::Option<__m::DTypePolicy> {
                    #policy
                }
            }
        })
    }

    /// Shows a field to the visitor.
    fn visit(&self, arm: &Arm, field: &Field) -> TokenStream {
        if !field.is_tracked() {
            return TokenStream::new();
        }
        let local = &field.local;
        let table = self.table(arm, field);
        let path = path(arm, &field.key());
        let alias = field.alias().map(|alias| {
            let alias = self::path(arm, &alias);
            quote!(__modulor_visitor.alias(#path, #alias);)
        });
        let visit = quote!(#alias (#table.track)(#local, #path, __modulor_visitor););
        match &field.role {
            Role::Variable(words) => self.when(arm, words, visit),
            _ => visit,
        }
    }
}

/// A name in the paths of a module: below the variant's where that is tagged.
fn path(arm: &Arm, key: &str) -> String {
    match &arm.variant {
        Some(variant) if variant.words.tagged.is_some() => format!("{}/{key}", variant.name()),
        _ => key.to_owned(),
    }
}

/// The error of a type derived with `no_config`.
pub(super) fn no_config(class: &str) -> TokenStream {
    let message = format!("`{class}` has no config: it is derived with `#[module(no_config)]`");
    quote!(__m::Err(__m::Error::unimplemented(#message)))
}

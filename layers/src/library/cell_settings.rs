//! What the cells of recurrent layers have in common, and their layers hand on to them.

/// A cell of a recurrent layer: what it needs, its own settings, those that all have, its variables, what dropout draws for
/// it; and the builder methods of the layer for all these settings.
///
/// A setting is a row of name, type and default, which ends with `into` where it is made of other types too. How the bias
/// begins is the cell's own: `bias_initializer` is among its own settings.
macro_rules! cell {
    (
        $(#[$about:meta])*
        $cell:ident $generics:tt $name:literal for $layer:ty, dropout by $draw:ident of $gates:literal;
        needs $needed:tt
        bias = { $($bias:tt)* }
        $($own:tt)*
    ) => {
        $crate::library::cell_settings::cell_of! {
            $(#[$about])*
            $cell $generics $name for $layer, dropout by $draw of $gates;
            needs $needed
            settings {
                /// The function of the result, by name or as an [`AnyActivation`](crate::activation::AnyActivation); tanh
                /// unless set.
                activation: $crate::activation::AnyActivation = $crate::activation::AnyActivation::Tanh, into;
                $($own)*
                /// Whether there is a bias; there is unless this says no.
                use_bias: bool = true;
                /// How the kernel begins; [`GlorotUniform`](crate::initializer::GlorotUniform) unless set.
                kernel_initializer: $crate::initializer::AnyInitializer =
                    $crate::initializer::GlorotUniform::default().into(), into;
                /// How the recurrent kernel begins; [`Orthogonal`](crate::initializer::Orthogonal) unless set.
                recurrent_initializer: $crate::initializer::AnyInitializer =
                    $crate::initializer::Orthogonal::default().into(), into;
                /// What the kernel costs; nothing unless set.
                kernel_regularizer: $crate::OrNone<$crate::regularizer::AnyRegularizer> = $crate::OrNone(None), into;
                /// What the recurrent kernel costs; nothing unless set.
                recurrent_regularizer: $crate::OrNone<$crate::regularizer::AnyRegularizer> = $crate::OrNone(None), into;
                /// What the bias costs; nothing unless set.
                bias_regularizer: $crate::OrNone<$crate::regularizer::AnyRegularizer> = $crate::OrNone(None), into;
                /// Where the kernel may be; anywhere unless set.
                kernel_constraint: $crate::OrNone<$crate::constraint::AnyConstraint> = $crate::OrNone(None), into;
                /// Where the recurrent kernel may be; anywhere unless set.
                recurrent_constraint: $crate::OrNone<$crate::constraint::AnyConstraint> = $crate::OrNone(None), into;
                /// Where the bias may be; anywhere unless set.
                bias_constraint: $crate::OrNone<$crate::constraint::AnyConstraint> = $crate::OrNone(None), into;
                /// In training, the part of the inputs that is left out, the same in all steps of a sequence; none unless
                /// set.
                dropout: f64 = 0.0;
                /// In training, the part of h that is left out, the same in all steps of a sequence; none unless set.
                recurrent_dropout: f64 = 0.0;
                /// The seed of dropout; without one, it follows from the layer's place in its model.
                seed: Option<i64> = None, into;
            }
            variables {
                #[variable(init = kernel_initializer, regularizer = kernel_regularizer, constraint = kernel_constraint)]
                kernel;
                #[variable(
                    init = recurrent_initializer,
                    regularizer = recurrent_regularizer,
                    constraint = recurrent_constraint
                )]
                recurrent_kernel;
                #[variable(
                    init = $($bias)*,
                    regularizer = bias_regularizer,
                    constraint = bias_constraint,
                    when = use_bias
                )]
                bias;
            }
        }
    };
}
pub(super) use cell;

macro_rules! cell_of {
    (
        $(#[$about:meta])*
        $cell:ident {$([$($generics:tt)*] [$($arguments:tt)*])?} $name:literal for $layer:ty,
        dropout by $draw:ident of $gates:literal;
        needs { $($needed:ident: $needed_type:ty $(, $needed_into:ident)?;)* }
        settings { $($(#[$doc:meta])* $setting:ident: $type:ty = $default:expr $(, $into:ident)?;)* }
        variables { $(#[$variable_words:meta] $variable:ident;)* }
    ) => {
        $(#[$about])*
        #[derive(modulor::Module)]
        #[module(package = "keras.layers", name = $name, build = manual)]
        pub struct $cell $($($generics)*)? {
            /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`](modulor::DTypePolicy); the
            /// ambient policy unless set.
            #[config(default, into)]
            dtype: modulor::DTypePolicy,
            $(#[config$(($needed_into))?] $needed: $needed_type,)*
            $($(#[$doc])* #[config(default = $default $(, $into)?)] $setting: $type,)*
            #[module(default)]
            seed_generator: $crate::library::SeedGenerator,
            #[skip]
            masks: Option<$crate::library::recurrent_dropout::Masks>,
            $(#[$variable_words] $variable: modulor::Variable,)*
        }

        impl $($($generics)*)? $cell $($($arguments)*)? {
            /// Says how the seeds begin, if there are to be any.
            fn declare_seeds(&self) {
                if self.dropout > 0.0 || self.recurrent_dropout > 0.0 {
                    self.seed_generator.declare(self.seed);
                }
            }

            /// What dropout leaves: what was drawn for the sequence, or is now.
            fn masks(
                &self,
                x: &modulor::Tensor,
                h: &modulor::Tensor,
            ) -> modulor::Result<$crate::library::recurrent_dropout::Masks> {
                let (rates, seeds) = ([self.dropout, self.recurrent_dropout], &self.seed_generator);
                let draw = || $crate::library::recurrent_dropout::Masks::$draw(rates, $gates, seeds, [x, h]);
                self.masks.clone().map_or_else(draw, Ok)
            }

            /// The cell with what dropout draws for a sequence of these first inputs and states.
            fn drawn(
                &self,
                x: &modulor::Tensor,
                states: &[modulor::Tensor],
            ) -> modulor::Result<Option<Box<dyn $crate::library::Cell>>> {
                let Some(h) = states.first() else { return Ok(None) };
                self.declare_seeds();
                let mut cell = modulor::module::Track::share(self);
                cell.masks = Some(self.masks(x, h)?);
                Ok(Some(Box::new(cell)))
            }
        }

        impl $($($generics)*)? $layer { $(
            $(#[$doc])*
            #[must_use]
            pub fn $setting(mut self, $setting: $crate::library::cell_settings::taken!($type $(, $into)?)) -> Self {
                self.cell = self.cell.$setting($setting);
                self
            }
        )* }
    };
}
pub(super) use cell_of;

/// What a builder method takes.
macro_rules! taken {
    ($type:ty) => { $type };
    ($type:ty, into) => { impl Into<$type> };
}
pub(super) use taken;

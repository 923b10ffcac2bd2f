//! Layers whose function follows from the arguments of a call, in configs: states of recurrent layers, what layers of
//! attention are asked for, weights of what is counted.

use super::attending::{Attends, Causal, with_scores};
use super::recurrent::{BothWays, Held, RecurrentLayer, Under};
use super::{
    AdditiveAttention, Attention, Bidirectional, CategoryEncoding, ConvLSTM1D, ConvLSTM2D, ConvLSTM3D, GRU,
    GroupQueryAttention, LSTM, MultiHeadAttention, RNN, ReversibleEmbedding, SimpleRNN,
};
use modulor::layer::AnyLayer;
use modulor::module::Track;
use modulor::{Error, Layer, NameLayer, Result, Structure, Tensor, Tree};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// A layer that is called with tensors, by the names of Keras's arguments, those without a name as a list under `args`, and
/// with flags.
pub(crate) trait Variants {
    fn call(&self, trees: BTreeMap<String, Tree>, flags: &HashMap<String, bool>) -> Result<Tree>;
}

/// The layer of a serialized object under a name, if its class is one of these.
pub(crate) fn variants(object: &Value, name: &str) -> Result<Option<Box<dyn Variants>>> {
    if object["module"] != "keras.layers" {
        return Ok(None);
    }
    fn several<L: Variant>(object: &Value, name: &str) -> Result<Option<Box<dyn Variants>>> {
        let layer = L::from_field(Some(object))?;
        let plain = AnyLayer::of(layer.share().named(name));
        let returns_state = object["config"]["return_state"] == true;
        Ok(Some(Box::new(Several { layer, plain, name: name.to_owned(), returns_state })))
    }
    match object["class_name"].as_str().unwrap_or_default() {
        "AdditiveAttention" => several::<AdditiveAttention>(object, name),
        "Attention" => several::<Attention>(object, name),
        "Bidirectional" => several::<Bidirectional>(object, name),
        "CategoryEncoding" => several::<CategoryEncoding>(object, name),
        "ConvLSTM1D" => several::<ConvLSTM1D>(object, name),
        "ConvLSTM2D" => several::<ConvLSTM2D>(object, name),
        "ConvLSTM3D" => several::<ConvLSTM3D>(object, name),
        "GRU" => several::<GRU>(object, name),
        "GroupQueryAttention" | "GroupedQueryAttention" => several::<GroupQueryAttention>(object, name),
        "LSTM" => several::<LSTM>(object, name),
        "MultiHeadAttention" => several::<MultiHeadAttention>(object, name),
        "RNN" => several::<RNN>(object, name),
        "ReversibleEmbedding" => several::<ReversibleEmbedding>(object, name),
        "SimpleRNN" => several::<SimpleRNN>(object, name),
        _ => Ok(None),
    }
}

/// What a call asks for.
struct Wish<'a> {
    trees: BTreeMap<String, Tree>,
    flags: &'a HashMap<String, bool>,
    returns_state: bool,
}

impl Wish<'_> {
    fn flag(&self, name: &str) -> bool {
        self.flags.get(name).copied().unwrap_or_default()
    }

    /// An argument by its place or its name.
    fn take(&mut self, place: usize, name: &str) -> Option<Tree> {
        if let Some(Tree::List(args)) = self.trees.get_mut("args")
            && let Some(arg) = args.get_mut(place)
        {
            return Some(std::mem::replace(arg, Tree::None)).filter(|tree| !matches!(tree, Tree::None));
        }
        self.trees.remove(name)
    }

    /// Refuses what nothing has taken.
    fn finish(&self, known: &[&str]) -> Result<()> {
        let left = self.trees.iter().filter(|(name, tree)| match tree {
            Tree::List(args) if *name == "args" => args.iter().any(|arg| !matches!(arg, Tree::None)),
            _ => true,
        });
        let flags = self.flags.iter().filter(|(name, set)| **set && !known.contains(&name.as_str()));
        let mut names: Vec<&str> =
            left.map(|(name, _)| name.as_str()).chain(flags.map(|(name, _)| name.as_str())).collect();
        names.sort_unstable();
        match &names[..] {
            [] => Ok(()),
            names => {
                let message = format!("the arguments {} of a call have no counterpart here", names.join(", "));
                Err(Error::unimplemented(message))
            }
        }
    }
}

/// A class whose layers have several functions.
trait Variant: Layer<Self::In, Tensor> + Sized {
    type In: Structure;

    /// Calls the function that is wished for; `None` for that of the class itself.
    fn variant(&self, wish: &mut Wish, name: &str) -> Result<Option<Tree>>;

    /// The input of the function of the class itself.
    fn plain(wish: &mut Wish) -> Result<Tree> {
        let x = wish.take(0, "inputs").or_else(|| wish.take(0, "sequences"));
        x.ok_or_else(|| Error::invalid_argument("the call has no input"))
    }
}

struct Several<L> {
    layer: L,
    plain: AnyLayer,
    name: String,
    returns_state: bool,
}

impl<L: Variant> Variants for Several<L> {
    fn call(&self, trees: BTreeMap<String, Tree>, flags: &HashMap<String, bool>) -> Result<Tree> {
        let mut wish = Wish { trees, flags, returns_state: self.returns_state };
        match self.layer.variant(&mut wish, &self.name)? {
            Some(tree) => Ok(tree),
            None => {
                let x = L::plain(&mut wish)?;
                wish.finish(&["use_causal_mask", "return_attention_scores", "reverse"])?;
                self.plain.call(&x)
            }
        }
    }
}

/// A layer of attention of which more is asked for, or other than usual.
fn attend<L>(layer: &L, wish: &Wish, x: &Tree, name: &str) -> Result<Option<Tree>>
where
    L: Attends + Layer<L::Inputs, Tensor>,
{
    match (wish.flag("use_causal_mask"), wish.flag("return_attention_scores")) {
        (causal, true) => AnyLayer::of(with_scores(layer, causal).named(name)).call(x).map(Some),
        (true, false) => AnyLayer::of(Under::of(layer.share(), Causal).named(name)).call(x).map(Some),
        (false, false) => Ok(None),
    }
}

macro_rules! of_heads {
    ($($class:ident)*) => { $(
        impl Variant for $class {
            type In = super::AttentionInputs;

            fn variant(&self, wish: &mut Wish, name: &str) -> Result<Option<Tree>> {
                let x = Self::plain(wish)?;
                wish.finish(&["use_causal_mask", "return_attention_scores"])?;
                let other = attend(self, wish, &x, name)?;
                // The input has been put together, and stands where the plain function finds it.
                wish.trees = BTreeMap::from([("args".to_owned(), Tree::List(vec![x]))]);
                Ok(other)
            }

            fn plain(wish: &mut Wish) -> Result<Tree> {
                let missing = |name: &str| Error::invalid_argument(format!("a layer of attention needs a {name}"));
                if let Some(Tree::List(args)) = wish.trees.get("args")
                    && let [Tree::Map(_)] = &args[..]
                {
                    return wish.take(0, "query").ok_or_else(|| missing("query"));
                }
                let query = wish.take(0, "query").ok_or_else(|| missing("query"))?;
                let value = wish.take(1, "value").ok_or_else(|| missing("value"))?;
                let key = wish.take(2, "key").unwrap_or_else(|| value.clone());
                let mask = wish.trees.remove("attention_mask").unwrap_or(Tree::None);
                let parts = [("query", query), ("value", value), ("key", key), ("attention_mask", mask)];
                Ok(Tree::Map(parts.into_iter().map(|(name, part)| (name.to_owned(), part)).collect()))
            }
        }
    )* };
}

of_heads! { GroupQueryAttention MultiHeadAttention }

macro_rules! of_lists {
    ($($class:ident)*) => { $(
        impl Variant for $class {
            type In = <$class as Attends>::Inputs;

            fn variant(&self, wish: &mut Wish, name: &str) -> Result<Option<Tree>> {
                if !(wish.flag("use_causal_mask") || wish.flag("return_attention_scores")) {
                    return Ok(None);
                }
                let x = Self::plain(wish)?;
                wish.finish(&["use_causal_mask", "return_attention_scores"])?;
                attend(self, wish, &x, name)
            }
        }
    )* };
}

of_lists! { AdditiveAttention Attention }

/// The sequence and the states before it, if the call is of a function that has them.
fn with_states(wish: &mut Wish) -> Result<Option<Tree>> {
    let states = wish.trees.remove("initial_state").or_else(|| wish.take(1, "initial_state"));
    if states.is_none() && !wish.returns_state {
        return Ok(None);
    }
    let x = wish.take(0, "sequences").ok_or_else(|| Error::invalid_argument("the call has no sequence"))?;
    wish.finish(&[])?;
    let states = match states {
        Some(Tree::Leaf(state)) => Tree::List(vec![Tree::Leaf(state)]),
        other => other.unwrap_or(Tree::None),
    };
    Ok(Some(Tree::List(vec![x, states])))
}

impl<C: Held> Variant for RecurrentLayer<C> {
    type In = Tensor;

    fn variant(&self, wish: &mut Wish, name: &str) -> Result<Option<Tree>> {
        let x = with_states(wish)?;
        x.map(|x| AnyLayer::of(Under::of(self.share(), BothWays).named(name)).call(&x)).transpose()
    }
}

impl Variant for Bidirectional {
    type In = Tensor;

    fn variant(&self, wish: &mut Wish, name: &str) -> Result<Option<Tree>> {
        if let Some(x) = with_states(wish)? {
            return AnyLayer::of(Under::of(self.share(), BothWays).named(name)).call(&x).map(Some);
        }
        match self.is_apart() {
            false => Ok(None),
            true => AnyLayer::of(self.directions().named(name)).call(&Self::plain(wish)?).map(Some),
        }
    }
}

impl Variant for CategoryEncoding {
    type In = Tensor;

    fn variant(&self, wish: &mut Wish, name: &str) -> Result<Option<Tree>> {
        let Some(weights) = wish.take(1, "count_weights") else { return Ok(None) };
        let x = Self::plain(wish)?;
        wish.finish(&[])?;
        AnyLayer::of(self.with_count_weights().named(name)).call(&Tree::List(vec![x, weights])).map(Some)
    }
}

impl Variant for ReversibleEmbedding {
    type In = Tensor;

    fn variant(&self, wish: &mut Wish, name: &str) -> Result<Option<Tree>> {
        match wish.flag("reverse") {
            false => Ok(None),
            true => AnyLayer::of(self.reversed().named(name)).call(&Self::plain(wish)?).map(Some),
        }
    }
}

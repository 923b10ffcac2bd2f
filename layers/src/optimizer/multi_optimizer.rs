//! An optimizer of optimizers.

use super::step::{self, Changes};
use super::{LearningRate, Optimizer, Parts, Rule, SlotValues, Slots, Step, from_object};
use modulor::module::{self, Config, FromConfig, InputShapes, Module, Schema, Track, Visitor, name};
use modulor::variable::{Declaration, IntoInit};
use modulor::{Error, Result, Tensor, Variable, scope};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Several optimizers, each for variables of its own: those whose paths are like its pattern, and one for all others.
///
/// A pattern is a path, in which `.` stands for any character, `.*` for any number of them, and `.+` for one or more; it is
/// for the whole path. The other signs of Keras's regular expressions are errors, unless `\` stands before them. A pattern
/// that is the path itself goes before all others; a variable that two others fit is an error.
///
/// A step of all is one: other threads see the whole of it or none. It has no learning rate; its optimizers have their own.
///
/// # Variables
///
/// `iteration`, and `learning_rate`, which stays 0; then those of the optimizers in the order of their patterns, which a
/// config does not keep otherwise, and of the one for all others.
///
/// ```
/// use modulor::{Tensor, Variable};
/// use modulor_layers::optimizer::{Lion, MultiOptimizer, Optimizer, SGD};
/// # fn main() -> modulor::Result<()> {
/// let (head, body) = (Variable::new(1.0), Variable::new(1.0));
/// head.stamp("model/head/kernel");
/// let optimizer = MultiOptimizer::new(SGD::new().learning_rate(0.5)).with(".*/head/.*", Lion::new().learning_rate(0.5));
/// optimizer.apply(&[(head.clone(), Some(Tensor::scalar(0.5_f32))), (body.clone(), Some(Tensor::scalar(0.5_f32)))])?;
/// assert_eq!([head.value()?.item::<f32>()?, body.value()?.item()?], [0.5, 0.75]);
/// # Ok(())
/// # }
/// ```
pub struct MultiOptimizer {
    name: String,
    iteration: Variable,
    learning_rate: LearningRate,
    /// None, but for the turns of threads.
    slots: Slots,
    by_pattern: BTreeMap<String, Arc<dyn Optimizer>>,
    default: Arc<dyn Optimizer>,
    loss_scale_factor: Option<f64>,
}

const NAME: &str = "multi_optimizer";

/// Classes that cannot be among the optimizers.
const OUTERMOST: &[&str] = &["MultiOptimizer", "LossScaleOptimizer"];

impl MultiOptimizer {
    /// An optimizer for all variables that no pattern is for.
    pub fn new(default_optimizer: impl Optimizer) -> MultiOptimizer {
        MultiOptimizer::of(Arc::new(default_optimizer))
    }

    fn of(default: Arc<dyn Optimizer>) -> MultiOptimizer {
        let iteration = Variable::default();
        let declaration = Declaration::new(0_i64.into_init());
        iteration.declare(Declaration { name: Some("iteration"), trainable: false, weight: false, ..declaration });
        let (slots, by_pattern) = (Slots::default(), BTreeMap::new());
        let learning_rate = LearningRate::from(0.0);
        MultiOptimizer {
            name: NAME.to_owned(),
            iteration,
            learning_rate,
            slots,
            by_pattern,
            default,
            loss_scale_factor: None,
        }
    }

    /// With an optimizer for the variables whose paths are like `pattern`, in the place of the one that it had.
    #[must_use]
    pub fn with(mut self, pattern: impl Into<String>, optimizer: impl Optimizer) -> MultiOptimizer {
        self.by_pattern.insert(pattern.into(), Arc::new(optimizer));
        self
    }

    /// What the paths of its own variables begin with, unless it is a part of something larger.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> MultiOptimizer {
        self.name = name.into();
        self
    }

    /// What losses are multiplied by, so that small gradients of half precision do not vanish. It stands in the place of
    /// what the optimizers have.
    #[must_use]
    pub fn loss_scale_factor(mut self, loss_scale_factor: impl Into<Option<f64>>) -> MultiOptimizer {
        self.loss_scale_factor = loss_scale_factor.into();
        self
    }

    /// The optimizers: those of patterns, in the order of these, and the one for all others.
    pub fn optimizers(&self) -> impl Iterator<Item = &dyn Optimizer> {
        self.by_pattern.values().chain([&self.default]).map(|optimizer| &**optimizer)
    }

    /// The optimizers with their names here.
    fn places(&self) -> impl Iterator<Item = (String, &dyn Optimizer)> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        self.optimizers().map(move |optimizer| {
            let count = counts.entry(optimizer.default_name()).or_default();
            *count += 1;
            (name::numbered(optimizer.default_name(), *count - 1), optimizer)
        })
    }

    /// The settings that an optimizer takes its steps by.
    fn parts_of<'a>(&self, optimizer: &'a dyn Optimizer) -> Parts<'a> {
        Parts { loss_scale_factor: self.loss_scale_factor, ..optimizer.parts() }
    }

    /// What comes with each variable, by the number of its optimizer.
    fn grouped<'a, T>(&self, all: &'a [T], variable: impl Fn(&T) -> &Variable) -> Result<Vec<Vec<&'a T>>> {
        let patterns = self.by_pattern.keys().map(|pattern| pieces(pattern)).collect::<Result<Vec<_>>>()?;
        let mut groups: Vec<Vec<&T>> = (0..=patterns.len()).map(|_| Vec::new()).collect();
        for each in all {
            let path = variable(each).path().unwrap_or_else(|| variable(each).name());
            let exact = self.by_pattern.keys().position(|pattern| *pattern == path);
            let alike: Vec<usize> = (0..patterns.len()).filter(|&at| is_like(&path, &patterns[at])).collect();
            let group = match (exact, &alike[..]) {
                (Some(exact), _) => exact,
                (None, []) => patterns.len(),
                (None, [only]) => *only,
                (None, several) => {
                    let name = |&at: &usize| self.by_pattern.keys().nth(at).map(|pattern| format!("`{pattern}`"));
                    let names: Vec<String> = several.iter().filter_map(name).collect();
                    let message = format!("variable `{path}` has more than one optimizer: {}", names.join(", "));
                    return Err(Error::invalid_argument(message));
                }
            };
            groups[group].push(each);
        }
        Ok(groups)
    }

    fn prepared(&self, variables: &[Variable]) -> Result<()> {
        self.check()?;
        let groups = self.grouped(variables, |variable| variable)?;
        if self.iteration.path().is_none() {
            // As in Keras, the paths of the optimizers' variables begin with the names of these.
            module::name::stamp(self, &self.name);
            self.optimizers().for_each(|optimizer| module::name::stamp(optimizer, optimizer.parts().name));
        }
        for (optimizer, group) in self.optimizers().zip(groups) {
            let own: Vec<Variable> = group.into_iter().cloned().collect();
            step::prepare(optimizer, &own).map_err(|error| error.within(optimizer.parts().name))?;
        }
        Ok(())
    }

    fn step(&self, gradients: &[(Variable, Option<Tensor>)]) -> Result<()> {
        if gradients.is_empty() {
            return Ok(());
        }
        self.check()?;
        let _turn = self.slots.turn();
        let _turns: Vec<_> = self.optimizers().map(|optimizer| optimizer.parts().slots.turn()).collect();
        let trained: Vec<_> = step::trained(gradients)?.into_iter().cloned().collect();
        self.prepared(&trained.iter().map(|(variable, _)| variable.clone()).collect::<Vec<_>>())?;
        scope::without_tapes(|| {
            let mut changes = Changes::default();
            for (optimizer, group) in self.optimizers().zip(self.grouped(&trained, |(variable, _)| variable)?) {
                if !group.is_empty() {
                    let pairs: Vec<_> = group.into_iter().cloned().collect();
                    let parts = self.parts_of(optimizer);
                    let more = step::changes(optimizer, &parts, &pairs).map_err(|error| error.within(parts.name))?;
                    changes.extend(more);
                }
            }
            changes.write(&self.iteration, self.iteration.read()? + 1.0);
            changes.commit()
        })
    }
}

/// A part of a pattern.
enum Piece {
    Char(char),
    Any,
    AnyNumber,
}

/// The parts of a pattern.
fn pieces(pattern: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(sign) = rest.next() {
        match (sign, rest.peek()) {
            ('.', Some('*')) => pieces.push(Piece::AnyNumber),
            ('.', Some('+')) => pieces.extend([Piece::Any, Piece::AnyNumber]),
            ('.', _) => pieces.push(Piece::Any),
            ('\\', Some(escaped)) if escaped.is_ascii_punctuation() => pieces.push(Piece::Char(*escaped)),
            ('*' | '+' | '?' | '[' | ']' | '(' | ')' | '{' | '}' | '|' | '^' | '$' | '\\', _) => {
                let message = format!(
                    "the pattern `{pattern}` has a `{sign}`, and may only have `.`, `.*` and `.+` for characters of a path"
                );
                return Err(Error::invalid_argument(message).note("`\\` before a sign takes it as it stands"));
            }
            _ => {
                pieces.push(Piece::Char(sign));
                continue;
            }
        }
        if sign == '\\' || rest.peek().is_some_and(|next| ['*', '+'].contains(next)) {
            rest.next();
        }
    }
    Ok(pieces)
}

/// Whether the whole of a path is like a pattern.
fn is_like(path: &str, pattern: &[Piece]) -> bool {
    let path: Vec<char> = path.chars().collect();
    let (mut at, mut piece) = (0, 0);
    // Where the last run of any number of characters ends for now, and the piece that comes after it.
    let mut run: Option<(usize, usize)> = None;
    loop {
        match pattern.get(piece) {
            Some(Piece::AnyNumber) => {
                run = Some((at, piece + 1));
                piece += 1;
                continue;
            }
            Some(Piece::Any) if at < path.len() => (at, piece) = (at + 1, piece + 1),
            Some(Piece::Char(sign)) if path.get(at) == Some(sign) => (at, piece) = (at + 1, piece + 1),
            None if at == path.len() => return true,
            _ => match run {
                Some((end, after)) if end < path.len() => {
                    (at, piece) = (end + 1, after);
                    run = Some((end + 1, after));
                }
                _ => return false,
            },
        }
    }
}

impl Rule for MultiOptimizer {
    fn slots(&self) -> Vec<&'static [&'static str]> {
        Vec::new()
    }

    fn update(&self, _: &Tensor, _: &Tensor, _: &mut SlotValues, _: &Step) -> Result<Tensor> {
        Err(Error::internal("the rules are those of the optimizers"))
    }

    fn check(&self) -> Result<()> {
        self.parts().check()?;
        let mut met = HashSet::new();
        for optimizer in self.optimizers() {
            if OUTERMOST.contains(&optimizer.class_name()) {
                let message = format!("a `{}` cannot be one of several optimizers", optimizer.class_name());
                return Err(Error::invalid_argument(message));
            }
            if !met.insert(optimizer.parts().iteration.id()) {
                let message =
                    format!("`{}` is there twice: each pattern needs an optimizer of its own", optimizer.parts().name);
                return Err(Error::invalid_argument(message));
            }
        }
        Ok(())
    }
}

impl Optimizer for MultiOptimizer {
    fn parts(&self) -> Parts<'_> {
        Parts {
            name: &self.name,
            iteration: &self.iteration,
            learning_rate: &self.learning_rate,
            slots: &self.slots,
            weight_decay: None,
            clipnorm: None,
            global_clipnorm: None,
            clipvalue: None,
            use_ema: false,
            ema_momentum: 0.99,
            ema_overwrite_frequency: None,
            loss_scale_factor: self.loss_scale_factor,
            gradient_accumulation_steps: None,
        }
    }

    fn apply(&self, gradients: &[(Variable, Option<Tensor>)]) -> Result<()> {
        self.step(gradients).map_err(|error| error.within(&self.name))
    }

    fn prepare(&self, variables: &[Variable]) -> Result<()> {
        self.prepared(variables).map_err(|error| error.within(&self.name))
    }

    /// An error: the optimizers have learning rates of their own.
    fn current_learning_rate(&self) -> Result<f64> {
        Err(no_rate().within(&self.name))
    }

    /// An error: the optimizers have learning rates of their own.
    fn learning_rates(&self) -> Vec<&LearningRate> {
        self.optimizers().map(|optimizer| optimizer.parts().learning_rate).collect()
    }

    fn set_learning_rate(&self, _: f64) -> Result<()> {
        Err(no_rate().within(&self.name))
    }

    fn finalize(&self, variables: &[Variable]) -> Result<()> {
        let finalized = || {
            self.check()?;
            for (optimizer, group) in self.optimizers().zip(self.grouped(variables, |variable| variable)?) {
                optimizer.finalize(&group.into_iter().cloned().collect::<Vec<_>>())?;
            }
            Ok(())
        };
        finalized().map_err(|error: Error| error.within(&self.name))
    }
}

fn no_rate() -> Error {
    Error::failed_precondition("there is no one learning rate: each of `optimizers()` has its own")
}

impl Track for MultiOptimizer {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.module(name, self);
    }

    fn share(&self) -> Self {
        MultiOptimizer {
            name: self.name.clone(),
            iteration: self.iteration.clone(),
            learning_rate: self.learning_rate.share(),
            slots: self.slots.share(),
            by_pattern: self.by_pattern.clone(),
            default: self.default.clone(),
            loss_scale_factor: self.loss_scale_factor,
        }
    }

    fn field_config(&self) -> Result<Option<Value>> {
        module::object(self).map(Some)
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        module::read_object("MultiOptimizer", config)
    }
}

impl Module for MultiOptimizer {
    fn as_module(&self) -> &dyn Module {
        self
    }

    fn class_name(&self) -> &str {
        "MultiOptimizer"
    }

    fn default_name(&self) -> &str {
        NAME
    }

    fn package(&self) -> &str {
        "keras.optimizers"
    }

    fn fields(&self, visitor: &mut dyn Visitor) {
        visitor.variable("iteration", &self.iteration);
        self.learning_rate.track("learning_rate", visitor);
        for (name, optimizer) in self.places() {
            optimizer.as_module().track(&name, visitor);
        }
    }

    fn build(&self, _: &InputShapes) -> Result<()> {
        Ok(())
    }

    fn config(&self) -> Result<Config> {
        module::write(self, 1, &mut |config| {
            let written = |optimizer: &Arc<dyn Optimizer>| {
                let mut object = module::object(optimizer.as_module())?;
                object["config"]["loss_scale_factor"] = self.loss_scale_factor.into();
                Ok(object)
            };
            let by_pattern = self.by_pattern.iter().map(|(pattern, each)| Ok((pattern.clone(), written(each)?)));
            let by_pattern = by_pattern.collect::<Result<Config>>()?;
            let map = json!({ "default_optimizer": written(&self.default)?, "optimizer_map": by_pattern });
            let map = json!({
                "module": "keras.optimizers",
                "class_name": "OptimizerMap",
                "config": map,
                "registered_name": null,
            });
            config.insert("optimizer_map".to_owned(), map);
            config.insert("loss_scale_factor".to_owned(), self.loss_scale_factor.into());
            config.insert("name".to_owned(), self.name.as_str().into());
            Ok(())
        })
    }
}

impl FromConfig for MultiOptimizer {
    fn from_config(config: &Config) -> Result<Self> {
        const SCHEMA: Schema = Schema { class: "MultiOptimizer", version: 1, migrate: None };
        const KEYS: &[&str] = &["optimizer_map", "loss_scale_factor", "name"];
        let config = &*SCHEMA.open(config)?;
        SCHEMA.faults(config, KEYS).into_result()?;
        let fault = |what: &str| Error::invalid_argument(format!("config of `MultiOptimizer`: {what}"));
        let map = config.get("optimizer_map").map(|map| &map["config"]).unwrap_or(&Value::Null);
        let Some(by_pattern) = map["optimizer_map"].as_object() else {
            return Err(fault(
                "`optimizer_map` must be an `OptimizerMap`, with a `default_optimizer` and an `optimizer_map`",
            ));
        };
        let read = |object: &Value, name: &str| from_object(object).map(Arc::from).map_err(|error| error.within(name));
        let mut optimizer = MultiOptimizer::of(read(&map["default_optimizer"], "default_optimizer")?);
        for (pattern, object) in by_pattern {
            optimizer.by_pattern.insert(pattern.clone(), read(object, pattern)?);
        }
        if let Some(name) = config.get("name") {
            optimizer.name = name.as_str().ok_or_else(|| fault("`name` must be a string"))?.to_owned();
        }
        if let Some(factor) = config.get("loss_scale_factor").filter(|factor| !factor.is_null()) {
            let factor = factor.as_f64().ok_or_else(|| fault("`loss_scale_factor` must be a number or null"))?;
            optimizer.loss_scale_factor = Some(factor);
        }
        SCHEMA.close(optimizer, config, KEYS)
    }
}

modulor::register!(MultiOptimizer, "keras.optimizers");
crate::family::built_in!(MultiOptimizer);

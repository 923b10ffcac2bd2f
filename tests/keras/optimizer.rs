use super::*;
use modulor::checkpoint::Checkpoint;
use modulor::graph::trace;
use modulor::keras::constraint::AnyConstraint;
use modulor::keras::optimizer::schedule::{self, ExponentialDecay, PiecewiseConstantDecay, PolynomialDecay, SCHEDULES};
use modulor::keras::optimizer::{
    self, Adafactor, Adam, AdamW, Ftrl, LearningRate, Lion, MultiOptimizer, Muon, Nadam, OPTIMIZERS, Optimizer,
    RMSprop, SGD, ScheduleFreeAdamW,
};
use modulor::variable::{Declaration, IntoConstraint, IntoInit, snapshot};
use modulor::{Error, Module, ModuleExt, Spec, Variable, module};
use serde_json::json;
use std::collections::HashSet;

#[derive(Deserialize)]
struct Named {
    path: String,
    value: Entry,
}

#[derive(Deserialize)]
struct Applied {
    grads: Vec<Entry>,
    variables: Vec<Entry>,
    state: Vec<Named>,
}

fn variable(path: &str, value: Tensor, constraint: Option<AnyConstraint>) -> Variable {
    let variable = Variable::default();
    variable.declare(Declaration { constraint: constraint.into_constraint(), ..Declaration::new(value.into_init()) });
    variable.stamp(path);
    variable
}

/// The settings that all optimizers have.
const COMMON: &[&str] = &[
    "weight_decay",
    "clipnorm",
    "global_clipnorm",
    "clipvalue",
    "use_ema",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
];

fn off(setting: &Value) -> bool {
    setting.is_null() || setting == false
}

#[test]
fn variables_and_state_are_kerass_after_every_step() {
    let mut met = HashSet::new();
    for row in rows("optimizer") {
        let optimizer = optimizer::from_object(&row.get("config")).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let mut constraint: Option<AnyConstraint> = row.get("constraint");
        let start: Vec<Named> = row.get("variables");
        let variables: Vec<Variable> =
            start.iter().map(|named| variable(&named.path, tensor(&named.value), constraint.take())).collect();
        let tolerance = 4.0 * epsilon(variables[0].dtype());
        for (number, step) in row.get::<Vec<Applied>>("steps").iter().enumerate() {
            let about = format!("{}, step {number}", row.case);
            let gradients = step.grads.iter().map(|gradient| Some(tensor(gradient)));
            let pairs: Vec<_> = variables.iter().cloned().zip(gradients).collect();
            optimizer.apply(&pairs).unwrap_or_else(|e| panic!("{about}: {e}"));
            for (variable, expected) in variables.iter().zip(&step.variables) {
                assert_near(&variable.value().expect("a value"), &tensor(expected), tolerance, &about);
            }
            let state = state(optimizer.as_module());
            let paths: Vec<String> = state.iter().map(|variable| variable.path().expect("a path")).collect();
            assert_eq!(paths.len(), step.state.len(), "{about}: {paths:?}");
            for (path, named) in paths.iter().zip(&step.state) {
                // Keras calls both vectors of a matrix as the matrix is called, in a `MultiOptimizer` without the optimizer.
                let vector =
                    path.strip_suffix("_r").or(path.strip_suffix("_c")).filter(|_| path.starts_with("adafactor/"));
                let is_kerass = vector.map_or(*path == named.path, |vector| vector.ends_with(&named.path));
                assert!(is_kerass, "{about}: {path} is not {}", named.path);
            }
            for (variable, expected) in state.iter().zip(&step.state) {
                let about = format!("{about}: {}", expected.path);
                assert_near(&variable.value().expect("a value"), &tensor(&expected.value), tolerance, &about);
            }
        }
        if let Some(finalized) = row.get::<Option<Vec<Entry>>>("finalized") {
            optimizer.finalize(&variables).expect("averages");
            for (variable, expected) in variables.iter().zip(&finalized) {
                assert_near(&variable.value().expect("a value"), &tensor(expected), tolerance, &row.case);
            }
        }
        met.insert(row.class());
    }
    assert!(met.remove("MultiOptimizer"));
    assert_eq!(met.len(), OPTIMIZERS.len(), "a row for every optimizer");
    let configs: Vec<Value> = rows("optimizer").map(|row| row.get("config")).collect();
    for (class, option) in OPTIMIZERS.iter().flat_map(|class| COMMON.iter().map(move |option| (class, option))) {
        let is_set = |config: &Value| config["class_name"] == *class && !off(&config["config"][option]);
        assert!(configs.iter().any(is_set), "no row for `{option}` of {class}");
    }
}

#[test]
fn configs_are_kerass() {
    let written = |optimizer: &dyn Optimizer| module::object(optimizer.as_module()).expect("plain data");
    let mut count = 0;
    let recorded = config::rows().into_iter().filter(|row| row.kind == "optimizer").map(|row| row.config);
    for config in recorded.chain(rows("optimizer").map(|row| row.get("config"))) {
        let optimizer = optimizer::from_object(&config).unwrap_or_else(|e| panic!("{config}: {e}"));
        let found = written(&*optimizer);
        assert!(config::same(&found, &config), "{found}\nis not\n{config}");
        count += 1;
    }
    assert!(count >= 2 * OPTIMIZERS.len());
    for name in OPTIMIZERS {
        let optimizer = optimizer::by_name(&name.to_lowercase()).expect("a name of the list");
        assert_eq!(optimizer.class_name(), *name);
    }
    let changed = Adam::new().name("mine").learning_rate(0.5);
    changed.set_learning_rate(0.25).expect("sensible");
    assert_eq!(written(&changed)["config"]["learning_rate"], json!(0.25));
    assert_eq!(written(&changed)["config"]["name"], json!("mine"));
}

fn ones(path: &str) -> Variable {
    variable(path, Tensor::from([1.0_f32, 1.0]), None)
}

fn pair(variable: &Variable) -> (Variable, Option<Tensor>) {
    (variable.clone(), Some(Tensor::from([1.0_f32, 2.0])))
}

#[test]
fn what_makes_no_sense_is_refused_by_name_and_changes_nothing() {
    let (w, frozen, integer) = (ones("net/w"), ones("net/frozen"), variable("net/n", Tensor::from([1, 2]), None));
    frozen.set_trainable(false);
    let sgd = SGD::new;
    let rate = |rate: f64| sgd().learning_rate(rate);
    let rows: Vec<(Box<dyn Optimizer>, Vec<(Variable, Option<Tensor>)>, &str)> = vec![
        (
            Box::new(rate(f64::NAN)),
            vec![pair(&w)],
            "sgd: `learning_rate` must be a finite number not below 0, found NaN",
        ),
        (Box::new(rate(f64::INFINITY)), vec![pair(&w)], "found inf"),
        (Box::new(rate(1e300)), vec![pair(&w)], "`learning_rate`"),
        (Box::new(rate(-0.5)), vec![pair(&w)], "found -0.5"),
        (Box::new(sgd().clipnorm(1.0).clipvalue(1.0)), vec![pair(&w)], "found clipnorm and clipvalue"),
        (Box::new(sgd().clipnorm(0.0)), vec![pair(&w)], "`clipnorm` must be a finite number above 0, found 0"),
        (Box::new(sgd().momentum(2.0)), vec![pair(&w)], "`momentum` must be between 0 and 1, found 2"),
        (Box::new(sgd().gradient_accumulation_steps(1)), vec![pair(&w)], "at least 2, found 1"),
        (Box::new(Adam::new().beta_1(1.0)), vec![pair(&w)], "adam: `beta_1` must be from 0 to below 1, found 1"),
        (Box::new(AdamW::new().weight_decay(f64::NAN)), vec![pair(&w)], "`weight_decay`"),
        (Box::new(RMSprop::new().momentum(-1.0)), vec![pair(&w)], "`momentum`"),
        (Box::new(Lion::new().beta_1(0.0)), vec![pair(&w)], "lion: `beta_1` must be above 0 and up to 1, found 0"),
        (Box::new(Ftrl::new().learning_rate_power(0.5)), vec![pair(&w)], "`learning_rate_power`"),
        (Box::new(sgd()), vec![(w.clone(), None)], "no gradient for any variable: `net/w`"),
        (Box::new(sgd()), vec![pair(&frozen)], "nothing to train: `net/frozen` not trainable"),
        (Box::new(sgd()), vec![pair(&w), pair(&w)], "variable `net/w` is given twice"),
        (
            Box::new(sgd()),
            vec![(w.clone(), Some(Tensor::scalar(1.0_f32)))],
            "'net/w' float32(2,)> has a gradient of shape ()",
        ),
        (Box::new(sgd()), vec![(integer.clone(), Some(Tensor::from([1.0_f32, 1.0])))], "optimizers update floats"),
    ];
    for (optimizer, pairs, words) in rows {
        let error = optimizer.apply(&pairs).expect_err(words).to_string();
        assert!(error.contains(words), "`{error}` does not say `{words}`");
        assert_eq!(w.value().and_then(|w| w.to_vec::<f32>()).expect("floats"), [1.0, 1.0]);
        assert!(
            !optimizer.parts().iteration.is_valued()
                || to_f64(&state(optimizer.as_module())[0].value().unwrap()) == [0.0]
        );
    }
    assert!(sgd().set_learning_rate(f64::NAN).is_err());
    assert!(Variable::default().read().is_err() && sgd().apply(&[pair(&Variable::default())]).is_err());
    sgd().apply(&[]).expect("nothing to do is done");
}

#[test]
fn frozen_variables_and_those_without_a_gradient_stay_as_they_are() {
    let (w, frozen, loose) = (ones("w"), ones("frozen"), ones("loose"));
    frozen.set_trainable(false);
    let optimizer = SGD::new().learning_rate(0.5).momentum(0.5);
    optimizer.apply(&[pair(&frozen), pair(&w), (loose.clone(), None)]).expect("a step");
    let values = [&w, &frozen, &loose].map(|variable| to_f64(&variable.value().expect("a value")));
    assert_eq!(values, [vec![0.5, 0.0], vec![1.0, 1.0], vec![1.0, 1.0]]);
    frozen.set_trainable(true);
    optimizer.apply(&[pair(&frozen)]).expect("a step");
    let paths: Vec<_> = optimizer.named_variables().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths.len(), 5, "{paths:?}");
    assert!(paths.contains(&"frozen_momentum".to_owned()) && paths.contains(&"iteration".to_owned()), "{paths:?}");
}

#[test]
fn muon_turns_a_matrix_as_it_turns_the_one_on_its_side() -> Result<()> {
    let (w, g) =
        (Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), Tensor::from([[1.0, 0.5], [-1.0, 2.0], [0.0, 1.0]]));
    let (tall, wide) = (variable("a/kernel", w.clone(), None), variable("b/kernel", w.transpose()?, None));
    let optimizer = Muon::new().learning_rate(0.5);
    optimizer.apply(&[(tall.clone(), Some(g.clone())), (wide.clone(), Some(g.transpose()?))])?;
    assert_near(&wide.value()?.transpose()?, &tall.value()?, 1e-12, "on its side");
    let paths: Vec<_> = optimizer.variables().iter().filter_map(Variable::path).collect();
    assert!(!paths.iter().any(|path| path.ends_with("velocity")), "{paths:?}");
    let embedding = variable("Embedding_1/embeddings", w, None);
    optimizer.apply(&[(embedding, Some(g))])?;
    assert!(optimizer.variables().iter().filter_map(Variable::path).any(|path| path.ends_with("embeddings_velocity")));
    Ok(())
}

#[test]
fn every_variable_has_the_optimizer_of_the_pattern_that_its_path_is_like() {
    let moved = |optimizer: &MultiOptimizer, path: &str| {
        let w = ones(path);
        optimizer.apply(&[pair(&w)]).map(|()| 1.0 - to_f64(&w.value().expect("a value"))[0])
    };
    let rate = |rate: f64| SGD::new().learning_rate(rate);
    let optimizer = || {
        let optimizer = MultiOptimizer::new(rate(0.0)).with("a/.*", rate(0.5)).with("a/b", rate(0.25));
        optimizer.with("b.c/.+", rate(1.0)).with(r"c\.d.*e.f", rate(2.0)).with(".*/end", rate(4.0)).with("", rate(8.0))
    };
    for (path, expected) in [
        ("a/c", 0.5),
        ("a/", 0.5),
        ("a/b", 0.25),
        ("a", 0.0),
        ("xa/c", 0.0),
        ("bxc/y", 1.0),
        ("bc/y", 0.0),
        ("bxc/", 0.0),
        ("c.de.f", 2.0),
        ("c.dxexfxexf", 2.0),
        ("c.dxexfxexfx", 0.0),
        ("cxdexf", 0.0),
        ("x/end/end", 4.0),
        ("end", 0.0),
        ("é/end", 4.0),
    ] {
        assert_eq!(moved(&optimizer(), path).expect("a step"), expected, "{path}");
    }
    let shared = rate(0.5);
    let twice = MultiOptimizer::new(module::Track::share(&shared)).with("a", shared);
    let refused = [
        (
            moved(&optimizer(), "a/end"),
            "multi_optimizer: variable `a/end` has more than one optimizer: `.*/end`, `a/.*`",
        ),
        (moved(&MultiOptimizer::new(rate(0.0)).with("a|b", rate(0.5)), "a"), "the pattern `a|b` has a `|`"),
        (moved(&MultiOptimizer::new(rate(0.0)).with("a*", rate(0.5)), "a"), "the pattern `a*` has a `*`"),
        (moved(&MultiOptimizer::new(rate(0.0)).with(r"\d", rate(0.5)), "a"), r"the pattern `\d` has a `\`"),
        (moved(&MultiOptimizer::new(optimizer()), "a"), "a `MultiOptimizer` cannot be one of several"),
        (moved(&twice, "a"), "`sgd` is there twice"),
        (moved(&MultiOptimizer::new(rate(f64::NAN)), "a"), "multi_optimizer/sgd: `learning_rate`"),
        (moved(&optimizer().loss_scale_factor(0.0), "a"), "`loss_scale_factor` must be a finite number above 0"),
    ];
    for (found, words) in refused {
        let error = found.expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
    let error = optimizer().set_learning_rate(0.5).expect_err("whose?").to_string();
    assert!(error.contains("multi_optimizer: there is no one learning rate"), "{error}");
    assert!(optimizer().current_learning_rate().is_err());
    assert_eq!(optimizer().optimizers().count(), 7);
}

#[test]
fn an_optimizer_of_several_scales_the_loss_for_all_of_them_and_is_copied_with_them() -> Result<()> {
    let (a, b) = (ones("net/a"), ones("net/b"));
    let sgd = || SGD::new().learning_rate(0.25).loss_scale_factor(2.0);
    let optimizer = MultiOptimizer::new(sgd()).with(".*a", sgd().momentum(0.5)).loss_scale_factor(8.0);
    let tape = GradientTape::new();
    let loss = tape.record(|| a.read()?.square()?.add(b.read()?.square()?)?.sum(..))?;
    optimizer.minimize(&tape, &loss, &[a.clone(), b.clone()])?;
    assert_eq!([to_f64(&a.value()?), to_f64(&b.value()?)], [[0.5, 0.5], [0.5, 0.5]]);
    let copy = optimizer.copy()?;
    assert_eq!(copy.config()?, optimizer.config()?);
    let (x, y) = (ones("net/a"), ones("net/b"));
    x.assign(&a.value()?)?;
    y.assign(&b.value()?)?;
    optimizer.apply(&[pair(&a), pair(&b)])?;
    copy.apply(&[pair(&x), pair(&y)])?;
    assert_eq!([to_f64(&a.value()?), to_f64(&b.value()?)], [to_f64(&x.value()?), to_f64(&y.value()?)]);
    assert_eq!(module::Track::share(&optimizer).variables().len(), optimizer.variables().len());
    let before = to_f64(&a.value()?);
    optimizer.apply(&[pair(&a), (b.clone(), None)]).expect_err("the second has nothing to do");
    assert_eq!(to_f64(&a.value()?), before);
    Ok(())
}

#[test]
fn settings_of_new_rules_that_make_no_sense_are_refused() {
    let rows: [(Box<dyn Optimizer>, &str); 5] = [
        (Box::new(Adafactor::new().beta_2_decay(0.5)), "adafactor: `beta_2_decay` must be a finite number not above 0"),
        (Box::new(Adafactor::new().clip_threshold(0.0)), "`clip_threshold` must be a finite number above 0, found 0"),
        (Box::new(Adafactor::new().epsilon_2(-1.0)), "`epsilon_2`"),
        (Box::new(ScheduleFreeAdamW::new().beta_1(0.0)), "schedule_free_adam_w: `beta_1` must be above 0 and up to 1"),
        (Box::new(ScheduleFreeAdamW::new().beta_2(1.0)), "`beta_2` must be from 0 to below 1"),
    ];
    for (optimizer, words) in rows {
        let error = optimizer.apply(&[pair(&ones("w"))]).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn equal_paths_have_slots_of_their_own() {
    let (a, b) = (ones("dense/kernel"), ones("dense/kernel"));
    let optimizer = Adam::new();
    optimizer.apply(&[pair(&a), pair(&b)]).expect("a step");
    let paths: HashSet<_> = optimizer.variables().iter().filter_map(Variable::path).collect();
    assert_eq!(paths.len(), 6);
    assert!(paths.contains("adam/dense_kernel_velocity") && paths.contains("adam/dense_kernel_velocity_1"));
}

#[test]
fn a_copy_goes_on_where_the_original_is_and_a_handle_is_the_original() {
    let (w, twin) = (ones("net/w"), ones("net/w"));
    let original = Adam::new().learning_rate(0.1).amsgrad(true);
    original.apply(&[pair(&w)]).expect("a step");
    twin.assign(&w.value().expect("a value")).expect("as large");
    let copy = original.copy().expect("a copy");
    copy.set_learning_rate(0.2).and_then(|()| copy.set_learning_rate(0.1)).expect("sensible");
    for _ in 0..2 {
        original.apply(&[pair(&w)]).expect("a step");
        copy.apply(&[pair(&twin)]).expect("a step");
    }
    assert_eq!(to_f64(&w.value().unwrap()), to_f64(&twin.value().unwrap()));
    assert_eq!(original.variables().len(), copy.variables().len());
    let config = original.config().expect("settings");
    assert!(!config.contains_key("slots"), "{config:?}");

    let handle = module::Track::share(&original);
    handle.apply(&[pair(&ones("net/other"))]).expect("a step");
    assert_eq!(handle.variables().len(), original.variables().len());
    assert_eq!(to_f64(&original.parts().iteration.value().unwrap()), [4.0]);
}

#[test]
fn what_nadam_remembers_of_all_variables_is_saved_and_copied() -> Result<()> {
    for dtype in [DType::F32, DType::F64, DType::F16] {
        let w_of = |value: [f32; 2]| Ok::<_, Error>(variable("net/w", Tensor::from(value).cast(dtype)?, None));
        let gradient = Some(Tensor::from([0.5_f32, -1.0]).cast(dtype)?);
        let (w, saved) = (w_of([1.0, 2.0])?, Nadam::new().learning_rate(0.5));
        (0..2).try_for_each(|_| saved.apply(&[(w.clone(), gradient.clone())]))?;
        let file = format!("nadam-{dtype}-{}", std::process::id());
        let prefix = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(file);
        Checkpoint::default().with("w", &w).with("optimizer", &saved).write(&prefix)?;
        // Nothing of it is there before a step, nor is it known of which dtype the variables are.
        let (restored, other) = (w_of([0.0, 0.0])?, Nadam::new().learning_rate(0.5));
        let status = Checkpoint::default().with("w", &restored).with("optimizer", &other).read(&prefix)?;
        let (twin, copy) = (w_of([0.0, 0.0])?, saved.copy()?);
        twin.assign(&w.value()?)?;
        for (optimizer, variable) in [(&saved, &w), (&other, &restored), (&copy, &twin)] {
            optimizer.apply(&[(variable.clone(), gradient.clone())])?;
            let product = state(optimizer).pop().expect("the last");
            assert_eq!((product.path().as_deref(), product.dtype()), (Some("nadam/variable"), dtype));
            assert_eq!(product.value()?.to_bytes()?, state(&saved).pop().expect("the last").value()?.to_bytes()?);
            assert_eq!(variable.value()?.to_bytes()?, w.value()?.to_bytes()?);
        }
        status.assert_consumed()?;
    }
    Ok(())
}

#[test]
fn minimizing_goes_downhill_and_explains_missing_gradients() -> Result<()> {
    let w = ones("net/w");
    let optimizer = SGD::new().learning_rate(0.25).loss_scale_factor(8.0);
    let tape = GradientTape::new();
    let loss = tape.record(|| w.read()?.square()?.sum(..))?;
    optimizer.minimize(&tape, &loss, &[w.clone(), ones("loose")])?;
    assert_eq!(to_f64(&w.value()?), [0.5, 0.5]);

    let tape = GradientTape::new();
    let loss = tape.record(|| w.read()?.cast(DType::I32)?.cast(DType::F32)?.sum(..))?;
    let error = optimizer.minimize(&tape, &loss, std::slice::from_ref(&w)).expect_err("a cast to integers").to_string();
    assert!(error.contains("variable `net/w`") && error.contains("Cast"), "{error}");
    Ok(())
}

#[test]
fn averages_replace_variables_only_once_there_are_any() -> Result<()> {
    let w = ones("w");
    let optimizer = SGD::new().learning_rate(1.0).use_ema(true).ema_momentum(0.5);
    optimizer.finalize(std::slice::from_ref(&w))?;
    assert_eq!(to_f64(&w.value()?), [1.0, 1.0]);
    (0..2).try_for_each(|_| optimizer.apply(&[pair(&w)]))?;
    optimizer.finalize(std::slice::from_ref(&w))?;
    assert_eq!(to_f64(&w.value()?), [-0.5, -2.0]);
    Ok(())
}

#[test]
fn a_step_is_no_part_of_a_tape() -> Result<()> {
    let w = ones("w");
    let tape = GradientTape::new();
    tape.record(|| SGD::new().apply(&[pair(&w)]))?;
    let loss = tape.record(|| w.read()?.sum(..))?;
    assert_eq!(to_f64(&tape.gradient(&loss, &w)?), [1.0, 1.0]);
    Ok(())
}

#[test]
fn a_traced_step_does_what_an_eager_one_does() -> Result<()> {
    let optimizers: [(fn() -> Box<dyn Optimizer>, &str); 8] = [
        (|| Box::new(Nadam::new().learning_rate(ExponentialDecay::new(0.5, 2, 0.5))), "Nadam"),
        (|| Box::new(Adam::new().amsgrad(true).clipnorm(0.5).use_ema(true)), "Adam"),
        (|| Box::new(SGD::new().momentum(0.5).gradient_accumulation_steps(2)), "SGD"),
        (|| Box::new(RMSprop::new().centered(true).weight_decay(0.1).global_clipnorm(0.5)), "RMSprop"),
        (|| Box::new(Adafactor::new().gradient_accumulation_steps(2)), "Adafactor"),
        (|| Box::new(ScheduleFreeAdamW::new().warmup_steps(3)), "ScheduleFreeAdamW"),
        (|| Box::new(MultiOptimizer::new(SGD::new()).with("w", Adam::new())), "MultiOptimizer of Adam"),
        (|| Box::new(MultiOptimizer::new(Adafactor::new())), "MultiOptimizer of Adafactor"),
    ];
    for (make, about) in optimizers {
        let (eager, traced) = (make(), make());
        let (w, twin) = (ones("w"), ones("w"));
        let step = |gradient: &[Tensor]| {
            traced.apply(&[(twin.clone(), Some(gradient[0].clone()))])?;
            Ok(vec![gradient[0].clone()])
        };
        let graph = trace(step, &[Spec::new(DType::F32, [2])])?;
        for number in 0..4 {
            let gradient = Tensor::from([number as f32 - 1.5, 0.25]);
            eager.apply(&[(w.clone(), Some(gradient.clone()))])?;
            graph.run(&[&gradient])?;
            assert_eq!(w.value()?.to_bytes()?, twin.value()?.to_bytes()?, "{about}, step {number}");
        }
        for (a, b) in state(eager.as_module()).iter().zip(state(traced.as_module())) {
            assert_eq!(a.value()?.to_bytes()?, b.value()?.to_bytes()?, "{about}: {a}");
        }
    }
    Ok(())
}

#[test]
fn other_threads_see_whole_steps() -> Result<()> {
    let sgd = || SGD::new().learning_rate(1.0).momentum(1.0);
    see_whole_steps(&sgd())?;
    see_whole_steps(&MultiOptimizer::new(sgd()).with("a", sgd()))
}

fn see_whole_steps(optimizer: &impl Optimizer) -> Result<()> {
    let (a, b) = (ones("a"), ones("b"));
    optimizer.prepare(&[a.clone(), b.clone()])?;
    let seen = || -> Result<()> {
        let both = [a.clone(), b.clone(), optimizer.parts().iteration.clone()];
        for _ in 0..200 {
            let [a, b, steps] = &snapshot(&both)?[..] else { return Err(Error::internal("three in, three out")) };
            let steps = steps.item::<i64>()? as f64;
            // The momentum grows by the gradient in each step, so the way is 1 + 2 + .. + n gradients long.
            let way = steps * (steps + 1.0) / 2.0;
            assert_eq!((to_f64(a), to_f64(b)), (vec![1.0 - way, 1.0 - 2.0 * way], vec![1.0 - way, 1.0 - 2.0 * way]));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let step = || (0..50).try_for_each(|_| optimizer.apply(&[pair(&a), pair(&b)]));
        let threads = [scope.spawn(step), scope.spawn(step), scope.spawn(seen)];
        threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })?;
    assert_eq!(optimizer.parts().iteration.value()?.item::<i64>()?, 100);
    Ok(())
}

#[test]
fn schedules_are_kerass() {
    let mut met = HashSet::new();
    for row in rows("schedule") {
        let schedule = schedule::from_object(&row.get("config")).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let expected = to_f64(&row.tensor("values").expect("learning rates"));
        for (step, expected) in row.get::<Vec<i64>>("steps").into_iter().zip(expected) {
            let rate = schedule.at(step).expect("a learning rate");
            // Keras computes in float32; where a cosine is near its end, that is off by a part of its start.
            assert!((rate - expected).abs() <= 2e-7 * expected.max(0.1), "{}, step {step}: {rate}", row.case);
        }
        met.insert(row.class());
    }
    assert_eq!(met.len(), SCHEDULES.len(), "a row for every schedule");
    for row in config::rows().into_iter().filter(|row| row.kind == "schedule") {
        let schedule = schedule::from_object(&row.config).expect("Keras wrote it");
        assert!(config::same(&schedule.object().expect("plain data"), &row.config), "{}", row.config);
    }
}

#[test]
fn a_schedule_is_the_learning_rate_of_every_step() -> Result<()> {
    let w = ones("w");
    let optimizer = SGD::new().learning_rate(PiecewiseConstantDecay::new(vec![0, 1], vec![0.5, 0.25, 0.0]));
    for (before, after) in [(0.5, 0.5), (0.25, 0.25), (0.0, 0.25)] {
        assert_eq!(optimizer.current_learning_rate()?, before);
        optimizer.apply(&[pair(&w)])?;
        assert_eq!(to_f64(&w.value()?)[0], after);
    }
    let error = optimizer.set_learning_rate(0.5).expect_err("it follows a schedule").to_string();
    assert!(error.contains("sgd: the learning rate follows a schedule"), "{error}");
    assert_eq!(optimizer.copy()?.current_learning_rate()?, 0.0);
    Ok(())
}

#[test]
fn schedules_that_make_no_sense_are_refused_by_name() {
    let of = |class: &str, config: Value| schedule::from_object(&json!({"class_name": class, "config": config}));
    let polynomial = json!({"initial_learning_rate": 0.5, "decay_steps": 10.0});
    assert_eq!(
        of("PolynomialDecay", polynomial).and_then(|schedule| schedule.at(5)).expect("whole"),
        0.25005000829696655
    );
    for (class, config, words) in [
        ("Polynomial", json!({}), "unknown schedule `Polynomial`"),
        ("PolynomialDecay", json!({"initial_learning_rate": 0.5}), "PolynomialDecay: `decay_steps` is missing"),
        (
            "PolynomialDecay",
            json!({"initial_learning_rate": 0.5, "decay_steps": 0.5}),
            "PolynomialDecay: `decay_steps`: ",
        ),
        ("CosineDecay", json!({"initial_learning_rate": 0.5, "decay_steps": 5, "t": 1}), "there is no setting `t`"),
    ] {
        let error = of(class, config).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
    let falling = PiecewiseConstantDecay::new(vec![2, 1], vec![0.5, 0.25, 0.0]);
    let rows: [(LearningRate, &str); 4] = [
        (PolynomialDecay::new(0.5, 0).into(), "PolynomialDecay: `decay_steps` must be at least 1, found 0"),
        (PolynomialDecay::new(-0.5, 1).into(), "PolynomialDecay: `initial_learning_rate` must be a finite number"),
        (falling.into(), "`boundaries` must rise, found [2, 1]"),
        (PiecewiseConstantDecay::new(vec![2], vec![0.5]).into(), "found 1 and 1"),
    ];
    for (rate, words) in rows {
        let error = SGD::new().learning_rate(rate).apply(&[pair(&ones("w"))]).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}

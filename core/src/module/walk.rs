//! The walk: what a module holds, as a tree of names and handles.

use super::{Grow, Held, Identity, Module, SlotOf, Visitor};
use crate::Variable;
use crate::variable::Declaration;
use std::{
    any::TypeId,
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

/// A module as the walk found it, without the module itself: its variables and, below it, its submodules.
#[derive(Debug)]
pub struct Node {
    /// The name of the type.
    pub class_name: String,
    /// What automatic names start from.
    pub default_name: String,
    /// Which module it is, where that can be told.
    pub identity: Option<Identity>,
    /// The variables it holds itself, by their names in it, in order of declaration.
    pub variables: Vec<(String, Variable)>,
    /// The modules it holds itself, by their names in it, in order of declaration.
    pub modules: Vec<(String, Arc<Node>)>,
    /// Other names, in older files, of places in it.
    pub aliases: Vec<(String, String)>,
    /// Which of its variables it keeps for which others.
    pub slots: Vec<(String, SlotOf)>,
    /// Where it adds slots by use, if it does.
    pub growing: Option<Growing>,
    /// The modules whose fields stand among its own.
    flattened: Vec<Site>,
    /// The variables at and below it, each once.
    ids: Arc<[u64]>,
    /// How deeply classes are nested, from here down, around just these variables.
    nested: HashMap<TypeId, usize>,
    site: Site,
    /// A type without size has no address that means anything.
    is_unit: bool,
}

/// The place of a module where slots are added by use.
#[derive(Clone)]
pub struct Growing(pub Arc<dyn Grow>);

impl fmt::Debug for Growing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Growing")
    }
}

/// Walks `module`.
///
/// A module that is held in several `Arc`s of the same allocation is walked once and appears as the same [`Node`].
pub fn walk(module: &(impl Module + ?Sized)) -> Arc<Node> {
    node(module.as_module(), None, &mut HashMap::new())
}

type Memo = HashMap<(TypeId, Held), Arc<Node>>;

fn node(module: &dyn Module, held: Option<Held>, memo: &mut Memo) -> Arc<Node> {
    let class = module.type_id();
    if let Some(known) = held.and_then(|held| memo.get(&(class, held))) {
        return known.clone();
    }
    let mut level = Level::new(memo);
    module.fields(&mut level);
    let Level { variables, modules, aliases, slots, growing, flattened, .. } = level;
    let ids = ids(&variables, &modules);
    let mut nested: HashMap<TypeId, usize> = HashMap::new();
    for (_, below) in modules.iter().filter(|(_, below)| below.ids == ids) {
        for (class, depth) in &below.nested {
            let known = nested.entry(*class).or_default();
            *known = (*known).max(*depth);
        }
    }
    let depth = nested.entry(class).and_modify(|depth| *depth += 1).or_default();
    let node = Arc::new(Node {
        class_name: module.class_name().to_owned(),
        default_name: module.default_name().to_owned(),
        identity: Identity::new(class, &ids, *depth, held),
        variables,
        modules,
        aliases,
        slots,
        growing,
        flattened,
        ids,
        nested,
        site: Site::of(module),
        is_unit: size_of_val(module) == 0,
    });
    if let Some(held) = held {
        memo.insert((class, held), node.clone());
    }
    node
}

fn ids(variables: &[(String, Variable)], modules: &[(String, Arc<Node>)]) -> Arc<[u64]> {
    let own = variables.iter().map(|(_, variable)| variable.id());
    let below = modules.iter().flat_map(|(_, module)| module.ids.iter().copied());
    let mut met = HashSet::new();
    own.chain(below).filter(|id| met.insert(*id)).collect()
}

/// Where a module is and what it is: enough to find it again while it is borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    address: usize,
    class: TypeId,
}

impl Site {
    pub(crate) fn of(module: &dyn Module) -> Site {
        Site { address: std::ptr::from_ref(module).addr(), class: module.type_id() }
    }
}

struct Level<'m> {
    variables: Vec<(String, Variable)>,
    modules: Vec<(String, Arc<Node>)>,
    aliases: Vec<(String, String)>,
    slots: Vec<(String, SlotOf)>,
    growing: Option<Growing>,
    flattened: Vec<Site>,
    memo: &'m mut Memo,
}

impl<'m> Level<'m> {
    fn new(memo: &'m mut Memo) -> Level<'m> {
        let (variables, modules, aliases, slots, flattened) = Default::default();
        Level { variables, modules, aliases, slots, growing: None, flattened, memo }
    }
}

impl Visitor for Level<'_> {
    fn variable(&mut self, name: &str, variable: &Variable) {
        self.variables.push((name.to_owned(), variable.clone()));
    }

    fn module(&mut self, name: &str, module: &dyn Module) {
        self.modules.push((name.to_owned(), node(module, None, self.memo)));
    }

    fn held(&mut self, name: &str, module: &dyn Module, held: Held) {
        self.modules.push((name.to_owned(), node(module, Some(held), self.memo)));
    }

    fn alias(&mut self, name: &str, alias: &str) {
        self.aliases.push((name.to_owned(), alias.to_owned()));
    }

    fn flattened(&mut self, module: &dyn Module) {
        self.flattened.push(Site::of(module));
    }

    fn slot(&mut self, name: &str, variable: &Variable, slot: SlotOf) {
        self.variable(name, variable);
        self.slots.push((name.to_owned(), slot));
    }

    fn grows(&mut self, place: Arc<dyn Grow>) {
        self.growing = Some(Growing(place));
    }
}

impl Node {
    /// Every variable with its path, in Keras's order: a module's own in order of declaration, trainable ones first; then
    /// those of its submodules. What is below an `Arc` comes once; other variables come as often as they are held.
    pub fn each_variable(&self, visit: &mut dyn FnMut(&str, &Variable)) {
        self.each_node("", &mut HashSet::new(), &mut |path, node| node.own_variables(path, visit));
    }

    /// As [`each_variable`](Node::each_variable), without those that are not built.
    pub(crate) fn each_built_variable(&self, visit: &mut dyn FnMut(&str, &Variable)) {
        self.each_node("", &mut HashSet::new(), &mut |path, node| {
            if node.is_built() {
                node.own_variables(path, &mut |path, variable| {
                    if variable.is_sized() {
                        visit(path, variable);
                    }
                });
            }
        });
    }

    fn own_variables(&self, path: &str, visit: &mut dyn FnMut(&str, &Variable)) {
        let leads = |declared: Declaration| declared.trainable || declared.among_trained;
        let is_trained = |variable: &Variable| variable.declaration().is_none_or(leads);
        let (trained, kept): (Vec<_>, Vec<_>) = self.variables.iter().partition(|(_, variable)| is_trained(variable));
        for (name, variable) in trained.into_iter().chain(kept) {
            visit(&join(path, name), variable);
        }
    }

    fn each_node(&self, path: &str, met: &mut HashSet<*const Node>, visit: &mut dyn FnMut(&str, &Node)) {
        visit(path, self);
        for (name, module) in &self.modules {
            if met.insert(Arc::as_ptr(module)) {
                module.each_node(&join(path, name), met, visit);
            }
        }
    }

    /// The tree in TensorFlow's order, every shared module once.
    ///
    /// A module shows first what it holds directly, by sorted field name with containers entered in place, and then
    /// each of its submodules does the same in turn. `found` gets every submodule when it is first met, which is the
    /// order of `submodules`; `entered` gets every module when its turn comes, which is the order of `variables`.
    pub fn in_order(&self, found: &mut dyn FnMut(&str, &Node), entered: &mut dyn FnMut(&str, &Node)) {
        let mut met = HashSet::new();
        met.extend(self.identity.clone());
        self.enter("", &mut met, found, entered);
    }

    fn enter(
        &self,
        path: &str,
        met: &mut HashSet<Identity>,
        found: &mut dyn FnMut(&str, &Node),
        entered: &mut dyn FnMut(&str, &Node),
    ) {
        entered(path, self);
        let mut next = Vec::new();
        for (name, module) in sorted(&self.modules) {
            if module.identity.as_ref().is_none_or(|identity| met.insert(identity.clone())) {
                let path = join(path, name);
                found(&path, module);
                next.push((path, module));
            }
        }
        for (path, module) in next {
            module.enter(&path, met, found, entered);
        }
    }

    /// Whether every variable that it declares itself has a shape.
    pub fn is_built(&self) -> bool {
        self.variables.iter().all(|(_, variable)| variable.is_sized() || variable.declaration().is_none())
    }

    /// The variables it holds itself, by sorted field name.
    pub fn sorted_variables(&self) -> Vec<&(String, Variable)> {
        sorted(&self.variables)
    }

    /// The variables at or below `path`; `None` where there is nothing.
    pub(crate) fn at(&self, path: &str) -> Option<Vec<Variable>> {
        if let Some((_, variable)) = self.variables.iter().find(|(name, _)| name == path) {
            return Some(vec![variable.clone()]);
        }
        let mut found = None;
        let mut take = |_: &str, variable: &Variable| found.get_or_insert_with(Vec::new).push(variable.clone());
        for (name, variable) in &self.variables {
            if below(name, path).is_some() {
                take(name, variable);
            }
        }
        for (name, module) in &self.modules {
            if name == path || below(name, path).is_some() {
                module.each_variable(&mut take);
            } else if let Some(rest) = below(path, name)
                && let Some(variables) = module.at(rest)
            {
                return Some(variables);
            }
        }
        let is_place = self.modules.iter().any(|(name, _)| name == path);
        found.or_else(|| is_place.then(Vec::new))
    }

    /// The path to the module at `site`, or to the one that shares its state; `None` where it is not below this one.
    ///
    /// A flattened module is where its holder is: for one of this module's own the path is empty.
    pub(crate) fn find(&self, site: Site, identity: Option<&Identity>) -> Option<String> {
        if self.flattened.contains(&site) {
            return Some(String::new());
        }
        let mut exact = Vec::new();
        let mut alike = None;
        self.each_module("", &mut HashSet::new(), &mut |path, node| {
            if node.site == site || node.flattened.contains(&site) {
                exact.push((path.to_owned(), node.is_unit));
            }
            if alike.is_none() && identity.is_some() && node.identity.as_ref() == identity {
                alike = Some(path.to_owned());
            }
        });
        match &exact[..] {
            [(path, _)] | [(path, false), ..] => Some(path.clone()),
            _ => alike,
        }
    }

    fn each_module(&self, path: &str, met: &mut HashSet<*const Node>, visit: &mut dyn FnMut(&str, &Node)) {
        for (name, module) in &self.modules {
            let path = join(path, name);
            visit(&path, module);
            if met.insert(Arc::as_ptr(module)) {
                module.each_module(&path, met, visit);
            }
        }
    }
}

/// What is left of `path` below `place`.
fn below<'p>(path: &'p str, place: &str) -> Option<&'p str> {
    path.strip_prefix(place)?.strip_prefix('/')
}

/// By field name, entries of one container staying in their own order (`layers/2` before `layers/10`).
fn sorted<T>(entries: &[(String, T)]) -> Vec<&(String, T)> {
    let field = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by_key(|(name, _)| field(name));
    sorted
}

/// `prefix/name`, or the one that is not empty.
pub(crate) fn join(prefix: &str, name: &str) -> String {
    match (prefix, name) {
        ("", name) => name.to_owned(),
        (prefix, "") => prefix.to_owned(),
        (prefix, name) => format!("{prefix}/{name}"),
    }
}

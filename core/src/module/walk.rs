//! The walk: what a module holds, as a tree of names and handles.

use super::{Held, Identity, Module, Visitor};
use crate::Variable;
use std::{
    any::TypeId,
    collections::{HashMap, HashSet},
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
    address: (usize, TypeId),
    /// A type without size has no address that means anything.
    is_unit: bool,
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
    let mut level = Level { variables: Vec::new(), modules: Vec::new(), aliases: Vec::new(), memo };
    module.fields(&mut level);
    let Level { variables, modules, aliases, .. } = level;
    let mut node = Node {
        class_name: module.class_name().to_owned(),
        default_name: module.default_name().to_owned(),
        identity: None,
        variables,
        modules,
        aliases,
        address: address(module),
        is_unit: size_of_val(module) == 0,
    };
    let mut ids = Vec::new();
    node.each_variable("", &mut |_, variable| ids.push(variable.id()));
    node.identity = Identity::new(class, ids, held);
    let node = Arc::new(node);
    if let Some(held) = held {
        memo.insert((class, held), node.clone());
    }
    node
}

/// Where a module is and what it is: enough to find it again while it is borrowed.
pub(crate) fn address(module: &dyn Module) -> (usize, TypeId) {
    (std::ptr::from_ref(module).addr(), module.type_id())
}

struct Level<'m> {
    variables: Vec<(String, Variable)>,
    modules: Vec<(String, Arc<Node>)>,
    aliases: Vec<(String, String)>,
    memo: &'m mut Memo,
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
}

impl Node {
    /// Every variable with its path, in order of declaration; one that is held twice comes twice.
    pub fn each_variable(&self, prefix: &str, visit: &mut dyn FnMut(&str, &Variable)) {
        for (name, variable) in &self.variables {
            visit(&join(prefix, name), variable);
        }
        for (name, module) in &self.modules {
            module.each_variable(&join(prefix, name), visit);
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
        self.enter("", &mut met, &mut Vec::new(), found, entered);
    }

    fn enter<'n>(
        &'n self,
        path: &str,
        met: &mut HashSet<Identity>,
        above: &mut Vec<&'n Identity>,
        found: &mut dyn FnMut(&str, &Node),
        entered: &mut dyn FnMut(&str, &Node),
    ) {
        entered(path, self);
        above.extend(&self.identity);
        let mut next = Vec::new();
        for (name, module) in sorted(&self.modules) {
            // A module that only wraps another of its own class has the same variables and is still another module.
            let again = |identity: &Identity| !above.contains(&identity) && !met.insert(identity.clone());
            if !module.identity.as_ref().is_some_and(again) {
                let path = join(path, name);
                found(&path, module);
                next.push((path, module));
            }
        }
        for (path, module) in next {
            module.enter(&path, met, above, found, entered);
        }
        if self.identity.is_some() {
            above.pop();
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

    /// The path to the module at `site`, or to the one that shares its state; `None` where it is not below this one.
    pub(crate) fn find(&self, site: (usize, TypeId), identity: Option<&Identity>) -> Option<String> {
        let mut exact = Vec::new();
        let mut alike = Vec::new();
        self.each_module("", &mut |path, node| {
            if node.address == site {
                exact.push((path.to_owned(), node.is_unit));
            }
            if identity.is_some() && node.identity.as_ref() == identity {
                alike.push(path.to_owned());
            }
        });
        match &exact[..] {
            [(path, _)] | [(path, false), ..] => Some(path.clone()),
            _ => alike.into_iter().next(),
        }
    }

    fn each_module(&self, prefix: &str, visit: &mut dyn FnMut(&str, &Node)) {
        for (name, module) in &self.modules {
            let path = join(prefix, name);
            visit(&path, module);
            module.each_module(&path, visit);
        }
    }
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

//! The objects of a program as a checkpoint sees them: modules, containers and variables, numbered breadth first.

use super::object_graph::{Attribute, Object, ObjectGraph, SlotReference, VARIABLE_VALUE, key_of, slot_path, unescape};
use crate::module::{Growing, Identity, Node, SlotOf, join};
use crate::{Error, Result, Variable};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Everything below one root.
pub(super) struct Places {
    pub places: Vec<Place>,
}

/// One object.
#[derive(Default)]
pub(super) struct Place {
    /// The shortest path to it, parts escaped.
    pub path: String,
    /// What it holds, by unescaped name.
    pub children: Vec<(String, usize)>,
    /// Other names, in older files, of children.
    pub aliases: Vec<(String, String)>,
    /// The variable it is, if it is one.
    pub variable: Option<Variable>,
    /// Of a variable, whether the module that holds it is built.
    pub is_built: bool,
    /// Of a module, the variables it keeps for others.
    pub slots: Vec<(SlotOf, usize)>,
    /// Of a module, where it adds such variables by use.
    pub growing: Option<Growing>,
}

/// What is at a place that is still to be numbered.
#[derive(Clone)]
enum Entry {
    Variable {
        variable: Variable,
        is_built: bool,
    },
    Module(Arc<Node>),
    /// A list, a map, a tuple: what is left of the paths of its entries.
    Container(Vec<(String, Entry)>),
}

/// What makes two entries one object.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Variable(u64),
    Module(Identity),
    Walked(*const Node),
}

impl Entry {
    fn key(&self) -> Option<Key> {
        match self {
            Entry::Variable { variable, .. } => Some(Key::Variable(variable.id())),
            Entry::Module(node) => Some(match &node.identity {
                Some(identity) => Key::Module(identity.clone()),
                None => Key::Walked(Arc::as_ptr(node)),
            }),
            Entry::Container(_) => None,
        }
    }
}

impl Places {
    /// The objects below `root`, persistent variables only. An error when two of them have one path.
    pub fn of(root: &Arc<Node>) -> Result<Places> {
        let mut owners = HashSet::new();
        root.each_variable(&mut |_, variable| {
            owners.insert(variable.id());
        });
        let mut places = vec![Place::default()];
        let mut known = HashMap::new();
        let entry = Entry::Module(root.clone());
        known.extend(entry.key().map(|key| (key, 0)));
        let mut queue = std::collections::VecDeque::from([(0, entry)]);
        let mut slots = Vec::new();
        while let Some((holder, entry)) = queue.pop_front() {
            let entries = match entry {
                Entry::Variable { variable, is_built } => {
                    places[holder].is_built = is_built;
                    places[holder].variable = Some(variable);
                    continue;
                }
                Entry::Container(entries) => entries,
                Entry::Module(node) => {
                    places[holder].aliases = node.aliases.clone();
                    places[holder].growing = node.growing.clone();
                    let (entries, kept) = split(&node, &owners);
                    slots.extend(kept.into_iter().map(|(of, variable)| (holder, of, variable)));
                    entries
                }
            };
            for (part, entry) in grouped(entries, &places[holder].path)? {
                let new = places.len();
                let number = match entry.key() {
                    Some(key) => *known.entry(key).or_insert(new),
                    None => new,
                };
                if number == new {
                    places.push(Place { path: join(&places[holder].path, &part), ..Place::default() });
                    queue.push_back((number, entry));
                }
                places[holder].children.push((unescape(&part), number));
            }
        }
        let numbers: HashMap<u64, usize> = known
            .into_iter()
            .filter_map(|(key, number)| match key {
                Key::Variable(id) => Some((id, number)),
                _ => None,
            })
            .collect();
        for (keeper, of, variable) in slots {
            let Some(&owner) = numbers.get(&of.owner) else { continue };
            let path = slot_path(&places[owner].path, &places[keeper].path, &of.kind);
            let number = places.len();
            places.push(Place { path, variable: Some(variable), is_built: true, ..Place::default() });
            places[keeper].slots.push((of, number));
        }
        Ok(Places { places })
    }

    /// The place of each variable, by its number.
    pub fn by_variable(&self) -> HashMap<u64, usize> {
        let variables = self.places.iter().enumerate();
        variables.filter_map(|(number, place)| Some((place.variable.as_ref()?.id(), number))).collect()
    }

    /// What a checkpoint says of these objects, and the variables it has values of, in the order of the save.
    ///
    /// Of a variable that has neither a shape nor a value that waits for one there is nothing to save.
    pub fn graph(&self) -> Result<(ObjectGraph, Vec<(String, Variable)>)> {
        let by_variable = self.by_variable();
        let mut values = Vec::new();
        let mut objects = Vec::with_capacity(self.places.len());
        for place in &self.places {
            let mut attributes = Vec::new();
            if let Some(variable) = place.variable.as_ref().filter(|variable| place.is_saved(variable)) {
                let key = key_of(&place.path)?;
                values.push((key.clone(), variable.clone()));
                attributes.push(Attribute { name: VARIABLE_VALUE.to_owned(), full_name: variable.name(), key });
            }
            let slot = |(of, variable): &(SlotOf, usize)| {
                let original = by_variable.get(&of.owner).copied();
                original.map(|original| SlotReference { original, name: of.kind.clone(), variable: *variable })
            };
            let slots = place.slots.iter().filter_map(slot).collect();
            objects.push(Object { children: place.children.clone(), attributes, slots });
        }
        Ok((ObjectGraph::new(objects), values))
    }
}

impl Place {
    fn is_saved(&self, variable: &Variable) -> bool {
        self.is_built && variable.is_sized() || variable.queued().is_some()
    }
}

/// What a module shows under names, and what it keeps for variables that are in the checkpoint too.
fn split(node: &Arc<Node>, owners: &HashSet<u64>) -> (Vec<(String, Entry)>, Vec<(SlotOf, Variable)>) {
    let is_built = node.is_built();
    let slots: HashMap<&str, &SlotOf> = node.slots.iter().map(|(name, of)| (&**name, of)).collect();
    let (mut entries, mut kept) = (Vec::new(), Vec::new());
    for (name, variable) in node.variables.iter().filter(|(_, variable)| variable.persistent()) {
        match slots.get(&**name).filter(|of| owners.contains(&of.owner)) {
            Some(&of) => kept.push((of.clone(), variable.clone())),
            None => entries.push((name.clone(), Entry::Variable { variable: variable.clone(), is_built })),
        }
    }
    entries.extend(node.modules.iter().map(|(name, module)| (name.clone(), Entry::Module(module.clone()))));
    (entries, kept)
}

/// Entries by the first part of their paths, in the order in which the parts are met first.
fn grouped(entries: Vec<(String, Entry)>, holder: &str) -> Result<Vec<(String, Entry)>> {
    let mut groups: Vec<(String, Entry)> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for (path, entry) in entries {
        let (part, rest) = path.split_once('/').map_or((&*path, None), |(part, rest)| (part, Some(rest)));
        let clash = || {
            let path = join(holder, part);
            Error::invalid_argument(format!("two things would be stored as `{path}`; rename one of the fields"))
        };
        let entry = match rest {
            Some(rest) => (rest.to_owned(), entry),
            None => {
                match index.get(part).map(|&at| &groups[at].1) {
                    None => {
                        index.insert(part.to_owned(), groups.len());
                        groups.push((part.to_owned(), entry));
                    }
                    // The same object twice under one name is no contradiction.
                    Some(there) if there.key().is_some() && there.key() == entry.key() => {}
                    Some(_) => return Err(clash()),
                }
                continue;
            }
        };
        let at = *index.entry(part.to_owned()).or_insert_with(|| {
            groups.push((part.to_owned(), Entry::Container(Vec::new())));
            groups.len() - 1
        });
        match &mut groups[at].1 {
            Entry::Container(entries) => entries.push(entry),
            _ => return Err(clash()),
        }
    }
    Ok(groups)
}

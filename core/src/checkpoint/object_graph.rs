//! The object graph of a checkpoint: which objects there are, how they are reached, and under which keys their values are.

use super::bundle::{Bundle, OBJECT_GRAPH_KEY};
use crate::module::{escaped, join};
use crate::{Error, Result};
use modulor_wire::message::{
    self, BoolValue, ObjectReference, SerializedTensor, SlotVariableReference, TrackableObject, TrackableObjectGraph,
};
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;

/// What stands in a path between a variable and the slot that is kept for it.
const SLOTS: &str = ".OPTIMIZER_SLOT";

/// The name of the attribute that is a variable's value.
pub(crate) const VARIABLE_VALUE: &str = "VARIABLE_VALUE";

/// The objects of a checkpoint, the root first: TensorFlow's `TrackableObjectGraph`.
///
/// Values are found by following names from the root, not by their keys, which are only what the bundle calls them.
/// Printed, it is the tree of names, each object once:
///
/// ```text
/// .
/// └─ model
///    ├─ dense_1
///    │  ├─ w = model/dense_1/w/.ATTRIBUTES/VARIABLE_VALUE
///    │  └─ b = model/dense_1/b/.ATTRIBUTES/VARIABLE_VALUE
///    └─ tied -> model/dense_1
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectGraph {
    objects: Vec<Object>,
}

/// One object of an [`ObjectGraph`]: a module, a container or a variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// What it holds, by name: the numbers of other objects.
    pub children: Vec<(String, usize)>,
    /// Its values.
    pub attributes: Vec<Attribute>,
    /// Which variables it keeps for which others, as an optimizer does.
    pub slots: Vec<SlotReference>,
}

/// A value of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// What it is to the object; of a variable `VARIABLE_VALUE`.
    pub name: String,
    /// The name of the variable in files without a graph.
    pub full_name: String,
    /// The key in the bundle.
    pub key: String,
}

/// A variable kept for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotReference {
    /// The number of the variable that owns it.
    pub original: usize,
    /// What it is to its owner: `momentum`.
    pub name: String,
    /// Its own number.
    pub variable: usize,
}

impl Object {
    /// The key of the value, if this is a variable.
    pub fn variable_key(&self) -> Option<&str> {
        self.attributes.iter().find(|attribute| attribute.name == VARIABLE_VALUE).map(|attribute| &*attribute.key)
    }
}

impl ObjectGraph {
    /// A graph of these objects, whose numbers are in range.
    pub(super) fn new(objects: Vec<Object>) -> ObjectGraph {
        ObjectGraph { objects }
    }

    /// The graph of variables that are nested as their paths say: for values that have nothing but names. Gives the key of
    /// each value with it, in the order of the paths.
    ///
    /// The parts of a path are names as they are, or [escaped](ObjectGraph::paths). An error names a path that TensorFlow
    /// could not restore.
    ///
    /// ```standalone_crate
    /// # extern crate modulor_core as modulor;
    /// # use modulor::checkpoint::ObjectGraph;
    /// # fn main() -> modulor::Result<()> {
    /// let (graph, keys) = ObjectGraph::of_paths(["dense/w", "step"])?;
    /// assert_eq!(keys, ["dense/w/.ATTRIBUTES/VARIABLE_VALUE", "step/.ATTRIBUTES/VARIABLE_VALUE"]);
    /// assert_eq!(graph.paths()[2].as_deref(), Some("dense/w"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn of_paths<'a>(paths: impl IntoIterator<Item = &'a str>) -> Result<(ObjectGraph, Vec<String>)> {
        let mut graph = ObjectGraph { objects: vec![Object::default()] };
        let mut places = HashMap::new();
        let mut keys = Vec::new();
        for path in paths {
            let key = key_of(path)?;
            keys.push(key.clone());
            let value = Attribute { name: VARIABLE_VALUE.to_owned(), full_name: String::new(), key };
            let variable = match path.split_once(&format!("/{SLOTS}/")) {
                Some((owner, slot)) => {
                    let (keeper, kind) = slot.rsplit_once('/').unwrap_or(("", slot));
                    let [original, keeper] = [owner, keeper].map(|path| graph.descend(path, &mut places));
                    let variable = graph.objects.len();
                    graph.objects.push(Object::default());
                    graph.objects[keeper].slots.push(SlotReference { original, name: literal(kind), variable });
                    variable
                }
                None => graph.descend(path, &mut places),
            };
            graph.objects[variable].attributes.push(value);
        }
        Ok((graph, keys))
    }

    /// The object at the end of a path, with those on the way to it.
    fn descend(&mut self, path: &str, places: &mut HashMap<(usize, String), usize>) -> usize {
        path.split('/').filter(|_| !path.is_empty()).fold(0, |holder, part| {
            let name = literal(part);
            *places.entry((holder, name.clone())).or_insert_with(|| {
                let child = self.objects.len();
                self.objects.push(Object::default());
                self.objects[holder].children.push((name, child));
                child
            })
        })
    }

    /// With the root under the name that TensorFlow gives a module which is the root itself.
    pub(super) fn with_root_edge(mut self) -> ObjectGraph {
        let children = self.objects.first_mut().map(|root| &mut root.children);
        if let Some(children) = children.filter(|children| children.iter().all(|(name, _)| name != "root")) {
            children.push(("root".to_owned(), 0));
        }
        self
    }

    /// Without the variable that the root has under a name.
    pub(super) fn leave_out(&mut self, name: &str) {
        let Some(root) = self.objects.first_mut() else { return };
        let Some(at) = root.children.iter().position(|(child, _)| child == name) else { return };
        let (_, child) = root.children.remove(at);
        self.objects[child].attributes.clear();
    }

    /// The objects by their numbers; the root is object 0.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The graph out of what the bundle has under `_CHECKPOINTABLE_OBJECT_GRAPH`.
    ///
    /// An error when the bytes are not a graph, when there is no root, when a number leads nowhere, or when an object has
    /// two children of one name. Cycles, and objects that nothing leads to, are legal.
    pub fn decode(bytes: &[u8]) -> Result<ObjectGraph> {
        let fault = |message: String| Error::data_loss(format!("`{OBJECT_GRAPH_KEY}`: {message}"));
        let graph: TrackableObjectGraph = message::decode(bytes).map_err(|error| fault(error.to_string()))?;
        let count = graph.nodes.len();
        if count == 0 {
            return Err(fault("the graph has no objects, expected at least the root".to_owned()));
        }
        let number = |id: i32, what: &dyn fmt::Display| {
            let found = usize::try_from(id).ok().filter(|&number| number < count);
            found.ok_or_else(|| fault(format!("{what} leads to node {id}, and there are {count}")))
        };
        let mut objects = Vec::with_capacity(count);
        for (index, node) in graph.nodes.into_iter().enumerate() {
            let mut names = HashSet::with_capacity(node.children.len());
            let mut children = Vec::with_capacity(node.children.len());
            for ObjectReference { node_id, local_name } in node.children {
                let child = number(node_id, &format_args!("node {index}, child `{local_name}`,"))?;
                if !names.insert(local_name.clone()) {
                    return Err(fault(format!("node {index} has two children called `{local_name}`, expected one")));
                }
                children.push((local_name, child));
            }
            let slot = |slot: SlotVariableReference| {
                let what = format!("node {index}, slot `{}`,", slot.slot_name);
                let original = number(slot.original_variable_node_id, &what)?;
                let variable = number(slot.slot_variable_node_id, &what)?;
                Ok(SlotReference { original, name: slot.slot_name, variable })
            };
            let slots = node.slot_variables.into_iter().map(slot).collect::<Result<_>>()?;
            let attribute = |tensor: SerializedTensor| Attribute {
                name: tensor.name,
                full_name: tensor.full_name,
                key: tensor.checkpoint_key,
            };
            let attributes = node.attributes.into_iter().map(attribute).collect();
            objects.push(Object { children, attributes, slots });
        }
        Ok(ObjectGraph { objects })
    }

    /// The bytes for `_CHECKPOINTABLE_OBJECT_GRAPH`.
    pub fn encode(&self) -> Vec<u8> {
        let id = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
        let has_values = self.has_values();
        let node = |(object, has_values): (&Object, bool)| TrackableObject {
            children: object
                .children
                .iter()
                .map(|(name, child)| ObjectReference { node_id: id(*child), local_name: name.clone() })
                .collect(),
            attributes: object
                .attributes
                .iter()
                .map(|attribute| SerializedTensor {
                    name: attribute.name.clone(),
                    full_name: attribute.full_name.clone(),
                    checkpoint_key: attribute.key.clone(),
                })
                .collect(),
            slot_variables: object
                .slots
                .iter()
                .map(|slot| SlotVariableReference {
                    original_variable_node_id: id(slot.original),
                    slot_name: slot.name.clone(),
                    slot_variable_node_id: id(slot.variable),
                })
                .collect(),
            registered_saver: None,
            has_checkpoint_values: Some(BoolValue { value: has_values }),
        };
        let nodes = self.objects.iter().zip(has_values).map(node).collect();
        message::encode(&TrackableObjectGraph { nodes })
    }

    /// Of each object, whether there are values in it or below it.
    fn has_values(&self) -> Vec<bool> {
        let mut holders: Vec<Vec<usize>> = vec![Vec::new(); self.objects.len()];
        for (number, object) in self.objects.iter().enumerate() {
            for (_, child) in &object.children {
                holders[*child].push(number);
            }
        }
        let valued = |object: &Object| !object.attributes.is_empty() || !object.slots.is_empty();
        let mut has_values: Vec<bool> = self.objects.iter().map(valued).collect();
        let mut todo: Vec<usize> = (0..has_values.len()).filter(|&number| has_values[number]).collect();
        while let Some(number) = todo.pop() {
            for &holder in &holders[number] {
                if !std::mem::replace(&mut has_values[holder], true) {
                    todo.push(holder);
                }
            }
        }
        has_values
    }

    /// The shortest path to each object from the root, parts escaped; `None` for one that nothing leads to. A slot is below
    /// its owner: `dense/kernel/.OPTIMIZER_SLOT/optimizer/momentum`.
    pub fn paths(&self) -> Vec<Option<String>> {
        let mut paths: Vec<Option<String>> = vec![None; self.objects.len()];
        let mut queue = VecDeque::new();
        if let Some(root) = paths.first_mut() {
            *root = Some(String::new());
            queue.push_back(0);
        }
        while let Some(number) = queue.pop_front() {
            for (name, child) in &self.objects[number].children {
                if paths[*child].is_none() {
                    paths[*child] = paths[number].as_ref().map(|path| join(path, &escaped(name)));
                    queue.push_back(*child);
                }
            }
        }
        for (number, object) in self.objects.iter().enumerate() {
            for slot in &object.slots {
                if let (None, Some(owner), Some(keeper)) =
                    (&paths[slot.variable], &paths[slot.original], &paths[number])
                {
                    paths[slot.variable] = Some(slot_path(owner, keeper, &slot.name));
                }
            }
        }
        paths
    }
}

impl Bundle {
    /// The graph of the objects whose values these are; `None` where there is none, as in files of TensorFlow 1.
    pub fn object_graph(&self) -> Result<Option<ObjectGraph>> {
        let bytes = self.object_graph_bytes()?;
        let graph = bytes.map(|bytes| ObjectGraph::decode(&bytes)).transpose();
        graph.map_err(|error| error.note(format!("in {}", self.prefix().display())))
    }
}

/// The key of a variable's value.
pub(super) fn key_of(path: &str) -> Result<String> {
    if path.split('/').any(|part| part == escaped(".ATTRIBUTES")) {
        let message = format!("`{path}`: TensorFlow cannot restore what is called `.ATTRIBUTES`; give it another name");
        return Err(Error::invalid_argument(message));
    }
    Ok(format!("{path}/.ATTRIBUTES/{VARIABLE_VALUE}"))
}

/// The path of a slot.
pub(super) fn slot_path(owner: &str, keeper: &str, kind: &str) -> String {
    join(&join(owner, SLOTS), &join(keeper, &escaped(kind)))
}

/// The name that [`escaped`] made a part of a path from.
pub(super) fn unescape(part: &str) -> String {
    let mut name = String::with_capacity(part.len());
    let mut characters = part.chars();
    while let Some(character) = characters.next() {
        match character {
            '.' => name.push(if characters.next() == Some('S') { '/' } else { '.' }),
            other => name.push(other),
        }
    }
    name
}

/// The name that a part of a path is for: unescaped, unless it could not have been escaped.
fn literal(part: &str) -> String {
    let name = unescape(part);
    if escaped(&name) == part { name } else { part.to_owned() }
}

impl fmt::Display for ObjectGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Line<'a> {
            object: usize,
            name: &'a str,
            path: String,
            lead: String,
            is_last: bool,
        }
        let mut shown: HashMap<usize, String> = HashMap::new();
        let mut stack = vec![Line { object: 0, name: ".", path: String::new(), lead: String::new(), is_last: true }];
        let mut is_root = true;
        while let Some(Line { object, name, path, lead, is_last }) = stack.pop() {
            let Some(content) = self.objects.get(object) else { continue };
            let mut below = String::new();
            if is_root {
                f.write_str(name)?;
                is_root = false;
            } else {
                write!(f, "\n{lead}{}{name}", if is_last { "└─ " } else { "├─ " })?;
                below = format!("{lead}{}", if is_last { "   " } else { "│  " });
            }
            if let Some(first) = shown.get(&object) {
                write!(f, " -> {}", if first.is_empty() { "." } else { first })?;
                continue;
            }
            match &*content.attributes {
                [only] => write!(f, " = {}", only.key)?,
                all => all.iter().try_for_each(|one| write!(f, "\n{below}{} = {}", one.name, one.key))?,
            }
            shown.insert(object, path.clone());
            let slots = content.slots.iter().map(|slot| (slot.variable, &*slot.name));
            let children = content.children.iter().map(|(name, child)| (*child, &**name)).chain(slots);
            let children: Vec<_> = children.collect();
            for (index, (child, name)) in children.iter().enumerate().rev() {
                let (path, lead) = (join(&path, &escaped(name)), below.clone());
                stack.push(Line { object: *child, name, path, lead, is_last: index + 1 == children.len() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(children: &[(i32, &str)]) -> TrackableObject {
        let child = |&(node_id, name): &(i32, &str)| ObjectReference { node_id, local_name: name.to_owned() };
        TrackableObject { children: children.iter().map(child).collect(), ..Default::default() }
    }

    fn decoded(nodes: Vec<TrackableObject>) -> Result<ObjectGraph> {
        ObjectGraph::decode(&message::encode(&TrackableObjectGraph { nodes }))
    }

    #[test]
    fn a28_a_number_that_leads_nowhere_is_named() {
        for id in [2, -1, i32::MAX] {
            let error = decoded(vec![node(&[(1, "m")]), node(&[(id, "w")])]).unwrap_err();
            let said =
                format!("`_CHECKPOINTABLE_OBJECT_GRAPH`: node 1, child `w`, leads to node {id}, and there are 2");
            assert_eq!(error.message(), said);
        }
        let slot =
            SlotVariableReference { original_variable_node_id: 0, slot_name: "m".into(), slot_variable_node_id: 7 };
        let error = decoded(vec![TrackableObject { slot_variables: vec![slot], ..Default::default() }]).unwrap_err();
        assert!(error.message().ends_with("node 0, slot `m`, leads to node 7, and there are 1"), "{error}");
    }

    #[test]
    fn a28_a_graph_has_a_root_and_one_child_of_a_name() {
        assert!(decoded(vec![]).unwrap_err().message().ends_with("no objects, expected at least the root"));
        let error = decoded(vec![node(&[(0, "a"), (0, "a")])]).unwrap_err();
        assert!(error.message().ends_with("node 0 has two children called `a`, expected one"), "{error}");
        let error = ObjectGraph::decode(&[0xff]).unwrap_err();
        assert!(error.message().starts_with("`_CHECKPOINTABLE_OBJECT_GRAPH`: "), "{error}");
    }

    #[test]
    fn a29_cycles_and_a_million_objects_are_walked_without_recursion() {
        let count = 1_000_000;
        let mut objects: Vec<Object> = (0..count)
            .map(|i| Object { children: vec![("next".to_owned(), (i + 1) % count)], ..Object::default() })
            .collect();
        objects[count - 1].attributes.push(Attribute {
            name: VARIABLE_VALUE.to_owned(),
            full_name: String::new(),
            key: "k".to_owned(),
        });
        let graph = ObjectGraph::new(objects);
        assert!(graph.has_values().into_iter().all(|has| has));
        assert_eq!(ObjectGraph::decode(&graph.encode()).unwrap(), graph);
    }

    #[test]
    fn paths_alone_make_a_graph() {
        let paths = ["m/d..ot/a.Sb", "m/layer.0.weight", "m/d..ot/a.Sb/.OPTIMIZER_SLOT/opt/momentum", "opt/iter", "w"];
        let (graph, keys) = ObjectGraph::of_paths(paths).unwrap();
        assert_eq!(keys[2], "m/d..ot/a.Sb/.OPTIMIZER_SLOT/opt/momentum/.ATTRIBUTES/VARIABLE_VALUE");
        let tree = "\
.
├─ m
│  ├─ d.ot
│  │  └─ a/b = m/d..ot/a.Sb/.ATTRIBUTES/VARIABLE_VALUE
│  └─ layer.0.weight = m/layer.0.weight/.ATTRIBUTES/VARIABLE_VALUE
├─ opt
│  ├─ iter = opt/iter/.ATTRIBUTES/VARIABLE_VALUE
│  └─ momentum = m/d..ot/a.Sb/.OPTIMIZER_SLOT/opt/momentum/.ATTRIBUTES/VARIABLE_VALUE
└─ w = w/.ATTRIBUTES/VARIABLE_VALUE";
        assert_eq!(graph.to_string(), tree);
        assert_eq!(ObjectGraph::decode(&graph.encode()).unwrap(), graph);
        let slot = graph.objects().iter().find_map(|object| object.slots.first()).unwrap();
        assert_eq!(graph.paths()[slot.variable].as_deref(), Some(paths[2]));
        let error = ObjectGraph::of_paths(["m/..ATTRIBUTES"]).unwrap_err();
        assert!(error.message().starts_with("`m/..ATTRIBUTES`: TensorFlow cannot restore"), "{error}");
    }

    #[test]
    fn the_tree_shows_every_object_once() {
        let value = |key: &str| Object {
            attributes: vec![Attribute { name: VARIABLE_VALUE.into(), full_name: String::new(), key: key.into() }],
            ..Object::default()
        };
        let named = |names: &[(&str, usize)]| Object {
            children: names.iter().map(|(name, child)| ((*name).to_owned(), *child)).collect(),
            ..Object::default()
        };
        let graph = ObjectGraph::new(vec![
            named(&[("model", 1), ("root", 0)]),
            named(&[("a/b", 2), ("tied", 2), ("w", 3)]),
            named(&[]),
            value("K"),
        ]);
        let tree = ".\n├─ model\n│  ├─ a/b\n│  ├─ tied -> model/a.Sb\n│  └─ w = K\n└─ root -> .";
        assert_eq!(graph.to_string(), tree);
        assert_eq!(graph.paths()[2].as_deref(), Some("model/a.Sb"));
    }

    #[test]
    fn names_come_back_from_their_escapes() {
        for name in ["a/b", "d.ot", "..", "/", ".S", "a.S/b", "plain"] {
            assert_eq!(unescape(&escaped(name)), name);
        }
    }
}

//! Restoring: finding for each variable its value in a file, checking all of it, and then assigning all of it at once.

use super::object_graph::ObjectGraph;
use super::places::{Place, Places};
use crate::module::{Growing, SlotOf};
use crate::variable::{self, Variable};
use crate::{DType, Error, ErrorKind, Result, Shape, Spec, Tensor, nearest};
use std::collections::{HashMap, HashSet, VecDeque};

/// What a file has under a name: a dtype that tensors here have, or the name of another; and the dims.
pub(super) type Found = (Result<DType, String>, Vec<usize>);

/// As `float32(3, 4)`.
fn shown((dtype, dims): Found) -> String {
    let dtype = dtype.map_or_else(|other| other, |dtype| dtype.name().to_owned());
    format!("{dtype}{}", Shape::from(dims))
}

/// Values under names: a bundle, or another format that has them.
pub(super) trait Source {
    /// What errors call it.
    fn label(&self) -> String;
    /// The names of all values.
    fn names(&self) -> Vec<String>;
    /// What is under a name.
    fn find(&self, name: &str) -> Option<Found>;
    /// The values under names that there are.
    fn read(&self, names: &[&str]) -> Result<Vec<Tensor>>;
}

/// A variable and the name of the value that it gets.
struct Match {
    place: usize,
    name: String,
}

/// A slot that is to be added where there is none yet.
struct Grown {
    growing: Growing,
    owner: Variable,
    kind: String,
    name: String,
}

/// What a restore would do.
#[derive(Default)]
pub(super) struct Plan {
    matches: Vec<Match>,
    grown: Vec<Grown>,
    /// Variables that a file ought to have, by path.
    missing: Vec<(String, Spec)>,
    /// Values of the file that nothing here takes, by name.
    unused: Vec<String>,
    /// Contradictions, in whole sentences.
    different: Vec<String>,
}

/// What a restore did, and what it left: TensorFlow's load status.
///
/// [`Checkpoint::restore`](super::Checkpoint::restore) leaves nothing unless
/// [`expect_partial`](super::Checkpoint::expect_partial) was said before; what remains to be asked then are slots that wait
/// for the first step of an optimizer.
pub struct Status {
    file: String,
    restored: usize,
    missing: Vec<String>,
    unused: Vec<String>,
    waiting: Vec<(String, Growing, SlotOf)>,
}

impl Status {
    /// How many variables were given values.
    pub fn restored(&self) -> usize {
        self.restored
    }

    /// The paths of the variables for which the file had nothing.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// The keys of the values for which there was no variable, or for which the slot waits to be used.
    pub fn unused(&self) -> Vec<String> {
        let waiting = self.waiting.iter().filter(|(_, growing, of)| !growing.0.is_used(of.owner, &of.kind));
        self.unused.iter().cloned().chain(waiting.map(|(name, ..)| name.clone())).collect()
    }

    /// An error unless every variable got a value and every value found its variable. Slots of an optimizer count once a
    /// step has used them.
    pub fn assert_consumed(&self) -> Result<&Status> {
        self.assert_existing_objects_matched()?;
        let unused = self.unused();
        self.refused(&unused, "nothing uses").map(|()| self)
    }

    /// An error unless every variable that exists got a value.
    pub fn assert_existing_objects_matched(&self) -> Result<&Status> {
        self.refused(&self.missing, "there is no value for").map(|()| self)
    }

    /// An error unless at least one variable got a value.
    pub fn assert_nontrivial_match(&self) -> Result<&Status> {
        if self.restored > 0 {
            return Ok(self);
        }
        Err(Error::failed_precondition(format!("{}: nothing in it has a name that something here has", self.file)))
    }

    fn refused(&self, left: &[String], why: &str) -> Result<()> {
        if left.is_empty() {
            return Ok(());
        }
        let error = Error::failed_precondition(format!("{}: not all of it was matched", self.file));
        Err(left.iter().fold(error, |error, name| error.note(format!("{why} `{name}`"))))
    }
}

impl std::fmt::Debug for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Status")
            .field("restored", &self.restored)
            .field("missing", &self.missing)
            .field("unused", &self.unused())
            .finish()
    }
}

/// As many lines as a person reads.
const MOST_LINES: usize = 40;

impl Plan {
    /// Matches by the edges of the two graphs, from their roots on, as TensorFlow does.
    ///
    /// `optional` are names of the root that a file may lack.
    pub fn by_graph(places: &Places, graph: &ObjectGraph, source: &dyn Source, optional: &[&str]) -> Plan {
        let objects = graph.objects();
        let mut plan = Plan::default();
        let mut found: Vec<Option<usize>> = vec![None; places.places.len()];
        let mut absent = HashSet::new();
        let mut queue = VecDeque::from([(0, 0)]);
        while let Some((number, object)) = queue.pop_front() {
            let place = &places.places[number];
            match found[number] {
                None => found[number] = Some(object),
                Some(before) if before == object => continue,
                Some(before) => {
                    let paths = graph.paths();
                    let [one, two] = [before, object].map(|object| paths[object].as_deref().unwrap_or_default());
                    plan.different.push(format!(
                        "`{}` is one object here, and the checkpoint has two for it: `{one}` and `{two}`",
                        place.path
                    ));
                    continue;
                }
            }
            let children = &objects[object].children;
            let children: HashMap<&str, usize> = children.iter().map(|(name, child)| (&**name, *child)).collect();
            for (name, child) in &place.children {
                let older = place.aliases.iter().filter(|(now, _)| now == name).map(|(_, older)| &**older);
                match std::iter::once(&**name).chain(older).find_map(|name| children.get(name)) {
                    Some(&object) => queue.push_back((*child, object)),
                    None if number == 0 && optional.contains(&&**name) => drop(absent.insert(*child)),
                    None => {}
                }
            }
        }
        let mut used = plan.match_slots(places, graph, source, &mut found);
        for (number, place) in places.places.iter().enumerate() {
            let Some(variable) = place.variable.as_ref().filter(|_| !absent.contains(&number)) else { continue };
            match found[number].and_then(|object| Some((object, objects[object].variable_key()?))) {
                Some((object, name)) => {
                    used.insert(object);
                    plan.take(number, place, variable, name, source);
                }
                None => plan.lack(place, variable),
            }
        }
        let unused = objects.iter().enumerate().filter(|(number, _)| !used.contains(number));
        plan.unused = unused.filter_map(|(_, object)| object.variable_key()).map(str::to_owned).collect();
        plan
    }

    /// Matches by names alone, where a file has no graph: the name of a value is the path of its variable.
    pub fn by_name(places: &Places, source: &dyn Source, optional: &[&str]) -> Plan {
        let mut plan = Plan::default();
        let names = source.names();
        let mut left: HashSet<&str> = names.iter().map(|name| &**name).collect();
        for (number, place) in places.places.iter().enumerate() {
            let Some(variable) = &place.variable else { continue };
            if left.remove(&*place.path) {
                plan.take(number, place, variable, &place.path, source);
            } else if !optional.contains(&&*place.path) {
                plan.lack(place, variable);
            }
        }
        plan.unused = names.iter().filter(|name| left.contains(&***name)).cloned().collect();
        plan
    }

    /// Slots belong to the pair of their keeper and their owner, whatever they are called. Gives the objects that are to
    /// become slots.
    fn match_slots(
        &mut self,
        places: &Places,
        graph: &ObjectGraph,
        source: &dyn Source,
        found: &mut [Option<usize>],
    ) -> HashSet<usize> {
        let objects = graph.objects();
        let mut owners: HashMap<usize, Vec<&Variable>> = HashMap::new();
        for (object, place) in found.iter().zip(&places.places) {
            if let (Some(object), Some(variable)) = (object, &place.variable) {
                owners.entry(*object).or_default().push(variable);
            }
        }
        let keepers: Vec<(usize, usize)> =
            found.iter().enumerate().filter_map(|(place, object)| Some((place, (*object)?))).collect();
        let mut used = HashSet::new();
        for (keeper, object) in keepers {
            let Place { slots, growing, .. } = &places.places[keeper];
            for slot in &objects[object].slots {
                let kind = growing.as_ref().map_or_else(|| slot.name.clone(), |growing| growing.0.kind(&slot.name));
                for owner in owners.get(&slot.original).into_iter().flatten() {
                    let there = slots.iter().find(|(of, _)| of.owner == owner.id() && of.kind == kind);
                    if let Some((_, number)) = there {
                        found[*number] = Some(slot.variable);
                    } else if let (Some(growing), Some(name)) = (growing, objects[slot.variable].variable_key()) {
                        used.insert(slot.variable);
                        if !self.is_like_its_owner(name, objects[slot.original].variable_key(), source) {
                            continue;
                        }
                        let (growing, owner, name) = (growing.clone(), (*owner).clone(), name.to_owned());
                        self.grown.push(Grown { growing, owner, kind: kind.clone(), name });
                    }
                }
            }
        }
        used
    }

    /// Whether a slot to be added has the dtype and shape of its owner, and may be added.
    fn is_like_its_owner(&mut self, slot: &str, owner: Option<&str>, source: &dyn Source) -> bool {
        let [found, expected] = [Some(slot), owner].map(|name| source.find(name?));
        if found.is_some() && found == expected {
            return true;
        }
        let [found, expected] = [found, expected].map(|found| found.map_or("not there".to_owned(), shown));
        self.different.push(format!("`{slot}` is {found}, and what it belongs to {expected}"));
        false
    }

    /// A variable and its value, if the value can be its.
    fn take(&mut self, number: usize, place: &Place, variable: &Variable, name: &str, source: &dyn Source) {
        let expected = variable.spec();
        match source.find(name) {
            None => {
                self.different.push(format!("`{}`: the graph has it under `{name}`, which is not there", place.path))
            }
            Some((Ok(dtype), dims)) if variable.takes(&Spec::new(dtype, &dims[..])) => {
                self.matches.push(Match { place: number, name: name.to_owned() });
            }
            Some(found) => {
                let found = shown(found);
                self.different.push(format!("`{}`: expected {expected}, found {found} under `{name}`", place.path));
            }
        }
    }

    /// A variable without a value: a fault, unless it is not built either.
    fn lack(&mut self, place: &Place, variable: &Variable) {
        if place.is_built && variable.is_sized() {
            self.missing.push((place.path.clone(), variable.spec()));
        }
    }

    /// Everything that does not match, in one error; with `is_partial` only what contradicts.
    fn check(&self, source: &dyn Source, is_partial: bool) -> Result<()> {
        let mut lines = self.different.clone();
        if !is_partial {
            // Every name is held against every other only where that takes no time.
            let few = self.missing.len().saturating_mul(self.unused.len()) <= 10_000;
            let near = |path: &str| {
                let bare = self.unused.iter().filter(|_| few).map(|name| bare(name));
                nearest::nearest(path, bare)
                    .map_or(String::new(), |name| format!("; the nearest that is left there is `{name}`"))
            };
            let missing = |(path, spec): &(String, Spec)| format!("`{path}` {spec} is not in it{}", near(path));
            lines.extend(self.missing.iter().map(missing));
            lines.extend(self.unused.iter().map(|name| format!("`{name}` in it is nothing here")));
        }
        if lines.is_empty() {
            return Ok(());
        }
        let count = lines.len();
        let things = if count == 1 { "one thing does" } else { &format!("{count} things do") };
        let message = format!("{}: {things} not match, and nothing was restored", source.label());
        if count > MOST_LINES {
            lines.truncate(MOST_LINES);
            lines.push(format!("and {} more", count - MOST_LINES));
        }
        let kind = if self.different.is_empty() { ErrorKind::NotFound } else { ErrorKind::InvalidArgument };
        let error = lines.into_iter().fold(Error::new(kind, message), Error::note);
        Err(if is_partial || !self.different.is_empty() {
            error
        } else {
            error.note("say `expect_partial()` before to restore what does match")
        })
    }

    /// Reads all values, and only when all are read and checked assigns them, all at once.
    pub fn carry_out(self, places: &Places, source: &dyn Source, is_partial: bool) -> Result<Status> {
        self.check(source, is_partial)?;
        let grown = self.grown.iter().map(|grown| &*grown.name);
        let mut names: Vec<&str> = self.matches.iter().map(|matched| &*matched.name).chain(grown).collect();
        names.sort_unstable();
        names.dedup();
        let values = source.read(&names)?;
        let values: HashMap<&str, Tensor> = names.into_iter().zip(values).collect();
        let value = |name: &str| {
            let value = values.get(name).cloned();
            value.ok_or_else(|| Error::internal(format!("{}: `{name}` was not read", source.label())))
        };
        let write = |matched: &Match| {
            let variable = places.places[matched.place].variable.clone();
            let variable = variable.ok_or_else(|| Error::internal("only variables are matched"))?;
            Ok((variable, value(&matched.name)?, Some(matched.name.clone())))
        };
        let grown = self.grown.iter().map(|grown| Ok((grown, value(&grown.name)?))).collect::<Result<Vec<_>>>()?;
        variable::restore(self.matches.iter().map(write).collect::<Result<Vec<_>>>()?)
            .map_err(|error| error.note(format!("in {}; nothing was restored", source.label())))?;
        let mut waiting = Vec::with_capacity(grown.len());
        for (Grown { growing, owner, kind, name }, value) in grown {
            growing.0.add(owner, kind, &value)?;
            waiting.push((name.clone(), growing.clone(), SlotOf { owner: owner.id(), kind: kind.clone() }));
        }
        Ok(Status {
            file: source.label(),
            restored: self.matches.len() + self.grown.len(),
            missing: self.missing.into_iter().map(|(path, _)| path).collect(),
            unused: self.unused,
            waiting,
        })
    }
}

/// The path that a key stands for.
pub(super) fn bare(key: &str) -> &str {
    key.split("/.ATTRIBUTES/").next().unwrap_or(key)
}

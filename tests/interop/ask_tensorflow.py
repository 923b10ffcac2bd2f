"""ask_tensorflow.py OUT: has the checkers open, with TensorFlow, what run.sh wrote below OUT. One process for all of them, for
TensorFlow takes seconds to start. Prints what was compared; ends with 1 at the first group in which something differs."""

import collections
import contextlib
import filecmp
import glob
import hashlib
import io
import json
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(HERE, "fixtures")
sys.path.insert(0, os.path.join(HERE, "check"))

import run_all

# The notes draw the initial values of these two; those of seed_simple are 5.
DRAWN = ("seed_sequential", "seed_flexible")


def expected(fixture):
    with open(os.path.join(FIXTURES, fixture, "expected.json")) as file:
        return json.load(file)


def with_section(section):
    """The fixtures whose expected.json has `section`."""
    names = sorted(
        os.path.basename(os.path.dirname(p)) for p in glob.glob(os.path.join(FIXTURES, "*", "expected.json"))
    )
    return [name for name in names if section in expected(name)]


class Group:
    """A number of checks of one kind; what the checkers print is shown only when one of them fails."""

    def __init__(self, title):
        self.title, self.checks, self.tensors, self.failed = title, 0, 0, []
        self.steps = collections.Counter()

    def ask(self, prefix, path, *more):
        """check_checkpoint.py: is `prefix` what the expected.json at `path` says?"""
        arguments = [prefix, "--expected", path, *more]
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            status = run_all.call("check_checkpoint", arguments)
        self.checks += 1
        with open(path) as file:
            self.tensors += len(json.load(file)["checkpoint"]["tensors"])
        for line in said.getvalue().splitlines():
            if line.startswith("  ok"):
                self.steps[line[6:].strip()] += 1
        if status != 0:
            self.failed.append(said.getvalue() or f"check_checkpoint.py {' '.join(arguments)}: exit status {status}")

    def close(self):
        if self.failed:
            print("\n".join(self.failed))
        passed = self.checks - len(self.failed)
        print(f"{self.title}: {passed} of {self.checks} checkpoints pass, {self.tensors} tensors named", flush=True)
        for step, count in self.steps.items():
            print(f"    {count:3} {step}")
        if self.failed or self.checks == 0:
            sys.exit(1)


def the_same_bytes(copies):
    """One file of whole tensors, kept in TensorFlow's order, leaves a writer no choice: each byte is TensorFlow's."""
    compared, differ = 0, []
    for index in sorted(glob.glob(os.path.join(FIXTURES, "**", "*.index"), recursive=True)):
        prefix = index.removesuffix(".index")
        fixture = os.path.relpath(prefix, FIXTURES).split(os.sep)[0]
        whole = not any(t.get("sliced") for t in expected(fixture).get("checkpoint", {}).get("tensors", []))
        if not whole or len(glob.glob(prefix + ".data-*")) != 1:
            continue
        for suffix in (".index", ".data-00000-of-00001"):
            ours = os.path.join(copies, os.path.relpath(prefix, FIXTURES)) + suffix
            compared += 1
            if not os.path.exists(ours):
                differ.append(f"{ours} was not written")
            elif not filecmp.cmp(prefix + suffix, ours, shallow=False):
                differ.append(f"{ours} and {prefix + suffix} differ")
    if differ:
        print("\n".join(differ))
    print(f"copies: {compared - len(differ)} of {compared} files have the bytes of TensorFlow's", flush=True)
    if differ or compared == 0:
        sys.exit(1)


def copied(title, folder):
    """Copies of the fixtures' checkpoints against expected.json; those of Keras models are restored into the model, too."""
    group = Group(title)
    for fixture in with_section("checkpoint"):
        ours, theirs = os.path.join(folder, fixture), os.path.join(FIXTURES, fixture)
        for name in ("model.keras", "managed/checkpoint"):
            if os.path.exists(os.path.join(theirs, name)) and os.path.isdir(os.path.dirname(os.path.join(ours, name))):
                shutil.copyfile(os.path.join(theirs, name), os.path.join(ours, name))
        prefix, _, path, *more = dict(run_all.jobs(ours, theirs))["check_checkpoint"]
        if "--latest" in more and not os.path.isdir(os.path.join(ours, "managed")):
            more = [argument for argument in more if argument not in ("--latest", os.path.join(ours, "managed"))]
        group.ask(prefix, path, *more)
    group.close()


def three_files(folder):
    """`--shards 3` writes three data files, whatever the number of tensors."""
    wrong = []
    for fixture in with_section("checkpoint"):
        written = sorted(os.path.basename(p) for p in glob.glob(os.path.join(folder, fixture, "ckpt", "model.data-*")))
        if written != [f"model.data-0000{shard}-of-00003" for shard in range(3)]:
            wrong.append(f"{os.path.join(folder, fixture)}: {written}, asked for three data files")
    if wrong:
        print("\n".join(wrong))
        sys.exit(1)


def as_safetensors(folder):
    """The reference reader of safetensors finds the variables under their paths."""
    import safetensors.numpy

    compared = 0
    for path in sorted(glob.glob(os.path.join(folder, "*.safetensors"))):
        found = {
            name: (value.dtype.name, list(value.shape), hashlib.sha256(value.tobytes()).hexdigest())
            for name, value in safetensors.numpy.load_file(path).items()
        }
        fixture = os.path.basename(path).removesuffix(".safetensors")
        variables = [t for t in expected(fixture)["checkpoint"]["tensors"] if "sha256" in t]
        wanted = {
            t["key"].removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): (t["dtype"], t["shape"], t["sha256"]) for t in variables
        }
        if found != wanted:
            print(f"{path}: {sorted(set(map(str, found.items())) ^ set(map(str, wanted.items())))}")
            sys.exit(1)
        compared += len(found)
    print(f"safetensors: {compared} tensors are as they should be", flush=True)
    if compared == 0:
        sys.exit(1)


def variables_of_saved_models(folder):
    group = Group("copies of the variables of SavedModels")
    for fixture in with_section("saved_model"):
        section = expected(fixture)["saved_model"]["checkpoint"]
        path = os.path.join(folder, fixture, "saved_model", "expected.json")
        if os.path.exists(os.path.join(FIXTURES, fixture, section["prefix"] + ".index")):
            with open(path, "w") as file:
                json.dump({"checkpoint": section}, file)
            graph = [] if section.get("object_graph") else ["--no-graph"]
            group.ask(os.path.join(folder, fixture, section["prefix"]), path, *graph)
    group.close()


def as_read(prefix):
    """What TensorFlow reads from `prefix`, by key, as expected.json says it."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(prefix)
    tensors = {}
    for key, shape in sorted(reader.get_variable_to_shape_map().items()):
        dtype = reader.get_variable_to_dtype_map()[key].name
        tensors[key] = {"key": key, "dtype": dtype, "shape": shape}
        if dtype != "string":
            tensors[key]["sha256"] = hashlib.sha256(reader.get_tensor(key).tobytes()).hexdigest()
    return tensors


def notes(folder):
    """Names, shapes, dtypes, the graph and a restore into TensorFlow's modules; the values where the notes state them."""
    group = Group("the notes' models")
    for fixture in ("seed_simple", *DRAWN):
        prefix, path = os.path.join(folder, fixture, "ckpt", "model"), os.path.join(folder, fixture, "expected.json")
        wanted = expected(fixture)
        if fixture in DRAWN:
            read = as_read(prefix)
            for tensor in wanted["checkpoint"]["tensors"]:
                if "sha256" in tensor and "sha256" in read.get(tensor["key"], {}):
                    del tensor["data"]
                    tensor["sha256"] = read[tensor["key"]]["sha256"]
        with open(path, "w") as file:
            json.dump(wanted, file)
        group.ask(prefix, path)
    group.close()


def managed(folder):
    """A directory that our manager keeps, opened by TensorFlow's: the latest, the list, the counter."""
    group = Group("a managed directory")
    prefix, path = os.path.join(folder, "managed", "ckpt-3"), os.path.join(folder, "managed.json")
    tensors = list(as_read(prefix).values())
    theirs = {"latest": "managed/ckpt-3", "all": ["managed/ckpt-2", "managed/ckpt-3"]}
    with open(path, "w") as file:
        json.dump({"checkpoint": {"tensors": tensors, "object_graph": "not compared"}, "managed": theirs}, file)
    group.ask(prefix, path, "--latest", os.path.join(folder, "managed"))
    group.close()


def slots(folder):
    """A model and its optimizer: what ours keeps of each variable is what TensorFlow's optimizer finds as its slot."""
    import tensorflow as tf

    prefix = os.path.join(folder, "training", "ckpt", "model")
    reader = tf.train.load_checkpoint(prefix)
    shapes = reader.get_variable_to_shape_map()
    value = "/.ATTRIBUTES/VARIABLE_VALUE"
    net = tf.Module()
    for layer in ("dense_1", "dense_2"):
        part = tf.Module()
        for name in ("w", "b"):
            setattr(part, name, tf.Variable(tf.zeros(shapes[f"net/{layer}/{name}{value}"])))
        setattr(net, layer, part)
    optimizer = tf.compat.v1.train.MomentumOptimizer(0.01, 0.9)
    # The count and the rate of ours are variables that TensorFlow's optimizer does not have.
    status = tf.train.Checkpoint(net=net, optimizer=optimizer).read(prefix)
    status.assert_existing_objects_matched().expect_partial()
    moved = 0
    for layer in ("dense_1", "dense_2"):
        for name in ("w", "b"):
            variable = getattr(getattr(net, layer), name)
            key = f"net/{layer}/{name}"
            found = optimizer.get_slot(variable, "momentum").numpy()
            stored = reader.get_tensor(f"{key}/.OPTIMIZER_SLOT/optimizer/momentum{value}")
            assert (variable.numpy() == reader.get_tensor(key + value)).all(), key
            assert (found == stored).all(), f"{key}: TensorFlow's slot is {found}, ours was {stored}"
            moved += bool(found.any())
    assert moved, "the optimizer remembers something"
    print("slots: TensorFlow's optimizer has those of ours, 4 of 4")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = sys.argv[1]
    the_same_bytes(os.path.join(out, "copies"))
    copied("copies", os.path.join(out, "copies"))
    three_files(os.path.join(out, "three_shards"))
    copied("copies over three files", os.path.join(out, "three_shards"))
    variables_of_saved_models(os.path.join(out, "copies"))
    as_safetensors(os.path.join(out, "safetensors"))
    notes(os.path.join(out, "notes"))
    managed(os.path.join(out, "notes"))
    slots(os.path.join(out, "notes"))


if __name__ == "__main__":
    main()

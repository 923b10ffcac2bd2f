//! Every reader on millions of damaged inputs, with checksums off so that the damage gets to what lies behind them.
//!
//! A run is the same each time. `MODULOR_FUZZ=10000000 cargo test --release -p modulor-wire --test fuzz` makes it longer:
//! the number is that of the inputs of all targets together.

mod corpus;

use std::panic::{AssertUnwindSafe, catch_unwind};

use modulor_wire::crc::{crc32c, mask};
use modulor_wire::graph::{AttrEntry, FunctionDef, GraphDef, NodeDef, Value};
use modulor_wire::message::{BundleEntryProto, BundleHeaderProto, DataType, TrackableObjectGraph, decode, encode};
use modulor_wire::record::{Reader, Writer};
use modulor_wire::state::CheckpointState;
use modulor_wire::table::{self, Entry};
use modulor_wire::tensor::TensorProto;
use modulor_wire::{slice, strings};
use prost::Message;

/// Inputs of all targets together, if the environment does not say.
const INPUTS: u64 = 400_000;

/// Xorshift: numbers that are the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

const BYTES: &[u8] = &[0x00, 0x01, 0x02, 0x7F, 0x80, 0x81, 0xC0, 0xFE, 0xFF, b'"', b'\\', b'[', b'\n'];

const NUMBERS: &[u64] = &[
    0,
    1,
    0x7F,
    0x80,
    0xFFFF,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0x1_0000_0000,
    1 << 40,
    1 << 62,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 4,
    u64::MAX,
];

/// Damages `input` in one place.
fn mutate(random: &mut Random, corpus: &[Vec<u8>], input: &mut Vec<u8>) {
    // The end is where a table's footer is, and the beginning where anything's header is.
    let len = input.len();
    let at = match random.below(4) {
        0 => len - random.below(len.min(64) + 1),
        1 => random.below(len.min(32) + 1),
        _ => random.below(len + 1),
    };
    let some = random.below(8).min(len - at);
    match random.below(9) {
        0 if at < len => input[at] ^= 1 << random.below(8),
        1 if at < len => input[at] = *random.of(BYTES),
        2 if at < len => input[at] = input[at].wrapping_add(*random.of(&[1, 0xFF, 2, 4])),
        3 => input.insert(at, *random.of(BYTES)),
        4 => drop(input.drain(at..at + some)),
        5 => {
            let number = *random.of(NUMBERS);
            drop(input.splice(at..at + some, corpus::varint(number)));
        }
        6 => {
            let number = random.of(NUMBERS).to_le_bytes();
            let width = (*random.of(&[1, 2, 4, 8])).min(len - at);
            input[at..at + width].copy_from_slice(&number[..width]);
        }
        7 => {
            let other = random.of(corpus);
            let from = random.below(other.len() + 1);
            let to = from + random.below((other.len() - from).min(64) + 1);
            drop(input.splice(at..at + some, other[from..to].iter().copied()));
        }
        8 if random.below(8) == 0 => input.truncate(at),
        _ => drop(input.splice(at..at, [0xFF; 10])),
    }
}

/// A reader with inputs that it reads, and what must hold of anything that it reads.
struct Target {
    name: &'static str,
    corpus: Vec<Vec<u8>>,
    /// Whether the input is read.
    check: fn(&[u8]) -> bool,
}

impl Target {
    fn run(&self, inputs: u64) {
        let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ u64::from(crc32c(self.name.as_bytes())));
        for seed in &self.corpus {
            assert!((self.check)(seed), "{}: {} is a seed", self.name, seed.escape_ascii());
        }
        let mut input = Vec::new();
        for number in 0..inputs {
            input.clone_from(random.of(&self.corpus));
            for _ in 0..=random.below(4) {
                mutate(&mut random, &self.corpus, &mut input);
            }
            if catch_unwind(AssertUnwindSafe(|| (self.check)(&input))).is_err() {
                panic!("{}, input {number}: {}", self.name, input.escape_ascii());
            }
        }
    }
}

fn check_table(input: &[u8]) -> bool {
    let Ok(entries) = table::read_unverified(input) else { return false };
    assert!(entries.is_sorted_by(|a, b| a.key < b.key));
    let bytes: usize = entries.iter().map(|entry| entry.key.len() + entry.value.len()).sum();
    assert!(bytes <= 54 * input.len() + (16 << 20), "{bytes} bytes of entries");
    let mut writer = table::Writer::new();
    for Entry { key, value } in &entries {
        writer.add(key, value).expect("the keys increase");
    }
    assert!(table::read(&writer.finish()).expect("it was written here") == entries);
    true
}

/// The first byte is the compression: damage to a block in a table that fits it.
fn check_block(input: &[u8]) -> bool {
    let Some((&compression, block)) = input.split_first() else { return false };
    check_table(&corpus::Forge::default().data(&[0xFF; 8], block, compression).finish())
}

/// An index of a file with three blocks.
fn check_index(input: &[u8]) -> bool {
    let mut forge = corpus::Forge::default();
    for key in BLOCKS {
        forge.block(&corpus::contents(&[(0, key, b"value")], &[0]), 0);
    }
    let metaindex = forge.block(&corpus::contents(&[], &[0]), 0);
    let index = forge.block(input, 0);
    check_table(&forge.footer(&[metaindex, index].concat()))
}

/// The keys of the blocks, each of which has 23 bytes with its trailer.
const BLOCKS: [&[u8]; 3] = [b"ab", b"ac", b"bc"];

fn check_message<M: Message + Default>(input: &[u8]) -> bool {
    let Ok(message) = decode::<M>(input) else { return false };
    let bytes = encode(&message);
    assert_eq!(encode(&decode::<M>(&bytes).expect("it was written here")), bytes);
    true
}

fn check_tensor(input: &[u8]) -> bool {
    let Ok(tensor) = decode::<TensorProto>(input) else { return false };
    let dims = tensor.tensor_shape.iter().flat_map(|shape| &shape.dim);
    let count = dims.map(|dim| dim.size).try_fold(1, i64::checked_mul).and_then(|count| u64::try_from(count).ok());
    count.is_some_and(|count| tensor.elements(count).is_ok())
}

/// The first byte is the number of strings.
fn check_strings(input: &[u8]) -> bool {
    let Some((&count, bytes)) = input.split_first() else { return false };
    assert!(strings::decode_unverified(bytes, usize::MAX - usize::from(count)).is_err());
    let Ok(elements) = strings::decode_unverified(bytes, count.into()) else { return false };
    let (written, crc) = strings::encode(&elements);
    assert_eq!(written.len(), bytes.len());
    assert_eq!(strings::decode(&written, count.into(), crc), Ok(elements));
    true
}

fn check_slice(input: &[u8]) -> bool {
    let Ok((name, extents)) = slice::decode_key(input) else { return false };
    assert_eq!(slice::encode_key(&name, &extents), input);
    true
}

fn check_records(input: &[u8]) -> bool {
    for mut reader in [Reader::new(input), Reader::unverified(input)] {
        let mut bytes = 0;
        loop {
            for record in reader.by_ref() {
                bytes += record.map_or(0, |record| record.len() + 16);
            }
            assert!(bytes <= reader.offset() && reader.offset() <= input.len());
            if reader.resync() == 0 {
                break;
            }
        }
    }
    true
}

fn check_state(input: &[u8]) -> bool {
    let Ok(state) = CheckpointState::parse(&String::from_utf8_lossy(input)) else { return false };
    let text = state.print();
    assert_eq!(CheckpointState::parse(&text).expect("it was written here").print(), text);
    true
}

/// The contents of a block with these entries, and a restart every `interval`.
fn block(entries: &[Entry], interval: usize) -> Vec<u8> {
    let mut restarts = Vec::new();
    let mut out = Vec::new();
    let mut last: &[u8] = &[];
    for (i, Entry { key, value }) in entries.iter().enumerate() {
        if i % interval == 0 {
            restarts.push(out.len() as u32);
            last = &[];
        }
        let shared = last.iter().zip(key).take_while(|(a, b)| a == b).count();
        let entry = corpus::contents(&[(shared as u64, &key[shared..], value)], &[]);
        out.extend(&entry[..entry.len() - 4]);
        last = key;
    }
    out.extend_from_slice(&corpus::contents(&[], &restarts));
    out
}

fn targets() -> Vec<Target> {
    let files: Vec<Vec<u8>> = corpus::files("index").into_iter().map(|(_, file)| file).collect();
    let entries: Vec<Entry> = files.iter().flat_map(|file| table::read(file).expect("a table")).collect();
    let values = |header: bool| -> Vec<Vec<u8>> {
        entries.iter().filter(|entry| entry.key.is_empty() == header).map(|entry| entry.value.clone()).collect()
    };
    let mut tables: Vec<Vec<u8>> = files.iter().filter(|file| file.len() < 600).cloned().collect();
    for file in files.iter().filter(|file| file.len() < 1000) {
        let entries = table::read(file).expect("a table");
        tables.extend([corpus::table(&entries, 3, false), corpus::table(&entries, 4, true)]);
    }
    let mut blocks = Vec::new();
    for file in files.iter().filter(|file| file.len() < 3000) {
        let entries = table::read(file).expect("a table");
        let blocks_of = [block(&entries, 16), block(&entries, 2)];
        blocks.extend(blocks_of.iter().map(|block| [&[0], &block[..]].concat()));
        let pack = |block: &Vec<u8>| snap::raw::Encoder::new().compress_vec(block).expect("small");
        blocks.extend(blocks_of.iter().map(|block| [vec![1], pack(block)].concat()));
    }
    let handle = |at: u64| [corpus::varint(23 * at), corpus::varint(18)].concat();
    let index = |keys: [&[u8]; 3]| {
        let entries = [(0, keys[0], &handle(0)[..]), (0, keys[1], &handle(1)), (0, keys[2], &handle(2))];
        corpus::contents(&entries, &[0])
    };
    let indices = vec![index(BLOCKS), index([b"ab", b"b", b"c"])];
    let (mut texts, mut graphs) = (Vec::new(), Vec::new());
    for (path, file) in corpus::files("index") {
        let Ok(data) = std::fs::read(path.with_extension("data-00000-of-00001")) else { continue };
        for Entry { key, value } in table::read(&file).expect("a table").iter().filter(|entry| !entry.key.is_empty()) {
            let entry: BundleEntryProto = decode(value).expect("an entry");
            let count: i64 = entry.shape.iter().flat_map(|shape| &shape.dim).map(|dim| dim.size).product();
            if entry.dtype == DataType::String as i32 && entry.size < 5000 {
                let bytes = &data[entry.offset as usize..][..entry.size as usize];
                texts.push([&[count as u8], bytes].concat());
                if key == b"_CHECKPOINTABLE_OBJECT_GRAPH" {
                    graphs.push(strings::decode(bytes, 1, entry.crc32c).expect("one string")[0].to_vec());
                }
            }
        }
    }
    let many: Vec<String> = (0..40).map(|i| "x".repeat(i * i % 150)).collect();
    texts.push([vec![40], strings::encode(&many).0].concat());
    let mut keys: Vec<Vec<u8>> =
        entries.iter().filter(|entry| entry.key.starts_with(&[0])).map(|entry| entry.key.clone()).collect();
    keys.push(slice::encode_key("a\0\u{10FFFF}", &[(i64::MIN, i64::MAX), (-1, 1 << 33), (0, 0)]));
    let records = [&[&b"first"[..], b"", b"the third"][..], &[&[0; 40]], &[&[1; 300], b"a", b"b", b"c"]];
    let records = records.map(|records| {
        let mut writer = Writer::new(Vec::new());
        for record in records {
            writer.write(record).expect("a vector takes all");
        }
        writer.into_inner()
    });
    let mut records = records.to_vec();
    // A length with a valid checksum, which damage would seldom give.
    records.extend(NUMBERS.iter().map(|number| {
        let length = number.to_le_bytes();
        [&length[..], &mask(crc32c(&length)).to_le_bytes(), &[0; 20]].concat()
    }));
    let mut states: Vec<Vec<u8>> = corpus::files("checkpoint").into_iter().map(|(_, file)| file).collect();
    states.push(br#"model_checkpoint_path: "\u00e9\U0001F600\x41\101" 'b', other: [1.5, x, "y"]; # c"#.to_vec());
    states.push(b"all_model_checkpoint_timestamps: [1e-5, -inf, nan, 2.5f] all_model_checkpoint_paths: []".to_vec());
    let saved: Vec<Vec<u8>> = corpus::files("saved_model.pb").into_iter().map(|(_, file)| file).collect();
    let (mut graph_defs, mut functions, mut nodes, mut tensors) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for graph in saved.iter().flat_map(|file| corpus::graph_defs(file)) {
        let graph: GraphDef = decode(graph).expect("a graph");
        let library = graph.library.clone().unwrap_or_default();
        let bodies = library.function.iter().flat_map(|function| &function.node_def);
        for node in graph.node.iter().chain(bodies) {
            let values = node.attr.iter().filter_map(|AttrEntry { value, .. }| value.as_ref()?.value.as_ref());
            tensors.extend(
                values.filter_map(|value| if let Value::Tensor(bytes) = value { Some(bytes.clone()) } else { None }),
            );
            nodes.push(encode(node));
        }
        functions.extend(library.function.iter().map(encode).filter(|bytes| bytes.len() < 3000));
        graph_defs.push(encode(&graph));
    }
    graph_defs.retain(|bytes| bytes.len() < 20_000);
    tensors.retain(|bytes| bytes.len() < 1000);
    for list in [&mut nodes, &mut tensors, &mut functions] {
        list.sort();
        list.dedup();
    }
    vec![
        Target { name: "graph", corpus: graph_defs, check: check_message::<GraphDef> },
        Target { name: "function", corpus: functions, check: check_message::<FunctionDef> },
        Target { name: "node", corpus: nodes, check: check_message::<NodeDef> },
        Target { name: "tensor", corpus: tensors, check: check_tensor },
        Target { name: "table", corpus: tables, check: check_table },
        Target { name: "block", corpus: blocks, check: check_block },
        Target { name: "index", corpus: indices, check: check_index },
        Target { name: "header", corpus: values(true), check: check_message::<BundleHeaderProto> },
        Target { name: "entry", corpus: values(false), check: check_message::<BundleEntryProto> },
        Target { name: "object graph", corpus: graphs, check: check_message::<TrackableObjectGraph> },
        Target { name: "strings", corpus: texts, check: check_strings },
        Target { name: "slice", corpus: keys, check: check_slice },
        Target { name: "records", corpus: records, check: check_records },
        Target { name: "state", corpus: states, check: check_state },
    ]
}

#[test]
fn no_input_makes_a_reader_panic() {
    let inputs = std::env::var("MODULOR_FUZZ").map_or(INPUTS, |number| number.parse().expect("a number of inputs"));
    let targets = targets();
    for target in &targets {
        assert!(!target.corpus.is_empty(), "{}", target.name);
        target.run(inputs / targets.len() as u64);
    }
}

//! Many GraphDefs in one file: `index.json` has a row for each, `graphs` their bytes one after the other.

use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

/// What a GraphDef is of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// The op, or what a model is called.
    pub op: String,
    /// Which case of it.
    pub case: String,
    /// Which input is fed by which name.
    pub inputs: Vec<(usize, String)>,
    /// The names of the results.
    pub outputs: Vec<String>,
    /// The names of its variables, in the order of those that the test has.
    #[serde(default)]
    pub variables: Vec<String>,
    /// Bytes.
    pub length: usize,
}

/// Rows with their GraphDefs.
#[derive(Default)]
pub struct Container {
    pub rows: Vec<Row>,
    graphs: Vec<u8>,
}

impl Container {
    pub fn add(&mut self, mut row: Row, graph: &[u8]) {
        row.length = graph.len();
        self.rows.push(row);
        self.graphs.extend_from_slice(graph);
    }

    pub fn read(path: &Path) -> Container {
        let bytes = fs::read(path).expect("the fixture is in the repository");
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).expect("a zip");
        let mut member = |name: &str| {
            let mut bytes = Vec::new();
            archive.by_name(name).expect("it has two members").read_to_end(&mut bytes).expect("deflated");
            bytes
        };
        let rows = serde_json::from_slice(&member("index.json")).expect("rows");
        Container { rows, graphs: member("graphs") }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Row, &[u8])> {
        let mut rest = &self.graphs[..];
        self.rows.iter().map(move |row| {
            let (graph, others) = rest.split_at(row.length);
            rest = others;
            (row, graph)
        })
    }

    /// Writes it where TensorFlow is asked about it: below `MODULOR_GRAPHS`, or nowhere.
    pub fn write(&self, name: &str) {
        let Some(folder) = std::env::var_os("MODULOR_GRAPHS").map(PathBuf::from) else { return };
        fs::create_dir_all(&folder).expect("a folder to write in");
        let mut archive = zip::ZipWriter::new(fs::File::create(folder.join(name)).expect("a file to write"));
        let options = zip::write::SimpleFileOptions::default();
        let index = serde_json::to_vec(&self.rows).expect("rows");
        for (name, bytes) in [("index.json", &index), ("graphs", &self.graphs)] {
            archive.start_file(name, options).expect("a member");
            archive.write_all(bytes).expect("room for it");
        }
        archive.finish().expect("it is closed");
    }
}

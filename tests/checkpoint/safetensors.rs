//! Safetensors: what is written is read, by name into a model, and what is wrong is said.

use super::fault_vfs::{Fault, FaultVfs};
use modulor::checkpoint::Checkpoint;
use modulor::checkpoint::safetensors::{self, SafeTensors};
use modulor::prelude::*;
use modulor::vfs::Vfs;
use std::sync::Arc;

const PATH: &str = "/model.safetensors";

fn model() -> Sequential {
    Sequential::new().add(Dense::new(4).activation("relu")).add(Dense::new(2))
}

fn called(model: Sequential) -> Result<Sequential> {
    model.call(&Tensor::ones([1, 3], DType::F32)?)?;
    Ok(model)
}

fn values(model: &Sequential) -> Result<Vec<Vec<f32>>> {
    model.variables().iter().map(|variable| variable.value()?.to_vec::<f32>()).collect()
}

/// A checkpoint of a model on a file system of its own.
fn at<M: Module>(vfs: &FaultVfs, model: &M) -> Checkpoint {
    Checkpoint::new(model).on(vfs.shared())
}

#[test]
fn every_dtype_of_the_format_goes_there_and_back() -> Result<()> {
    let vfs = FaultVfs::default().shared();
    let numbers = Tensor::from([[1.0, 0.0, 3.0], [4.0, 5.0, 100.0]]);
    let mut all: Vec<(String, Tensor)> = Vec::new();
    for dtype in
        DType::ALL.iter().filter(|dtype| !["complex128", "string", "resource", "variant"].contains(&dtype.name()))
    {
        all.push((format!("{dtype}/matrix"), numbers.cast(*dtype)?));
        all.push((format!("{dtype}/turned"), numbers.cast(*dtype)?.transpose()?));
        all.push((format!("{dtype}/scalar"), Tensor::scalar(3.0).cast(*dtype)?));
        all.push((format!("{dtype}/empty"), Tensor::zeros([0, 3], *dtype)?));
    }
    safetensors::write_on(&vfs, PATH, all.iter().map(|(name, tensor)| (&**name, tensor)))?;
    let file = SafeTensors::open_on(&vfs, PATH)?;
    assert_eq!(file.names().len(), all.len());
    for (name, tensor) in &all {
        let read = file.read(name)?;
        assert_eq!((read.spec(), read.to_bytes()?), (tensor.spec(), tensor.to_bytes()?), "{name}");
    }
    let error = file.read("int8/matrx").unwrap_err();
    let said = format!("{PATH}: has no tensor \"int8/matrx\"; did you mean `int8/matrix`?");
    assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, &*said));
    Ok(())
}

#[test]
fn the_bytes_are_those_of_the_format() -> Result<()> {
    let vfs = FaultVfs::default();
    let (w, b, n) = (Tensor::from([[1.0_f32, 2.0]]), Tensor::from([true]), Tensor::scalar(7_i64));
    safetensors::write_on(&vfs.shared(), PATH, [("b", &b), ("w", &w), ("n", &n)])?;
    let header = "{\"__metadata__\":{\"format\":\"tf\"},\"n\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},\
                  \"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[8,16]},\
                  \"b\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[16,17]}}";
    let length = header.len().next_multiple_of(8);
    let mut expected = (length as u64).to_le_bytes().to_vec();
    expected.extend(format!("{header:length$}").into_bytes());
    for tensor in [n, w, b] {
        expected.extend(tensor.to_bytes()?);
    }
    assert_eq!(vfs.bytes(PATH), Some(expected));
    Ok(())
}

#[test]
fn a_model_gets_its_values_by_their_paths_built_or_not() -> Result<()> {
    let vfs = FaultVfs::default();
    let trained = called(model())?;
    at(&vfs, &trained).write_safetensors(PATH)?;
    let file = SafeTensors::open_on(&vfs.shared(), PATH)?;
    let mut names: Vec<&str> = file.names().collect();
    let mut paths: Vec<String> = trained.named_variables().into_iter().map(|(path, _)| path).collect();
    names.sort_unstable();
    paths.sort_unstable();
    assert_eq!(names, paths);

    let built = called(model())?;
    for variable in built.variables() {
        variable.assign(&variable.value()?.zeros_like()?)?;
    }
    assert_eq!(at(&vfs, &built).read_safetensors(PATH)?.assert_consumed()?.restored(), 4);
    assert_eq!(values(&built)?, values(&trained)?);

    let unbuilt = model();
    at(&vfs, &unbuilt).read_safetensors(PATH)?.assert_consumed()?;
    assert_eq!(values(&called(unbuilt)?)?, values(&trained)?);
    Ok(())
}

#[test]
fn what_does_not_match_is_listed_and_nothing_changes() -> Result<()> {
    let vfs = FaultVfs::default();
    let built = called(model())?;
    let before = values(&built)?;
    let named = built.named_variables();
    let (first, second) = (&named[0].0, &named[1].0);
    let mut tensors: Vec<(String, Tensor)> = Vec::new();
    for (path, variable) in &named {
        match path {
            path if path == first => tensors.push((format!("{path}_old"), variable.value()?)),
            path if path == second => tensors.push((path.clone(), Tensor::zeros([9], DType::F64)?)),
            path => tensors.push((path.clone(), variable.value()?)),
        }
    }
    safetensors::write_on(&vfs.shared(), PATH, tensors.iter().map(|(name, tensor)| (&**name, tensor)))?;
    let error = at(&vfs, &built).read_safetensors(PATH).unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines[0], format!("{PATH}: 3 things do not match, and nothing was restored"));
    let spec = named[1].1.spec();
    assert_eq!(lines[1], format!("    `{second}`: expected {spec}, found float64(9,) under `{second}`"));
    assert!(lines[2].starts_with(&format!("    `{first}` float32")) && lines[2].contains(" is not in it"), "{error}");
    assert_eq!(lines[3], format!("    `{first}_old` in it is nothing here"));
    assert_eq!(values(&built)?, before);
    Ok(())
}

#[test]
fn what_the_format_has_no_place_for_is_refused_by_name() -> Result<()> {
    let vfs = FaultVfs::default();
    let refused = |name: &str, tensor: &Tensor| {
        let one = Tensor::scalar(1.0);
        safetensors::write_on(&vfs.shared(), PATH, [("x", &one), (name, tensor)]).unwrap_err().to_string()
    };
    let words = refused("words", &Tensor::strings([1], ["a"])?);
    assert_eq!(words, format!("{PATH}: tensor \"words\": string tensors have no place in safetensors"));
    let wide = refused("wide", &Tensor::zeros([1], DType::Complex128)?);
    assert_eq!(wide, format!("{PATH}: tensor \"wide\": complex128 tensors have no place in safetensors"));
    assert_eq!(refused("x", &Tensor::scalar(1.0)), format!("{PATH}: the name \"x\" is there twice"));
    let metadata = refused("__metadata__", &Tensor::scalar(1.0));
    assert_eq!(metadata, format!("{PATH}: the name \"__metadata__\" is no name for a tensor"));
    assert!(vfs.tree().is_empty(), "{:?}", vfs.tree());

    let variable = Variable::new(Tensor::strings([1], ["a"])?);
    let error = Checkpoint::default().with("title", &variable).on(vfs.shared()).write_safetensors(PATH).unwrap_err();
    assert!(error.message().contains("tensor \"title\": string tensors"), "{error}");
    Ok(())
}

#[test]
fn a_header_that_cannot_be_right_is_an_error_that_names_file_and_tensor() {
    let tensor = |rest: &str| format!("{{\"w\":{{{rest}}}}}");
    let f32s =
        |shape: &str, offsets: &str| tensor(&format!("\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":{offsets}"));
    let no_json = "the header in bytes [8, +";
    let rank = format!("[{}]", vec!["1"; 300].join(","));
    // The header, the bytes of data, and what is said.
    let rows: &[(String, usize, &str)] = &[
        (String::new(), 0, no_json),
        ("[]".into(), 0, "invalid type: sequence, expected an object of tensors"),
        ("{} {}".into(), 0, "trailing characters"),
        ("{\"w\":3}".into(), 0, "expected struct TensorInfo"),
        ("[".repeat(100_000), 0, no_json),
        (tensor(&format!("\"x\":{}1{}", "[".repeat(100_000), "]".repeat(100_000))), 0, "missing field `dtype`"),
        (tensor("\"dtype\":\"F33\",\"shape\":[],\"data_offsets\":[0,4]"), 4, "unknown variant `F33`"),
        (tensor("\"dtype\":\"F32\",\"shape\":[]"), 4, "missing field `data_offsets`"),
        (f32s("[-1]", "[0,4]"), 4, "invalid value: integer `-1`"),
        (f32s("[1]", "[0,4]"), 8, "has 8 bytes of data, and the header speaks of 4"),
        (f32s("[2]", "[0,8]"), 4, "tensor \"w\": bytes [0, 8) of the data, which are 4"),
        (f32s("[1]", "[4,8]"), 8, "tensor \"w\": bytes [4, 8) of the data, which are 8; expected them to begin at 0"),
        (f32s("[0]", "[4,0]"), 4, "tensor \"w\": bytes [4, 0)"),
        (f32s("[3]", "[0,8]"), 8, "tensor \"w\": 8 bytes are stored, and F32(3,) does not take as many"),
        (f32s("[4294967296,4294967296]", "[0,8]"), 8, "tensor \"w\": "),
        (f32s("[1152921504606846975,4]", "[0,8]"), 8, "tensor \"w\": "),
        (f32s("[1]", "[0,18446744073709551615]"), 4, "tensor \"w\": bytes [0, 18446744073709551615)"),
        (f32s(&rank, "[0,4]"), 4, "tensor \"w\": "),
        (
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\
              \"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}"
                .into(),
            3,
            "tensor \"b\": bytes [1, 3) of the data, which are 3; expected them to begin at 2",
        ),
        (
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\
              \"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}"
                .into(),
            1,
            "\"a\" is there twice",
        ),
        ("{\"__metadata__\":{\"format\":3}}".into(), 0, "invalid type: integer `3`, expected a string"),
    ];
    for (header, data, expected) in rows {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        check(&bytes, expected);
    }
    check(&[], "has 0 bytes, and a safetensors file has 8 at least");
    check(&[0; 7], "has 7 bytes");
    check(&u64::MAX.to_le_bytes(), "its header is to have 18446744073709551615 bytes, and can have 0 at most");
    check(&[3, 0, 0, 0, 0, 0, 0, 0, b'{', b'}'], "its header is to have 3 bytes, and can have 2 at most");
    check(&[2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff], no_json);

    /// What a file of these bytes is told, by path.
    fn check(bytes: &[u8], expected: &str) {
        let vfs = FaultVfs::default();
        vfs.put(PATH, bytes);
        let error = SafeTensors::open_on(&vfs.shared(), PATH).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DataLoss, "{error}");
        let said = error.to_string();
        assert!(said.starts_with(&format!("{PATH}: ")) && said.contains(expected), "{said:.300}");
        assert!(said.len() < 1000, "{}", said.len());
    }
}

#[test]
fn a_file_cut_off_anywhere_is_an_error() -> Result<()> {
    let vfs = FaultVfs::default();
    safetensors::write_on(&vfs.shared(), PATH, [("w", &Tensor::from([1.0_f32, 2.0])), ("n", &Tensor::scalar(7_i64))])?;
    let whole = vfs.bytes(PATH).expect("it was written");
    for length in 0..whole.len() {
        vfs.put(PATH, &whole[..length]);
        let error = SafeTensors::open_on(&vfs.shared(), PATH).unwrap_err();
        assert!(error.message().starts_with(PATH), "{length}: {error}");
    }
    Ok(())
}

#[test]
fn what_no_tensor_here_can_be_is_named_when_it_is_read() {
    let header = "{\"w\":{\"dtype\":\"F8_E4M3\",\"shape\":[2],\"data_offsets\":[0,2]},\
                  \"b\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[2,3]}}";
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend([0, 0, 7]);
    let vfs = FaultVfs::default();
    vfs.put(PATH, &bytes);
    let file = SafeTensors::open_on(&vfs.shared(), PATH).unwrap();
    let error = file.read("w").unwrap_err();
    assert_eq!(error.message(), format!("{PATH}: tensor \"w\": no tensor here has elements of F8_E4M3"));
    let error = file.read("b").unwrap_err();
    assert_eq!(error.message(), format!("{PATH}: tensor \"b\": a bool is stored as 0 or 1, and one is 7"));

    let w = Variable::new(Tensor::from([1.0_f32, 2.0]));
    let error = Checkpoint::default().with("w", &w).on(vfs.shared()).expect_partial().read_safetensors(PATH);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("`w`: expected float32(2,), found F8_E4M3(2,) under `w`"), "{error}");
}

#[test]
fn whatever_goes_wrong_the_file_is_the_old_one_or_the_new_one() -> Result<()> {
    let write = |vfs: &Arc<dyn Vfs>, n: f32| safetensors::write_on(vfs, PATH, [("w", &Tensor::from([n, n, n]))]);
    let read = |vfs: &FaultVfs| SafeTensors::open_on(&vfs.shared(), PATH)?.read("w")?.to_vec::<f32>();
    let start = FaultVfs::default();
    write(&start.shared(), 1.0)?;
    let clean = start.restarted();
    clean.arm(None);
    write(&clean.shared(), 2.0)?;
    assert_eq!(read(&clean)?, [2.0; 3]);
    let calls = clean.calls();
    assert!(calls.len() >= 5, "{calls:?}");
    for fault in [Fault::Kill, Fault::Full { forever: false }, Fault::Broken { forever: true }] {
        for (at, call) in calls.iter().enumerate() {
            let vfs = start.restarted();
            vfs.arm(Some((at, fault)));
            let written = write(&vfs.shared(), 2.0).is_ok();
            let found = read(&vfs.restarted())?[0];
            assert!(found == 2.0 || found == 1.0 && !written, "{call} ({fault:?}): {found}");
            for seed in 0..20 {
                let found = read(&vfs.power_cut(seed))?[0];
                assert!(found == 2.0 || found == 1.0 && !written, "{call} ({fault:?}), cut {seed}: {found}");
            }
            // The next writer clears up.
            let next = vfs.restarted();
            write(&next.shared(), 3.0)?;
            assert_eq!(read(&next)?, [3.0; 3]);
            assert_eq!(next.tree(), [std::path::PathBuf::from(PATH)], "{call}");
        }
    }
    Ok(())
}

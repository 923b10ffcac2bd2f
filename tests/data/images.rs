//! Images in files and folders, beside what TensorFlow decodes and what Keras makes datasets of.

use super::refused;
use crate::golden::{Entry, Fixture};
use modulor::data::{ColorMode, Dataset, ImageFolder, LabelMode, Subset, read_image};
use modulor::keras::library::Interpolation;
use modulor::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;

#[derive(Deserialize)]
struct Row {
    kind: String,
    case: String,
    #[serde(flatten)]
    values: Map<String, Value>,
}

impl Row {
    fn get<T: serde::de::DeserializeOwned>(&self, key: &str) -> T {
        serde_json::from_value(self.values.get(key).cloned().unwrap_or(Value::Null)).unwrap()
    }
}

fn fixture() -> Fixture<Row> {
    Fixture::read("keras/image_folder").expect("it is beside this test")
}

fn tensor(fixture: &Fixture<Row>, entry: &Entry) -> Tensor {
    let array = fixture.array(entry).unwrap();
    Tensor::from_bytes(DType::from_name(&array.dtype).unwrap(), array.shape.clone(), &array.bytes).unwrap()
}

fn numbers(x: &Tensor) -> Vec<f64> {
    x.cast(DType::F64).unwrap().to_vec().unwrap()
}

fn rows<'a>(fixture: &'a Fixture<Row>, kind: &'a str) -> impl Iterator<Item = &'a Row> {
    fixture.cases.iter().filter(move |row| row.kind == kind)
}

/// Writes the recorded files whose names `keep` is true of.
fn write(fixture: &Fixture<Row>, root: &Path, keep: impl Fn(&str) -> bool) {
    for row in rows(fixture, "image file") {
        let name: String = row.get("name");
        if keep(&name) {
            let path = root.join(&name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, tensor(fixture, &row.get("bytes")).to_bytes().unwrap()).unwrap();
        }
    }
}

fn is_jpeg(name: &str) -> bool {
    [".jpg", ".JPG", ".jpeg"].iter().any(|end| name.ends_with(end))
}

/// The numbers of an image, without an alpha channel that its file, of fewer than 8 bits, does not have: TensorFlow fills it
/// with the greatest number of so many bits, and here it is 255.
fn comparable(name: &str, x: &Tensor) -> Vec<f64> {
    let made = x.dims().unwrap().last() == Some(&4) && (name.ends_with("palette.png") || name.ends_with("bits.png"));
    numbers(&if made { x.slice((modulor::Ellipsis, ..3)).unwrap() } else { x.clone() })
}

/// How far gray of a file may be off: of colors of 16 bits it is made of the upper 8 here, and of all there.
fn off_by(name: &str, expected: &Tensor) -> f64 {
    f64::from(u8::from(name.ends_with("rgb16.png") && expected.dims().unwrap().last() == Some(&1)))
}

#[test]
fn files_are_what_tensorflow_decodes() {
    let (fixture, root) = (fixture(), tempfile::tempdir().unwrap());
    write(&fixture, root.path(), |_| true);
    let mut count = 0;
    for row in rows(&fixture, "image file") {
        for (key, mode) in [("grayscale", ColorMode::Grayscale), ("rgb", ColorMode::Rgb), ("rgba", ColorMode::Rgba)] {
            let Some(entry) = row.get::<Option<Entry>>(key) else { continue };
            let found = read_image(root.path().join(&row.case), mode).unwrap();
            let expected = tensor(&fixture, &entry);
            assert_eq!(found.dims().unwrap(), expected.dims().unwrap(), "{} {key}", row.case);
            // What stands between the samples of colors that were halved is a decoder's own.
            let most = if !is_jpeg(&row.case) {
                off_by(&row.case, &expected)
            } else if row.case.contains("halved") {
                24.0
            } else {
                4.0
            };
            let [found, expected] = [&found, &expected].map(|x| comparable(&row.case, x));
            for (found, expected) in found.into_iter().zip(expected) {
                assert!((found - expected).abs() <= most, "{} {key}: {found} is not {expected}", row.case);
            }
            count += 1;
        }
    }
    assert!(count >= 35, "{count}");
}

/// The folder of a row's settings.
fn folder(root: &Path, settings: &Map<String, Value>) -> Result<ImageFolder> {
    let is_null = |key: &str| settings.get(key).is_some_and(Value::is_null);
    let mut folder = if is_null("labels") || is_null("label_mode") {
        ImageFolder::without_classes(root)?
    } else {
        ImageFolder::new(root)?
    };
    let size = settings["image_size"].as_array().unwrap();
    folder = folder.image_size([0, 1].map(|i| size[i].as_u64().unwrap() as usize));
    let mut split = None;
    for (key, value) in settings {
        folder = match (key.as_str(), value.as_str().unwrap_or_default()) {
            ("class_names", _) => {
                folder.select_classes(value.as_array().unwrap().iter().map(|name| name.as_str().unwrap()))?
            }
            ("interpolation", name) => folder.interpolation(serde_json::from_value(name.into()).unwrap()),
            ("color_mode", "rgba") => folder.color_mode(ColorMode::Rgba),
            ("color_mode", _) => folder.color_mode(ColorMode::Grayscale),
            ("label_mode", "categorical") => folder.label_mode(LabelMode::Categorical),
            ("label_mode", "binary") => folder.label_mode(LabelMode::Binary),
            ("crop_to_aspect_ratio", _) => folder.crop_to_aspect_ratio(true),
            ("pad_to_aspect_ratio", _) => folder.pad_to_aspect_ratio(true),
            ("data_format", _) => folder.channels_first(true),
            ("seed", _) => folder.shuffle(value.as_u64().unwrap() as u32),
            ("subset", name) => {
                let subset = if name == "training" { Subset::Training } else { Subset::Validation };
                split = Some((settings["validation_split"].as_f64().unwrap(), subset));
                folder
            }
            _ => folder,
        };
    }
    match split {
        Some((share, subset)) => folder.split(share, subset),
        None => Ok(folder),
    }
}

#[test]
fn folders_are_kerass_datasets() {
    let (fixture, root) = (fixture(), tempfile::tempdir().unwrap());
    write(&fixture, root.path(), |name| !is_jpeg(name) && !name.ends_with("bmp") && !name.ends_with("gif"));
    let mut count = 0;
    for row in rows(&fixture, "image folder") {
        let folder = folder(root.path(), &row.get("settings")).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let names: Option<Vec<String>> = row.get("class_names");
        assert_eq!(folder.class_names(), names.unwrap_or_default(), "{}", row.case);
        let files = folder.files().map(|path| path.strip_prefix(root.path()).unwrap().to_str().unwrap().to_owned());
        assert_eq!(files.collect::<Vec<_>>(), row.get::<Vec<String>>("files"), "{}", row.case);
        let Some(images) = row.get::<Option<Vec<Entry>>>("images") else { continue };
        let labels: Vec<Option<Entry>> = row.get("labels");
        let found: Vec<_> = folder.dataset().unwrap().iter().map(|element| element.unwrap()).collect();
        assert_eq!(found.len(), images.len(), "{}", row.case);
        let files: Vec<String> = row.get("files");
        for ((((image, label), expected), expected_label), file) in found.iter().zip(&images).zip(&labels).zip(&files) {
            let expected = tensor(&fixture, expected);
            assert_eq!((image.dtype(), image.dims().unwrap()), (DType::F32, expected.dims().unwrap()), "{}", row.case);
            let most = off_by(file, &expected);
            for (found, expected) in comparable(file, image).into_iter().zip(comparable(file, &expected)) {
                assert!(
                    (found - expected).abs() <= 2e-3 + 1.5 * most,
                    "{} {file}: {found} is not {expected}",
                    row.case
                );
            }
            if let Some(expected) = expected_label {
                let expected = tensor(&fixture, expected);
                assert_eq!(label.spec(), expected.spec(), "{}", row.case);
                assert_eq!(numbers(label), numbers(&expected), "{}", row.case);
            }
        }
        let alone: Vec<_> = folder.images().iter().map(|image| numbers(&image.unwrap())).collect();
        assert_eq!(alone, found.iter().map(|(image, _)| numbers(image)).collect::<Vec<_>>(), "{}", row.case);
        count += 1;
    }
    assert!(count >= 11, "{count}");
}

#[test]
fn a_shuffled_folder_has_all_images_in_each_epoch_and_its_parts_make_up_the_whole() {
    let (fixture, root) = (fixture(), tempfile::tempdir().unwrap());
    write(&fixture, root.path(), |name| !name.ends_with("txt"));
    let folder = || ImageFolder::new(root.path()).unwrap().image_size([2, 2]);
    let order = |dataset: &Dataset<(Tensor, Tensor)>, epoch| {
        dataset.iter_at(epoch, 0).map(|element| numbers(&element.unwrap().0)).collect::<Vec<_>>()
    };
    let sorted = |mut all: Vec<Vec<f64>>| {
        all.sort_by(|a, b| a.partial_cmp(b).unwrap());
        all
    };
    let (plain, shuffled) = (folder().dataset().unwrap(), folder().shuffle(5).dataset().unwrap());
    assert_eq!(order(&shuffled, 1), order(&folder().shuffle(5).dataset().unwrap(), 1));
    assert_ne!(order(&shuffled, 0), order(&shuffled, 1));
    assert_eq!(sorted(order(&shuffled, 1)), sorted(order(&plain, 0)));
    let part = |subset| folder().shuffle(5).split(0.3, subset).unwrap().dataset().unwrap();
    let (training, validation) = (part(Subset::Training), part(Subset::Validation));
    assert_eq!(order(&validation, 0), order(&validation, 1));
    assert_eq!(sorted([order(&training, 0), order(&validation, 0)].concat()), sorted(order(&plain, 0)));
    let count = plain.cardinality().known().unwrap();
    assert_eq!(validation.cardinality().known(), Some((0.3 * count as f64) as u64));
    let (batch, labels) = shuffled.batch(4).iter().next().unwrap().unwrap();
    assert_eq!((batch.dims().unwrap(), labels.dims().unwrap()), (&[4, 2, 2, 3][..], &[4][..]));
}

#[test]
fn what_is_wrong_with_images_is_said_with_the_name_of_the_file() {
    let (fixture, root) = (fixture(), tempfile::tempdir().unwrap());
    write(&fixture, root.path(), |_| true);
    // Of every beginning of every file there is an image or an error, and no more memory than it may have.
    for row in rows(&fixture, "image file") {
        let bytes = tensor(&fixture, &row.get("bytes")).to_bytes().unwrap();
        let path = root.path().join("part");
        for end in (0..bytes.len()).step_by(1 + bytes.len() / 60) {
            for flip in [None, Some(end)] {
                let mut bytes = if flip.is_none() { bytes[..end].to_vec() } else { bytes.clone() };
                flip.into_iter().for_each(|at| bytes[at] ^= 0x55);
                fs::write(&path, bytes).unwrap();
                if let Err(error) = read_image(&path, ColorMode::Rgba) {
                    assert!(error.message().contains("part"), "{error}");
                }
            }
        }
    }
    let broken = root.path().join("bee/rgb16.png");
    fs::write(&broken, b"\x89PNG\r\n\x1a\nno more").unwrap();
    let (given, message) = refused(&ImageFolder::new(root.path()).unwrap().image_size([2, 2]).images());
    assert!(given > 5 && message.contains("rgb16.png") && message.contains("of element"), "{message}");
    fs::write(&broken, b"text").unwrap();
    let message = read_image(&broken, ColorMode::Rgb).unwrap_err().to_string();
    assert!(message.contains("is no image of PNG, JPEG, BMP or GIF"), "{message}");
    let mut huge = b"BM".to_vec();
    huge.resize(54, 0);
    huge[18..26].copy_from_slice(&[255, 255, 255, 127, 255, 255, 255, 127]);
    huge[28] = 24;
    fs::write(&broken, huge).unwrap();
    let message = read_image(&broken, ColorMode::Rgb).unwrap_err().to_string();
    assert!(message.contains("rgb16.png") && message.contains("2147483647 × 2147483647 pixels"), "{message}");

    let folder = || ImageFolder::new(root.path()).unwrap();
    let says = |error: Error, words: &str| assert!(error.message().contains(words), "{error}");
    says(folder().select_classes(["ant", "bea"]).unwrap_err(), "there is no class `bea`; did you mean `bee`?");
    says(folder().label_mode(LabelMode::Binary).dataset().unwrap_err(), "binary labels need two classes");
    says(folder().split(1.0, Subset::Training).unwrap_err(), "above 0 and below 1, found 1");
    says(folder().split(1e-9, Subset::Validation).unwrap_err(), "no image is left for Validation");
    says(ImageFolder::new(root.path().join("wasp")).unwrap_err(), "has no directories with files of bmp, gif");
    says(ImageFolder::without_classes(root.path().join("wasp")).unwrap_err(), "has no files of bmp, gif");
    says(ImageFolder::new(root.path().join("nowhere")).unwrap_err(), "nowhere");
    let none = folder().image_size([0, 3]).interpolation(Interpolation::Nearest).dataset().unwrap();
    assert!(none.iter().next().unwrap().unwrap_err().to_string().contains("gray.png"));
}

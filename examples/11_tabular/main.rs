//! 11. Tables: words and numbers side by side. To which of three species does a penguin belong?
//!
//! `bash examples/11_tabular/fetch.sh`, and then `cargo run --release --example 11_tabular`

use modulor::data::Csv;
use modulor::keras::library::{Embedding, Normalization, concatenate};
use modulor::keras::model::Summarize;
use modulor::prelude::*;
use std::path::Path;

const SPECIES: [&str; 3] = ["Adelie", "Chinstrap", "Gentoo"];
const ISLANDS: [&str; 3] = ["Biscoe", "Dream", "Torgersen"];
/// Of some penguins it was not found out.
const SEXES: [&str; 3] = ["NA", "female", "male"];
const MEASURES: [&str; 4] = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"];

/// What is seen of penguins, or the symbols of that: what the model takes is a struct.
#[derive(Structure, Clone)]
struct Penguin {
    island: Tensor,
    sex: Tensor,
    measures: Tensor,
}

/// All penguins that were measured, with the numbers of their species.
fn penguins(path: &Path) -> Result<(Penguin, Tensor)> {
    let mut table = Csv::new(path);
    // A measure that is missing is `NA`, so that none of these is a number yet.
    for name in MEASURES {
        table = table.dtype(name, DType::String);
    }
    let columns = table.columns()?;
    let text = |name: &str| -> Result<Vec<String>> {
        let fields = columns[name].to_strings()?;
        Ok(fields.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect())
    };
    let number = |words: &[&str], word: &str| words.iter().position(|known| *known == word).unwrap_or(0) as i32;

    let (species, islands, sexes) = (text("species")?, text("island")?, text("sex")?);
    let measures = MEASURES.iter().map(|name| text(name)).collect::<Result<Vec<_>>>()?;
    let (mut of_species, mut island, mut sex, mut numbers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in 0..species.len() {
        let Ok(row_of) = measures.iter().map(|column| column[row].parse::<f32>()).collect::<Result<Vec<_>, _>>() else {
            continue;
        };
        numbers.extend(row_of);
        of_species.push(number(&SPECIES, &species[row]));
        island.push(number(&ISLANDS, &islands[row]));
        sex.push(number(&SEXES, &sexes[row]));
    }
    let measures = Tensor::new([of_species.len(), MEASURES.len()], numbers)?;
    Ok((Penguin { island: Tensor::from(island), sex: Tensor::from(sex), measures }, Tensor::from(of_species)))
}

fn main() -> Result<()> {
    set_seed(1);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/11_tabular/data/penguins.csv");
    let (all, species) = penguins(&path).map_err(|error| error.note("examples/11_tabular/fetch.sh brings it"))?;

    // Every fourth one is held out.
    let count = species.dims()?[0] as i64;
    let (test, train): (Vec<i64>, Vec<i64>) = (0..count).partition(|at| at % 4 == 0);
    let rows = |numbers: Vec<i64>| {
        let numbers = Tensor::from(numbers);
        Ok::<_, Error>((all.replace(&mut |column| column.gather(&numbers, 0))?, species.gather(&numbers, 0)?))
    };
    let ((test, test_species), (train, train_species)) = (rows(test)?, rows(train)?);

    // Words become vectors, which are learnt; numbers are brought to one scale, which is measured beforehand.
    let word = |name: &str| Input::with_shape(Shape::of_rank(0)).dtype(DType::I32).name(name).build();
    let fed =
        Penguin { island: word("island"), sex: word("sex"), measures: Input::with_shape([4]).name("measures").build() };
    let scaled = Normalization::new();
    scaled.adapt([&train.measures])?;
    let island = Embedding::new(ISLANDS.len(), 2).named("island_vector").call(&fed.island)?;
    let sex = Embedding::new(SEXES.len(), 2).named("sex_vector").call(&fed.sex)?;
    let seen = concatenate([&island, &sex, &scaled.call(&fed.measures)?], -1)?;
    let hidden = Dense::new(16).activation("relu").named("hidden").call(&seen)?;
    let answer = Dense::new(SPECIES.len()).activation("softmax").named("species").call(&hidden)?;
    let model = Model::new(&fed, &answer)?;
    println!("{}", model.summary());

    let loss = "sparse_categorical_crossentropy";
    let mut trainer = model.compile(Adam::new().learning_rate(0.01), loss)?.metrics(["accuracy"])?;
    let history = trainer.fit(&train, &train_species).batch_size(16).epochs(20).verbose(0).run()?;
    println!("the loss went from {:.3} to {:.3}", history["loss"][0], history["loss"][19]);

    let answers = trainer.predict(&test).verbose(0).run()?;
    let (likely, kinds) = (answers.max(-1)?.to_vec::<f32>()?, answers.argmax(-1)?.to_vec::<i64>()?);
    for at in (0..likely.len()).step_by(20) {
        println!(
            "number {at} is of the species {}, with a probability of {:.2}",
            SPECIES[kinds[at] as usize], likely[at]
        );
    }
    let found = trainer.evaluate(&test, &test_species).verbose(0).run()?;
    println!("test accuracy: {:.4}", found["accuracy"]);
    Ok(())
}

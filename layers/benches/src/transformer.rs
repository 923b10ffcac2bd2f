//! A language model: causal attention, layers normalized before they are applied.

use crate::data::{self, BATCHES};
use crate::measure::Report;
use crate::training::Training;
use modulor::keras::library::{Embedding, LayerNormalization};
use modulor::prelude::*;

const WORDS: usize = 256;
const LENGTH: usize = 128;
const WIDTH: usize = 128;
const HEADS: usize = 4;
const BLOCKS: usize = 4;

/// Attention whose queries, keys and values are one product.
#[derive(Module)]
struct SelfAttention {
    projection: Dense,
    output: Dense,
}

impl Layer for SelfAttention {
    /// `[batch, length, width]`, as is the result.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let dims = [-1, LENGTH as i64, 3, HEADS as i64, (WIDTH / HEADS) as i64];
        let parts = self.projection.call(x)?.reshape(dims)?.unstack(2)?;
        let y = parts[0].dot_product_attention(&parts[1], &parts[2], None, None, None, true)?;
        self.output.call(&y.reshape([-1, LENGTH as i64, WIDTH as i64])?)
    }
}

#[derive(Module)]
struct Block {
    norm_1: LayerNormalization,
    attention: SelfAttention,
    norm_2: LayerNormalization,
    wide: Dense,
    narrow: Dense,
}

impl Block {
    fn begin() -> Block {
        Block {
            norm_1: LayerNormalization::new().epsilon(1e-5),
            attention: SelfAttention { projection: Dense::new(3 * WIDTH), output: Dense::new(WIDTH) },
            norm_2: LayerNormalization::new().epsilon(1e-5),
            wide: Dense::new(4 * WIDTH),
            narrow: Dense::new(WIDTH),
        }
    }
}

impl Layer for Block {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.add(self.attention.call(&self.norm_1.call(x)?)?)?;
        let wide: Tensor = self.wide.call(&self.norm_2.call(&x)?)?;
        x.add(self.narrow.call(&wide.gelu(true)?)?)
    }
}

#[derive(Module)]
struct Transformer {
    #[variable(shape = [LENGTH, WIDTH], init = Zeros)]
    places: Variable,
    words: Embedding,
    blocks: Vec<Block>,
    norm: LayerNormalization,
    answer: Dense,
}

impl Layer for Transformer {
    fn forward(&self, words: &Tensor) -> Result<Tensor> {
        let mut x = self.words.call(words)?.add(&self.places)?;
        for block in &self.blocks {
            x = block.call(&x)?;
        }
        self.answer.call(&self.norm.call(&x)?)
    }
}

/// The names of the weights in their file, in Keras's order.
fn names() -> Vec<String> {
    let of_block = ["ln1.g", "ln1.b", "wqkv", "bqkv", "wo", "bo", "ln2.g", "ln2.b", "w1", "b1", "w2", "b2"];
    let before = ["pos", "tok"].map(str::to_owned);
    let blocks = (0..BLOCKS).flat_map(|at| of_block.map(|name| format!("{at}.{name}")));
    before.into_iter().chain(blocks).chain(["lnf.g", "lnf.b", "head", "headb"].map(str::to_owned)).collect()
}

pub fn train(report: &Report) -> Result<()> {
    let words = data::open("seqs")?.read("tokens")?;
    let batch = |at: usize| Ok((words.slice((at, .., ..-1))?, words.slice((at, .., 1..))?));
    let batches = (0..BATCHES).map(batch).collect::<Result<Vec<_>>>()?;

    let model = Transformer::new(
        Embedding::new(WORDS, WIDTH),
        (0..BLOCKS).map(|_| Block::begin()).collect(),
        LayerNormalization::new().epsilon(1e-5),
        Dense::new(WORDS),
    );
    model.call(&batches[0].0)?;
    data::set_weights(&model, "gpt", &names())?;
    Training::new(model, AdamW::new().weight_decay(0.01).epsilon(1e-12)).measure(report, &batches)
}

//! Models of known architectures, written as structs: outputs, gradients and what they learn beside Keras's.

use super::layer::Named;
use super::*;
use modulor::keras::library::{
    BatchNormalization, Bidirectional, Conv1D, Conv2D, Conv2DTranspose, Conv3D, ConvLSTM2D, Dense, DepthwiseConv2D,
    Embedding, Flatten, GRU, GlobalAveragePooling2D, GlobalAveragePooling3D, GlobalMaxPooling3D, GroupNormalization,
    LSTM, LayerNormalization, LeakyReLU, MaxPooling2D, MergeMode, MultiHeadAttention, PReLU, Padding, ReLU,
    SeparableConv2D, TimeDistributed, UnitNormalization, add, concatenate, multiply,
};
use modulor::keras::regularizer::L1;
use modulor::tape::Source;
use modulor::{Call, Layer, ModuleExt, Structure, collecting_losses, scope};
use std::collections::BTreeMap;

/// A convolution without a bias.
fn conv(filters: usize, size: usize) -> Conv2D {
    Conv2D::new(filters, size).padding(Padding::Same).use_bias(false)
}

/// He et al. 2015.
#[derive(Module)]
#[module(package = "models")]
struct ResidualNetwork {
    stem: Conv2D,
    stem_norm: BatchNormalization,
    block_1: ResidualBlock,
    block_2: ResidualBlock,
    head: Dense,
}

#[derive(Module)]
#[module(package = "models")]
struct ResidualBlock {
    conv_1: Conv2D,
    norm_1: BatchNormalization,
    conv_2: Conv2D,
    norm_2: BatchNormalization,
    shortcut: Option<Conv2D>,
    shortcut_norm: Option<BatchNormalization>,
}

impl ResidualBlock {
    fn of(filters: usize, strides: usize) -> Self {
        ResidualBlock {
            conv_1: conv(filters, 3).strides(strides),
            norm_1: BatchNormalization::new(),
            conv_2: conv(filters, 3),
            norm_2: BatchNormalization::new(),
            shortcut: (strides > 1).then(|| conv(filters, 1).strides(strides)),
            shortcut_norm: (strides > 1).then(BatchNormalization::new),
        }
    }
}

impl Layer for ResidualBlock {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.norm_1.call(&self.conv_1.call(x)?)?.relu()?;
        let y = self.norm_2.call(&self.conv_2.call(&y)?)?;
        match (&self.shortcut, &self.shortcut_norm) {
            (Some(shortcut), Some(norm)) => y.add(norm.call(&shortcut.call(x)?)?)?.relu(),
            _ => y.add(x)?.relu(),
        }
    }
}

impl Layer for ResidualNetwork {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.stem_norm.call(&self.stem.call(x)?)?.relu()?;
        let x = self.block_2.call(&self.block_1.call(&x)?)?;
        self.head.call(&x.mean([1, 2])?)
    }
}

fn residual_network() -> ResidualNetwork {
    ResidualNetwork {
        stem: conv(4, 3),
        stem_norm: BatchNormalization::new(),
        block_1: ResidualBlock::of(4, 1),
        block_2: ResidualBlock::of(8, 2),
        head: Dense::new(5),
    }
}

/// Howard et al. 2017.
#[derive(Module)]
#[module(package = "models")]
struct SeparableNetwork {
    stem: Conv2D,
    stem_norm: BatchNormalization,
    block_1: SeparableBlock,
    block_2: SeparableBlock,
    separable: SeparableConv2D,
    pool: GlobalAveragePooling2D,
    head: Dense,
}

#[derive(Module)]
#[module(package = "models")]
struct SeparableBlock {
    depthwise: DepthwiseConv2D,
    norm_1: BatchNormalization,
    pointwise: Conv2D,
    norm_2: BatchNormalization,
    relu: ReLU,
}

impl SeparableBlock {
    fn of(filters: usize, strides: usize) -> Self {
        SeparableBlock {
            depthwise: DepthwiseConv2D::new(3).strides(strides).padding(Padding::Same).use_bias(false),
            norm_1: BatchNormalization::new(),
            pointwise: Conv2D::new(filters, 1).use_bias(false),
            norm_2: BatchNormalization::new(),
            relu: ReLU::new().max_value(6.0),
        }
    }
}

impl Layer for SeparableBlock {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.relu.call(&self.norm_1.call(&self.depthwise.call(x)?)?)?;
        self.relu.call(&self.norm_2.call(&self.pointwise.call(&x)?)?)
    }
}

impl Layer for SeparableNetwork {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.stem_norm.call(&self.stem.call(x)?)?.relu6()?;
        let x = self.separable.call(&self.block_2.call(&self.block_1.call(&x)?)?)?;
        self.head.call(&self.pool.call(&x)?)
    }
}

fn separable_network() -> SeparableNetwork {
    SeparableNetwork {
        stem: conv(4, 3).strides(2),
        stem_norm: BatchNormalization::new(),
        block_1: SeparableBlock::of(6, 1),
        block_2: SeparableBlock::of(8, 2),
        separable: SeparableConv2D::new(6, 3).padding(Padding::Same).activation("silu"),
        pool: GlobalAveragePooling2D::new(),
        head: Dense::new(4).activation("softmax"),
    }
}

/// A classifier of sentences.
#[derive(Module)]
#[module(package = "models")]
struct BidirectionalGru {
    embedding: Embedding,
    bidirectional_1: Bidirectional,
    bidirectional_2: Bidirectional,
    head: Dense,
}

impl Layer for BidirectionalGru {
    fn forward(&self, words: &Tensor) -> Result<Tensor> {
        let x = self.bidirectional_1.call(&self.embedding.call(words)?)?;
        self.head.call(&self.bidirectional_2.call(&x)?)
    }
}

fn bidirectional_gru() -> BidirectionalGru {
    BidirectionalGru {
        embedding: Embedding::new(11, 4).mask_zero(true),
        bidirectional_1: Bidirectional::new(GRU::new(3).return_sequences(true)).expect("a layer of the library"),
        bidirectional_2: Bidirectional::new(GRU::new(4)).expect("a layer of the library").merge_mode(MergeMode::Sum),
        head: Dense::new(2),
    }
}

/// Vaswani et al. 2017, the decoder.
#[derive(Module)]
#[module(package = "models")]
struct Transformer {
    tokens: Embedding,
    places: Embedding,
    block_1: TransformerBlock,
    block_2: TransformerBlock,
    norm: LayerNormalization,
    head: Dense,
}

#[derive(Module)]
#[module(package = "models")]
struct TransformerBlock {
    norm_1: LayerNormalization,
    attention: MultiHeadAttention,
    norm_2: LayerNormalization,
    up: Dense,
    down: Dense,
}

impl TransformerBlock {
    fn of(width: usize) -> Self {
        TransformerBlock {
            norm_1: LayerNormalization::new(),
            attention: MultiHeadAttention::new(2, 3),
            norm_2: LayerNormalization::new(),
            up: Dense::new(2 * width).activation("gelu"),
            down: Dense::new(width),
        }
    }
}

impl Layer for TransformerBlock {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.norm_1.call(x)?;
        let x = add([x, &self.attention.causal().call((&y, &y))?])?;
        let y = self.down.call(&self.up.call(&self.norm_2.call(&x)?)?)?;
        add([&x, &y])
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}

impl Layer for Transformer {
    fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        let places = tokens.zeros_like()?.add(Tensor::from([0, 1, 2, 3, 4, 5]))?;
        // The sum has a mask only where both of its terms have one.
        let x = add([&self.tokens.call(tokens)?, &self.places.call(&places)?])?;
        let x = self.block_2.call(&self.block_1.call(&x)?)?;
        self.head.call(&self.norm.call(&x)?)
    }
}

fn transformer() -> Transformer {
    Transformer {
        tokens: Embedding::new(13, 8).mask_zero(true),
        places: Embedding::new(6, 8),
        block_1: TransformerBlock::of(8),
        block_2: TransformerBlock::of(8),
        norm: LayerNormalization::new(),
        head: Dense::new(13),
    }
}

/// Shi et al. 2015.
#[derive(Module)]
#[module(package = "models")]
struct ConvolutionalLstm {
    lstm_1: ConvLSTM2D,
    norm: BatchNormalization,
    lstm_2: ConvLSTM2D,
    head: Conv3D,
}

impl Layer for ConvolutionalLstm {
    fn forward(&self, film: &Tensor) -> Result<Tensor> {
        let x = self.norm.call(&self.lstm_1.call(film)?)?;
        self.head.call(&self.lstm_2.call(&x)?)
    }
}

fn convolutional_lstm() -> ConvolutionalLstm {
    let lstm = |filters: usize| ConvLSTM2D::new(filters, 3).padding(Padding::Same).return_sequences(true);
    ConvolutionalLstm {
        lstm_1: lstm(3),
        norm: BatchNormalization::new(),
        lstm_2: lstm(2),
        head: Conv3D::new(1, 3).padding(Padding::Same).activation("sigmoid"),
    }
}

/// Ronneberger et al. 2015.
#[derive(Module)]
#[module(package = "models")]
struct UNet {
    left: Conv2D,
    down: MaxPooling2D,
    bottom: Conv2D,
    up: Conv2DTranspose,
    right: Conv2D,
    right_relu: PReLU,
    head: Conv2D,
}

impl Layer for UNet {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let left = self.left.call(x)?;
        let x = self.up.call(&self.bottom.call(&self.down.call(&left)?)?)?;
        let x = self.right.call(&concatenate([&left, &x], -1)?)?;
        self.head.call(&self.right_relu.call(&x)?)
    }
}

fn u_net() -> UNet {
    UNet {
        left: Conv2D::new(3, 3).padding(Padding::Same).activation("relu"),
        down: MaxPooling2D::new(),
        bottom: Conv2D::new(5, 3).padding(Padding::Same).activation("elu"),
        up: Conv2DTranspose::new(3, 2).strides(2),
        right: Conv2D::new(3, 3).padding(Padding::Same),
        right_relu: PReLU::new().shared_axes(vec![1, 2]),
        head: Conv2D::new(1, 1).activation("sigmoid"),
    }
}

/// Sutskever et al. 2014.
#[derive(Module)]
#[module(package = "models")]
struct EncoderDecoder {
    encoder: LSTM,
    decoder: LSTM,
    head: TimeDistributed,
}

impl Layer<(Tensor, Tensor), Tensor> for EncoderDecoder {
    fn forward(&self, (source, target): &(Tensor, Tensor)) -> Result<Tensor> {
        let (_, states) = self.encoder.with_states().call(&(source.clone(), None))?;
        let (x, _) = self.decoder.with_states().call(&(target.clone(), Some(states)))?;
        self.head.call(&x)
    }
}

fn encoder_decoder() -> EncoderDecoder {
    EncoderDecoder {
        encoder: LSTM::new(4),
        decoder: LSTM::new(4).return_sequences(true),
        head: TimeDistributed::new(Dense::new(3).activation("softmax")),
    }
}

/// Van den Oord et al. 2016.
#[derive(Module)]
#[module(package = "models")]
struct CausalNetwork {
    stem: Conv1D,
    values: BTreeMap<String, Conv1D>,
    gates: BTreeMap<String, Conv1D>,
    mix: BTreeMap<String, Conv1D>,
    head: Conv1D,
}

impl Layer for CausalNetwork {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = self.stem.call(x)?;
        let mut skips: Option<Tensor> = None;
        for (rate, mix) in &self.mix {
            let gated = multiply([&self.values[rate].call(&x)?, &self.gates[rate].call(&x)?])?;
            let y = mix.call(&gated)?;
            x = x.add(&y)?;
            skips = Some(match skips {
                Some(skips) => skips.add(y)?,
                None => y,
            });
        }
        self.head.call(&skips.unwrap_or(x).relu()?)
    }
}

fn causal_network() -> CausalNetwork {
    let each = |make: &dyn Fn(usize) -> Conv1D| [1, 2, 4].map(|rate| (rate.to_string(), make(rate))).into();
    let causal = |rate: usize| Conv1D::new(4, 2).padding(Padding::Causal).dilation_rate(rate);
    CausalNetwork {
        stem: Conv1D::new(4, 1),
        values: each(&|rate| causal(rate).activation("tanh")),
        gates: each(&|rate| causal(rate).activation("sigmoid")),
        mix: each(&|_| Conv1D::new(4, 1)),
        head: Conv1D::new(3, 1),
    }
}

/// Hu et al. 2017.
#[derive(Module)]
#[module(package = "models")]
struct SqueezeAndExcitation {
    stem: Conv3D,
    stem_norm: GroupNormalization,
    squeeze: GlobalAveragePooling3D,
    down: Dense,
    up: Dense,
    pool: GlobalMaxPooling3D,
    head: Dense,
}

impl Layer for SqueezeAndExcitation {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.stem_norm.call(&self.stem.call(x)?)?.silu()?;
        let weights = self.up.call(&self.down.call(&self.squeeze.call(&x)?)?)?;
        self.head.call(&self.pool.call(&x.mul(weights)?)?)
    }
}

fn squeeze_and_excitation() -> SqueezeAndExcitation {
    SqueezeAndExcitation {
        stem: Conv3D::new(4, 3).padding(Padding::Same),
        stem_norm: GroupNormalization::new().groups(2),
        squeeze: GlobalAveragePooling3D::new().keepdims(true),
        down: Dense::new(2).activation("relu"),
        up: Dense::new(4).activation("sigmoid"),
        pool: GlobalMaxPooling3D::new(),
        head: Dense::new(3),
    }
}

/// Cheng et al. 2016.
#[derive(Module)]
#[module(package = "models")]
struct WideAndDeep {
    embedding: Embedding,
    flatten: Flatten,
    unit: UnitNormalization,
    deep_1: Dense,
    deep_2: Dense,
    deep_relu: LeakyReLU,
    wide: Dense,
    deep_3: Dense,
}

impl Layer<(Tensor, Tensor), Tensor> for WideAndDeep {
    fn forward(&self, (numbers, categories): &(Tensor, Tensor)) -> Result<Tensor> {
        let deep = self.flatten.call(&self.embedding.call(categories)?)?;
        let deep = self.deep_1.call(&concatenate([&deep, &self.unit.call(numbers)?], -1)?)?;
        let deep = self.deep_relu.call(&self.deep_2.call(&deep)?)?;
        self.wide.call(numbers)?.add(self.deep_3.call(&deep)?)
    }
}

fn wide_and_deep() -> WideAndDeep {
    WideAndDeep {
        embedding: Embedding::new(7, 3),
        flatten: Flatten::new(),
        unit: UnitNormalization::new(),
        deep_1: Dense::new(6).activation("selu").activity_regularizer(L1 { l1: 0.01 }),
        deep_2: Dense::new(4),
        deep_relu: LeakyReLU::new(),
        wide: Dense::new(1).kernel_regularizer("l2"),
        deep_3: Dense::new(1),
    }
}

/// Keras has no modules in modules here: the names of its layers begin with those of our blocks.
fn flat(name: &str) -> String {
    name.replace('/', "_")
}

/// Checks that a tensor is off by at most 10⁻⁵ of the greatest number in what was recorded, or by 10⁻⁶ where that is 0 but for
/// rounding, as the gradient of what a softmax does not see.
fn assert_alike(found: &Tensor, expected: &Tensor, about: &str) {
    assert_eq!(found.shape(), expected.shape(), "{about}");
    let greatest = to_f64(expected).into_iter().fold(0.0, |greatest: f64, x| greatest.max(x.abs()));
    let greatest = if greatest < 1e-12 { 0.1 } else { greatest };
    for (x, y) in to_f64(found).into_iter().zip(to_f64(expected)) {
        assert!((x - y).abs() <= 1e-5 * greatest, "{about}: {x} is not {y}, the greatest is {greatest}");
    }
}

fn check<In: Structure>(row: &Row, model: &impl Layer<In, Tensor>) {
    let about = &row.case;
    let xs: Vec<Tensor> = row.get::<Vec<Entry>>("xs").iter().map(tensor).collect();
    let tree = match &xs[..] {
        [x] => x.to_tree(),
        xs => xs.to_vec().to_tree(),
    };
    let input = In::from_tree(tree).unwrap_or_else(|e| panic!("{about}: {e}"));
    let training = row.get::<bool>("training");
    let _: Tensor = model.call(&input).unwrap_or_else(|e| panic!("{about}: {e}"));
    let weights: BTreeMap<String, Variable> = model
        .named_variables()
        .into_iter()
        .filter(|(_, variable)| variable.is_weight())
        .map(|(name, variable)| (flat(&name), variable))
        .collect();
    let recorded: Vec<Named> = row.get("weights");
    assert_eq!(weights.len(), recorded.len(), "{about}: {:?}", weights.keys());
    let variable = |named: &Named| {
        weights.get(&flat(&named.path)).unwrap_or_else(|| panic!("{about}: no {}: {:?}", named.path, weights.keys()))
    };
    for weight in &recorded {
        variable(weight).assign(&tensor(&weight.value)).unwrap_or_else(|e| panic!("{about}: {}: {e}", weight.path));
    }

    let tape = GradientTape::new();
    let floats: Vec<&Tensor> = xs.iter().filter(|x| x.dtype().is_float()).collect();
    floats.iter().for_each(|x| tape.watch(*x));
    let (computed, mut losses) = collecting_losses(|| {
        let call = || scope::with_training(training, || model.call(&input));
        tape.record(|| Ok::<(Tensor, _), modulor::Error>((call()?, model.regularization_losses()?)))
    });
    let (y, penalties) = computed.unwrap_or_else(|e| panic!("{about}: {e}"));
    losses.extend(penalties);
    assert_alike(&y, &row.tensor("y").expect("an output"), about);
    let total = |losses: &[Tensor]| losses.iter().flat_map(to_f64).sum::<f64>();
    let expected: Vec<Tensor> = row.get::<Vec<Entry>>("losses").iter().map(tensor).collect();
    assert!((total(&losses) - total(&expected)).abs() < 1e-6, "{about}: {losses:?} and {expected:?}");
    for named in row.get::<Vec<Named>>("after") {
        let value = variable(&named).value().expect("drawn");
        assert_alike(&value, &tensor(&named.value), &format!("{about}: {} after it", named.path));
    }

    let expected: Vec<Named> = row.get("weight_grads");
    let dy = row.tensor("dy").expect("a cotangent").cast(DType::F32).expect("floats");
    let mut targets = vec![(y, Some(dy))];
    targets.extend(losses.into_iter().map(|loss| (loss, None)));
    let sources = floats.iter().map(|x| *x as &dyn Source).chain(expected.iter().map(|w| variable(w) as &dyn Source));
    let found = tape.gradients_with(&targets, sources, UnconnectedGradients::Zero);
    let mut found = found.unwrap_or_else(|e| panic!("{about}: {e}")).into_iter().map(|g| g.expect("zeros at least"));
    for (i, gradient) in row.get::<Vec<Entry>>("x_grads").iter().enumerate() {
        assert_alike(&found.next().expect("one for each"), &tensor(gradient), &format!("{about}: input {i}"));
    }
    for (named, found) in expected.iter().zip(found) {
        assert_alike(&found, &tensor(&named.value), &format!("{about}: gradient of {}", named.path));
    }
}

#[test]
fn whole_models_are_kerass() {
    let mut met = BTreeSet::new();
    for row in rows("model") {
        let name: String = row.get("model");
        match name.as_str() {
            "residual network" => check(row, &residual_network()),
            "depthwise separable network" => check(row, &separable_network()),
            "bidirectional GRU" => check(row, &bidirectional_gru()),
            "causal transformer" => check(row, &transformer()),
            "convolutional LSTM" => check(row, &convolutional_lstm()),
            "U-Net" => check(row, &u_net()),
            "encoder and decoder" => check(row, &encoder_decoder()),
            "dilated causal network" => check(row, &causal_network()),
            "squeeze and excitation" => check(row, &squeeze_and_excitation()),
            "wide and deep" => check(row, &wide_and_deep()),
            other => panic!("no model for {other}"),
        }
        met.insert(name);
    }
    assert_eq!(met.len(), 10, "{met:?}");
}

//! The compute kernels of Modulor: functions on slices and strides that know no tensor.
//!
//! A [`Number`] is a type with kernels; a [`Strided`] is how they see their inputs. Results are the same bits in every build,
//! on any number of threads, for a view and for its copy, on every machine with fused multiply-add; without it, products of
//! floats round once more (see [`InstructionSet`]). Nothing here allocates but [`Packed`] factors: outputs and scratch are the
//! caller's, and a function beside each kernel says how much scratch it wants.
//!
//! | kernels | where |
//! |---|---|
//! | elementwise, comparisons, reductions, running totals, products of matrices | [`Number`] |
//! | expressions of several elementwise steps | [`Expression`] |
//! | softmax, cross entropies, optimizers' steps, products with an [`Epilogue`], [`Packed`] factors | [`Float`] |
//! | convolution, depthwise convolution, pooling, over a [`Window`] | [`Convolution`], [`Depthwise`], [`Pooling`] |
//! | moments, layer, RMS and batch normalisation | [`Normalization`] |
//! | scaled dot product attention | [`Attention`] |
//! | LSTM and GRU over a sequence | [`Recurrence`] |
//! | QR, Cholesky and LU decompositions, eigenvalues and singular values | [`qr`], [`cholesky`], [`lu`], [`jacobi`] |
//! | random numbers and distributions | [`random`], [`distribution`] |
//! | the loss of connectionist temporal classification | [`ctc`] |
//! | images of other sizes, under projective maps, in other colors | [`Resize`], [`Resampling`], [`Sampling`], [`Projected`], [`Color`] |
//!
//! # Instruction sets
//!
//! Each kernel is compiled for AVX-512, for AVX2 with fused multiply-add, and as portable Rust; the first call finds out which
//! the machine has, so no flag of the compiler is needed. Most are one body of plain Rust over arrays of 16 lanes, which the
//! compiler turns into the vectors of each set; the tiles of products are written in vectors. AVX2 takes two registers where
//! AVX-512 takes one, and adds in the same order, so that both give the same bits.
//!
//! # The order of sums
//!
//! It follows from the shape alone. A product adds blocks of some terms, the blocks of a panel, the panels of a chunk, and
//! the chunks, each in order; a reduction adds in 16 lanes that are joined in a tree, and where it is long in segments that are joined
//! in order. So threads may share a sum, since it is cut where it would be cut anyway, and a row has the same bits alone and in
//! a batch. Blocks are short because that bounds the error: most sums err by less than the rounding of their terms.
//!
//! # Products
//!
//! A tile of 12 rows and 32 columns (AVX-512, float32) is kept in registers while places along k go by. The right factor is
//! packed in strips, a panel of 384 places at a time, so that it stays in the second cache, and the left one some rows at a time;
//! whichever already lies well is read as it lies, so no transpose is ever copied as a whole. What is packed next is asked for
//! meanwhile. Tiles that lie side by side are one call, and four places along k are written out: where other processes take a
//! share of what a core can begin, or additions of addresses begin where products would, each instruction beside the products
//! costs. Tall tiles of AVX-512 whose left factor is read as it lies are written in assembly for that. Thin products have tiles
//! of their own. Where the product is small and k long, as in gradients of weights, chunks of k are given to threads. An
//! [`Epilogue`] is applied to some rows at a time while they are in the first cache.
//!
//! A convolution is a product whose left factor is the patches of the images, which are never in memory as a whole. Where
//! channels, or a row's positions, lie at equal steps, tiles read them where they lie, a segment at a time, padding from a place
//! of zeros; else they are packed from the images straight into the panels. Its gradient by the input is one product for each
//! remainder of a place by the strides, so that nothing is multiplied by inserted zeros. Its gradient by filters over few
//! channels that come first is no product of panels but sums of lanes, as all of one factor would have to be turned.
//!
//! # Expressions
//!
//! An [`Expression`] runs elementwise steps one after the other over a tile that stays in the first cache, each by the same
//! function that runs it alone, or two sums or products in one pass. So what is fused has the bits of what is not, and only
//! memory is read less often; where that is far away, tiles are shorter, and the next one is asked for between the steps.
//!
//! Subnormal numbers are numbers like others, and no state of the processor is changed for them. One of Intel's stops for some 150
//! cycles at each vector of products that has one, so where some were met with, the products of float32 that follow, and those in
//! the gradients of tanh and sigmoid, are rounded by additions of greater numbers, to the same bits: 4 times as long as usual, and
//! not 35 times.
//!
//! # Threads
//!
//! A region is a number of chunks, claimed from a counter by the caller and by helpers. Helpers look for the next region for
//! some 50 µs after the end of one, at most a millisecond after their own last chunk, and then sleep. The caller waits only
//! for chunks that somebody has begun, so that it can do all alone, any number of threads may have regions, chunks may have
//! regions of their own, and other processes that take the helper's core cost little more than that core. Kernels ask for
//! help where the work is worth it. [`set_num_threads`] says how many.
//!
//! # Figures
//!
//! Measured on two quiet cores (Zen 4, AVX-512) by the program in `core/benches/kernels`, whose page has more of them:
//!
//! | | |
//! |---|---|
//! | products of float32, 22 shapes, one thread | 0.98 of the best of gemm, faer and matrixmultiply for each shape in geometric mean, 0.87 at least |
//! | the same, two threads | 1.40 of the best for each shape in geometric mean, 0.92 at least |
//! | convolution, 3×3 and 1×1, both formats, forward and backward, one thread | 70 to 107 % of the rate of the product of its sizes, more for the input's gradient of one channel; the filters' gradient over one channel that comes first 70 %, on two cores of Zen 3 that others use too |
//! | the same, two threads | 69 to 106 %, that 65 to 101 % on those cores |
//! | exp, erf | 0.20, 0.46 ns per element, 21 and 34 times as fast as libm's functions |
//! | tanh, on two cores of Zen 3 (AVX2) that others use too | 0.36 to 0.40 ns per element, 59 to 63 times as fast as libm's |
//! | a region of the pool | 15 ns where one thread has it all, 0.2 to 1 µs where two meet |
//! | products beside two busy processes | 90 to 93 % of a fair share of the cores |

mod area;
mod attention;
mod cast;
pub mod cholesky;
mod color;
mod complex;
mod convolution;
pub mod ctc;
mod depthwise;
mod dispatch;
pub mod distribution;
mod elimination;
mod expression;
mod float;
mod fold;
mod instruction_set;
mod integer;
pub mod jacobi;
mod logic;
pub mod lu;
mod matmul;
mod narrow;
mod normalization;
mod number;
mod operation;
mod parts;
mod pool;
mod pooling;
mod projection;
pub mod qr;
pub mod random;
mod recurrence;
mod resize;
mod rows;
mod sampling;
mod sliding;
mod softmax;
mod strided;
mod subnormal;
mod transcendental;
pub mod triangular;
mod update;
mod window;

pub use area::{Area, area_means};
pub use attention::{Attention, Scores};
pub use cast::cast;
pub use color::Color;
pub use convolution::{Convolution, Filters};
pub use depthwise::Depthwise;
pub use expression::{Expression, InvalidExpression, Output, Register, Source, Step};
#[doc(hidden)]
pub use instruction_set::with_instruction_set;
pub use instruction_set::{InstructionSet, instruction_set};
pub use logic::{fold_logical, logical, not, select};
pub use matmul::{Epilogue, Packed};
pub use normalization::Normalization;
pub use number::{Float, Number};
pub use operation::{Binary, Compare, Fault, Fold, Logical, Test, Unary, Unsupported, Update};
#[doc(hidden)]
pub use parts::{Matrix, Rows, divide_slice, each_row, each_row_with, run_parts};
pub use pool::run as run_region;
pub use pool::{num_threads, set_num_threads};
pub use pooling::{MaxPooling, NotInWindow, Pooling};
pub use projection::{FillMode, Projected, Projection};
pub use recurrence::{Cell, Gradients, Recurrence, Sequence, Sizes};
pub use resize::{Grid, Interpolation, Resampling, Resize, Resized};
pub use rows::{NoSuchRow, gather_rows, scatter_rows};
pub use sampling::{Sampling, SamplingKernel};
pub use strided::{Strided, copy, place};
pub use window::{Axis, Format, Images, Padding, Window};

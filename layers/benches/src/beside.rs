//! Models of parts that use one thread each: a recurrence in both directions over one sample, and two towers of small layers.

use crate::measure::Report;
use modulor::keras::library::{Bidirectional, Conv2D, Dense, LSTM, Padding};
use modulor::prelude::*;

fn wave(dims: &[usize]) -> Result<Tensor> {
    Tensor::new(dims, (0..dims.iter().product()).map(|at: usize| (at as f32 * 0.37).sin()).collect::<Vec<_>>())
}

pub fn measure(report: &Report) -> Result<()> {
    let both_ways = Bidirectional::new(LSTM::new(64))?;
    let dense: Vec<Vec<Dense>> =
        (0..2).map(|_| (0..8).map(|_| Dense::new(256).activation("relu")).collect()).collect();
    let same = |filters| Conv2D::new(filters, 3).padding(Padding::Same).activation("relu");
    let convolutions: Vec<Vec<Conv2D>> = (0..2).map(|_| vec![same(16), same(16), same(16)]).collect();
    let recurrent = report.function(move |x: &Tensor| both_ways.call(x));
    let towers = report.function(move |x: &Tensor| {
        let tower = |layers: &Vec<Dense>| layers.iter().try_fold(x.clone(), |x, layer| layer.call(&x));
        Tensor::concat(&[tower(&dense[0])?, tower(&dense[1])?], -1)
    });
    let images = report.function(move |x: &Tensor| {
        let tower = |layers: &Vec<Conv2D>| layers.iter().try_fold(x.clone(), |x, layer| layer.call(&x));
        Tensor::concat(&[tower(&convolutions[0])?, tower(&convolutions[1])?], -1)
    });
    let rows = [
        ("bidirectional_us", recurrent, wave(&[1, 40, 32])?),
        ("dense_us", towers, wave(&[4, 256])?),
        ("convolution_us", images, wave(&[1, 10, 10, 16])?),
    ];
    for (name, function, x) in rows {
        let check = function(&x)?.mean(..)?.item::<f32>()?.into();
        let [middle, least, most] = report.time(|| function(&x))?.map(|seconds| seconds * 1e6);
        report.emit(name, middle, &[("min", least), ("max", most), ("check", check)]);
    }
    Ok(())
}

//! The loss of connectionist temporal classification: how unlikely labels are by any alignment with the steps of a sequence.
//!
//! Graves, Fernández, Gomez, Schmidhuber: *Connectionist temporal classification*, ICML 2006. Labels are spread over the
//! steps, each over one or more, with blanks between, before and after them where that is wanted; the probability of the
//! labels is the sum over all such alignments. All sums are of logarithms.

/// What alignments there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// The class that stands for no label.
    pub blank: usize,
    /// Whether a label may last several steps, so that equal labels one after the other need a blank between them.
    pub merge_repeated: bool,
}

/// The elements of scratch that [`loss`](Alignment::loss) needs for so many steps and labels.
pub fn ctc_scratch(steps: usize, labels: usize) -> usize {
    (steps + 2) * (2 * labels + 1)
}

/// `ln Σ eˣ`.
fn log_sum(x: [f64; 3]) -> f64 {
    let most = x.iter().fold(f64::NEG_INFINITY, |most, &x| if x > most || x.is_nan() { x } else { most });
    if most == f64::NEG_INFINITY {
        return most;
    }
    most + libm::log(x.iter().map(|x| libm::exp(x - most)).sum())
}

impl Alignment {
    /// What the places of an alignment are: labels, and blanks around them.
    fn class(&self, labels: &[usize], place: usize) -> usize {
        if place % 2 == 1 { labels[place / 2] } else { self.blank }
    }

    /// Whether one step may be in a place and the next one there too.
    fn stays(&self, class: usize) -> bool {
        self.merge_repeated || class == self.blank
    }

    /// Whether one step may be in a place and the next one two further on.
    fn leaps(&self, labels: &[usize], from: usize) -> bool {
        let (class, next) = (self.class(labels, from), self.class(labels, from + 2));
        next != self.blank && !(self.merge_repeated && class == next)
    }

    /// The negative logarithm of the probability of `labels`, and its gradient.
    ///
    /// `x` has a row of logits for each step, of so many classes, and is overwritten by the gradient at them. Where there are
    /// fewer steps than the labels need the loss is infinite and the gradient, as TensorFlow's, the softmax. `scratch` has as many elements as
    /// [`ctc_scratch`] says, and may hold anything.
    ///
    /// ```
    /// use modulor_kernels::ctc::{Alignment, ctc_scratch};
    ///
    /// let how = Alignment { blank: 0, merge_repeated: true };
    /// // Two steps and two equal classes: of four sequences three are the label 1, once or twice.
    /// let mut x = [0.0; 4];
    /// let loss = how.loss(&[1], 2, &mut x, &mut vec![0.0; ctc_scratch(2, 1)]);
    /// assert!((loss + (3.0_f64 / 4.0).ln()).abs() < 1e-15);
    /// assert!((x[0] - (0.5 - 1.0 / 3.0)).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    ///
    /// When a label is no class, `x` has no whole rows, or `scratch` is too short.
    pub fn loss(&self, labels: &[usize], classes: usize, x: &mut [f64], scratch: &mut [f64]) -> f64 {
        assert!(classes > 0 && x.len().is_multiple_of(classes), "rows of {classes} logits");
        assert!(self.blank < classes && labels.iter().all(|&label| label < classes), "labels below {classes}");
        let (steps, places) = (x.len() / classes, 2 * labels.len() + 1);
        let (forward, behind) = scratch[..ctc_scratch(steps, labels.len())].split_at_mut(steps * places);
        let (next, current) = behind.split_at_mut(places);
        if steps == 0 {
            return if labels.is_empty() { 0.0 } else { f64::INFINITY };
        }
        for row in x.chunks_exact_mut(classes) {
            let most = row.iter().fold(f64::NEG_INFINITY, |most, &x| if x > most || x.is_nan() { x } else { most });
            let sum = most + libm::log(row.iter().map(|x| libm::exp(x - most)).sum());
            row.iter_mut().for_each(|x| *x -= sum);
        }

        // The probability of the first labels by the first steps, of which the last is in a place.
        for place in 0..places {
            let starts = place < 2;
            forward[place] = if starts { x[self.class(labels, place)] } else { f64::NEG_INFINITY };
        }
        for step in 1..steps {
            let (before, now) = forward[(step - 1) * places..].split_at_mut(places);
            let row = &x[step * classes..][..classes];
            for place in 0..places {
                let class = self.class(labels, place);
                let there = |allowed: bool, back: usize| if allowed { before[place - back] } else { f64::NEG_INFINITY };
                let sum = log_sum([
                    there(self.stays(class), 0),
                    there(place > 0, 1),
                    there(place > 1 && self.leaps(labels, place - 2), 2),
                ]);
                now[place] = sum + row[class];
            }
        }
        let last = &forward[(steps - 1) * places..];
        let end = |back: usize| places.checked_sub(back).map_or(f64::NEG_INFINITY, |place| last[place]);
        let all = log_sum([end(1), end(2), f64::NEG_INFINITY]);
        if all == f64::NEG_INFINITY {
            x.iter_mut().for_each(|x| *x = libm::exp(*x));
            return f64::INFINITY;
        }

        // The probability of the labels after a place by the steps after one; in `next` with that of the step itself.
        for step in (0..steps).rev() {
            let row = &mut x[step * classes..][..classes];
            for place in 0..places {
                let ends = place + 2 >= places;
                let there = |allowed: bool, on: usize| if allowed { next[place + on] } else { f64::NEG_INFINITY };
                current[place] = if step + 1 == steps {
                    if ends { 0.0 } else { f64::NEG_INFINITY }
                } else {
                    log_sum([
                        there(self.stays(self.class(labels, place)), 0),
                        there(place + 1 < places, 1),
                        there(place + 2 < places && self.leaps(labels, place), 2),
                    ])
                };
            }
            for place in 0..places {
                next[place] = current[place] + row[self.class(labels, place)];
            }
            row.iter_mut().for_each(|x| *x = libm::exp(*x));
            for place in 0..places {
                row[self.class(labels, place)] -= libm::exp(forward[step * places + place] + current[place] - all);
            }
        }
        -all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits(steps: usize, classes: usize) -> Vec<f64> {
        (0..steps * classes).map(|i| libm::sin((i * i + 2 * i) as f64) * 2.0).collect()
    }

    fn loss(how: Alignment, labels: &[usize], classes: usize, x: &[f64]) -> (f64, Vec<f64>) {
        let mut gradient = x.to_vec();
        let room = ctc_scratch(x.len() / classes, labels.len());
        let loss = how.loss(labels, classes, &mut gradient, &mut vec![f64::NAN; room]);
        (loss, gradient)
    }

    /// The sum over all sequences of classes, each of which is looked at by itself.
    fn plain(how: Alignment, labels: &[usize], classes: usize, x: &[f64]) -> f64 {
        let steps = x.len() / classes;
        let mut all = 0.0;
        for number in 0..classes.pow(steps as u32) {
            let path: Vec<usize> = (0..steps).map(|step| number / classes.pow(step as u32) % classes).collect();
            let mut read = Vec::new();
            for (step, &class) in path.iter().enumerate() {
                let again = how.merge_repeated && step > 0 && path[step - 1] == class;
                if class != how.blank && !again {
                    read.push(class);
                }
            }
            if read == labels {
                let row = |step: usize| &x[step * classes..][..classes];
                let part =
                    |step: usize, class: usize| row(step)[class].exp() / row(step).iter().map(|x| x.exp()).sum::<f64>();
                all += path.iter().enumerate().map(|(step, &class)| part(step, class)).product::<f64>();
            }
        }
        -all.ln()
    }

    #[test]
    fn the_loss_is_that_of_all_sequences_and_its_gradient_its_slope() {
        for merge_repeated in [true, false] {
            for blank in [0, 2] {
                let how = Alignment { blank, merge_repeated };
                let other = 2 - blank;
                for labels in [&[][..], &[1], &[1, other], &[1, 1], &[other, 1, 1], &[1, other, 1, other]] {
                    for steps in [1, 2, 4, 6] {
                        let x = logits(steps, 3);
                        let (found, gradient) = loss(how, labels, 3, &x);
                        let expected = plain(how, labels, 3, &x);
                        if expected == f64::INFINITY {
                            assert_eq!(found, expected);
                            assert!(gradient.chunks(3).all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-15));
                            continue;
                        }
                        assert!((found - expected).abs() < 1e-12, "{how:?} {labels:?} {steps}: {found} {expected}");
                        for i in 0..x.len() {
                            let at = |step: f64| {
                                let mut x = x.clone();
                                x[i] += step;
                                loss(how, labels, 3, &x).0
                            };
                            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                            assert!((gradient[i] - slope).abs() < 1e-8, "{how:?} {labels:?} {steps} {i}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_overflows_and_nothing_is_lost() {
        let how = Alignment { blank: 0, merge_repeated: true };
        let (steps, classes) = (2000, 5);
        let x: Vec<f64> = logits(steps, classes).iter().map(|x| x * 500.0).collect();
        let (found, gradient) = loss(how, &[1, 2, 3, 4, 4, 1], classes, &x);
        // The logarithms are some millions, and their last bits some 10⁻⁹.
        assert!(found.is_finite() && gradient.iter().all(|x| x.abs() <= 1.0 + 1e-6));
        // The gradient at a step's logits sums to 0.
        assert!(gradient.chunks(classes).all(|row| row.iter().sum::<f64>().abs() < 1e-6));
    }

    #[test]
    fn no_steps_have_no_labels() {
        let how = Alignment { blank: 0, merge_repeated: true };
        assert_eq!(loss(how, &[], 2, &[]).0, 0.0);
        assert_eq!(loss(how, &[1], 2, &[]).0, f64::INFINITY);
    }
}

//! Where the boxes of a picture lie: in rows, so that lines go down, cross seldom and are straight where they can be.

/// A size that is to be placed.
pub(super) type Size = [f64; 2];

/// Where things lie. Boxes are said by the middle of their upper edge.
pub(super) struct Layout {
    pub boxes: Vec<[f64; 2]>,
    /// For each line the points that it goes through, from a lower edge to an upper one.
    pub lines: Vec<Vec<[f64; 2]>>,
    pub size: Size,
}

/// Between boxes of a row.
const BESIDE: f64 = 26.0;
/// Between rows.
const BELOW: f64 = 40.0;
/// Between a line that passes a row and what is beside it.
const PASSING: f64 = 16.0;

/// What lies in a row: a box, or a line on its way through.
#[derive(Clone, Copy)]
struct Cell {
    item: Option<usize>,
    width: f64,
}

struct Rows {
    cells: Vec<Cell>,
    rows: Vec<Vec<usize>>,
    row_of: Vec<usize>,
    above: Vec<Vec<usize>>,
    below: Vec<Vec<usize>>,
    /// For each line the cells that it goes through, ends included.
    chains: Vec<Vec<usize>>,
}

/// Lays out boxes of these sizes, each behind those that lines come from.
pub(super) fn layout(sizes: &[Size], lines: &[(usize, usize)]) -> Layout {
    let mut rows = Rows::new(sizes, lines);
    rows.untangle();
    let x = rows.across();
    rows.place(sizes, lines, &x)
}

impl Rows {
    fn new(sizes: &[Size], lines: &[(usize, usize)]) -> Rows {
        // The longest way from above; what nothing leads to stands just above what it leads to.
        let mut rank = vec![0; sizes.len()];
        for at in 0..sizes.len() {
            for &(from, to) in lines.iter().filter(|(from, _)| *from == at) {
                rank[to] = rank[to].max(rank[from] + 1);
            }
        }
        for at in (0..sizes.len()).rev() {
            let is_first = !lines.iter().any(|&(_, to)| to == at);
            let next = lines.iter().filter(|(from, _)| *from == at).map(|&(_, to)| rank[to]).min();
            if let (true, Some(next)) = (is_first, next) {
                rank[at] = next - 1;
            }
        }
        let count = rank.iter().max().map_or(0, |last| last + 1);
        let mut made = Rows {
            cells: sizes.iter().enumerate().map(|(item, size)| Cell { item: Some(item), width: size[0] }).collect(),
            rows: vec![Vec::new(); count],
            row_of: rank.clone(),
            above: vec![Vec::new(); sizes.len()],
            below: vec![Vec::new(); sizes.len()],
            chains: Vec::new(),
        };
        for (at, &row) in rank.iter().enumerate() {
            made.rows[row].push(at);
        }
        for &(from, to) in lines {
            let mut chain = vec![from];
            for row in rank[from] + 1..rank[to] {
                let cell = made.cells.len();
                made.cells.push(Cell { item: None, width: 0.0 });
                made.row_of.push(row);
                made.above.push(Vec::new());
                made.below.push(Vec::new());
                made.rows[row].push(cell);
                chain.push(cell);
            }
            chain.push(to);
            for pair in chain.windows(2) {
                made.below[pair[0]].push(pair[1]);
                made.above[pair[1]].push(pair[0]);
            }
            made.chains.push(chain);
        }
        made
    }

    /// Orders every row by where the cells that it hangs together with stand, up and down, and keeps the best order met.
    fn untangle(&mut self) {
        let mut best = (self.crossings(), self.rows.clone());
        for sweep in 0..24 {
            let order: Vec<usize> = match sweep % 2 {
                0 => (1..self.rows.len()).collect(),
                _ => (0..self.rows.len().saturating_sub(1)).rev().collect(),
            };
            for row in order {
                let next = if sweep % 2 == 0 { row - 1 } else { row + 1 };
                let mut place = vec![0.0; self.cells.len()];
                self.rows[next].iter().enumerate().for_each(|(at, &cell)| place[cell] = at as f64);
                let others = if sweep % 2 == 0 { &self.above } else { &self.below };
                let mut keyed: Vec<(f64, usize)> = Vec::new();
                for (at, &cell) in self.rows[row].iter().enumerate() {
                    let near = &others[cell];
                    let sum: f64 = near.iter().map(|&other| place[other]).sum();
                    keyed.push((if near.is_empty() { at as f64 } else { sum / near.len() as f64 }, cell));
                }
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
                self.rows[row] = keyed.into_iter().map(|(_, cell)| cell).collect();
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.rows.clone());
            }
            if best.0 == 0 {
                break;
            }
        }
        self.rows = best.1;
    }

    /// How often lines cross between rows.
    fn crossings(&self) -> usize {
        let mut place = vec![0; self.cells.len()];
        self.rows.iter().flat_map(|row| row.iter().enumerate()).for_each(|(at, &cell)| place[cell] = at);
        let mut count = 0;
        for row in &self.rows {
            let mut ends: Vec<(usize, usize)> = Vec::new();
            for &cell in row {
                ends.extend(self.below[cell].iter().map(|&to| (place[cell], place[to])));
            }
            for (at, a) in ends.iter().enumerate() {
                count += ends[at + 1..].iter().filter(|b| a.0 < b.0 && a.1 > b.1 || a.0 > b.0 && a.1 < b.1).count();
            }
        }
        count
    }

    /// The middle of each cell, from left to right: where the cells that it hangs together with would have it, as far as
    /// there is room.
    fn across(&self) -> Vec<f64> {
        let mut x = vec![0.0; self.cells.len()];
        for row in &self.rows {
            let wished: Vec<f64> = row.iter().map(|_| 0.0).collect();
            self.settle(row, &wished, &mut x);
        }
        for sweep in 0..200 {
            let order: Vec<usize> = match sweep % 2 {
                0 => (0..self.rows.len()).collect(),
                _ => (0..self.rows.len()).rev().collect(),
            };
            for row in order {
                let wish = |&cell: &usize| {
                    // The one line between two cells is to be straight.
                    let weight = |upper: usize, lower: usize| match self.below[upper].len().max(self.above[lower].len())
                    {
                        1 => 12.0,
                        _ => 1.0,
                    };
                    let above = self.above[cell].iter().map(|&other| (weight(other, cell), x[other]));
                    let below = self.below[cell].iter().map(|&other| (weight(cell, other), x[other]));
                    let near: Vec<(f64, f64)> = above.chain(below).collect();
                    let total: f64 = near.iter().map(|(weight, _)| weight).sum();
                    let sum: f64 = near.iter().map(|(weight, x)| weight * x).sum();
                    if total > 0.0 { sum / total } else { x[cell] }
                };
                let wished: Vec<f64> = self.rows[row].iter().map(wish).collect();
                self.settle(&self.rows[row], &wished, &mut x);
            }
        }
        self.straighten(&mut x);
        x
    }

    /// Puts the cells of each chain of single lines below each other, as near to where they are as there is room.
    fn straighten(&self, x: &mut [f64]) {
        let next = |cell: usize| match self.below[cell][..] {
            [below] if self.above[below].len() == 1 => Some(below),
            _ => None,
        };
        let mut place = vec![0; self.cells.len()];
        self.rows.iter().flat_map(|row| row.iter().enumerate()).for_each(|(at, &cell)| place[cell] = at);
        let follows: Vec<usize> = (0..self.cells.len()).filter_map(next).collect();
        for _ in 0..3 {
            for first in (0..self.cells.len()).filter(|cell| !follows.contains(cell)) {
                let chain: Vec<usize> = std::iter::successors(Some(first), |&cell| next(cell)).collect();
                let (mut least, mut most) = (f64::MIN, f64::MAX);
                for &cell in &chain {
                    let (row, at) = (&self.rows[self.row_of[cell]], place[cell]);
                    if let Some(&left) = at.checked_sub(1).and_then(|at| row.get(at)) {
                        least = least.max(x[left] + self.apart(left, cell));
                    }
                    if let Some(&right) = row.get(at + 1) {
                        most = most.min(x[right] - self.apart(cell, right));
                    }
                }
                if chain.len() > 1 && least <= most {
                    let mean = chain.iter().map(|&cell| x[cell]).sum::<f64>() / chain.len() as f64;
                    chain.iter().for_each(|&cell| x[cell] = mean.clamp(least, most));
                }
            }
        }
    }

    /// How far the middles of two neighbours are apart at least.
    fn apart(&self, left: usize, right: usize) -> f64 {
        let (left, right) = (self.cells[left], self.cells[right]);
        let gap = if left.item.is_some() && right.item.is_some() { BESIDE } else { PASSING };
        (left.width + right.width) / 2.0 + gap
    }

    /// Puts the cells of a row as near to where they are wished as their order and their widths allow, in the sense of least
    /// squares: neighbours that come too near are moved together.
    fn settle(&self, row: &[usize], wished: &[f64], x: &mut [f64]) {
        let mut offset = 0.0;
        let mut offsets = Vec::with_capacity(row.len());
        for (at, &cell) in row.iter().enumerate() {
            if at > 0 {
                offset += self.apart(row[at - 1], cell);
            }
            offsets.push(offset);
        }
        // Groups that stand close, by the sum of what they wish and their number.
        let mut groups: Vec<(f64, usize)> = Vec::new();
        for (wish, offset) in wished.iter().zip(&offsets) {
            let mut group = (wish - offset, 1);
            while let Some(&(sum, count)) = groups.last()
                && sum / count as f64 > group.0 / group.1 as f64
            {
                groups.pop();
                group = (group.0 + sum, group.1 + count);
            }
            groups.push(group);
        }
        let starts = groups.iter().flat_map(|&(sum, count)| std::iter::repeat_n(sum / count as f64, count));
        for ((&cell, start), offset) in row.iter().zip(starts).zip(offsets) {
            x[cell] = start + offset;
        }
    }

    fn place(&self, sizes: &[Size], lines: &[(usize, usize)], x: &[f64]) -> Layout {
        let left = (0..self.cells.len()).map(|cell| x[cell] - self.cells[cell].width / 2.0).fold(f64::MAX, f64::min);
        let right = (0..self.cells.len()).map(|cell| x[cell] + self.cells[cell].width / 2.0).fold(0.0, f64::max);
        let heights: Vec<f64> = self
            .rows
            .iter()
            .map(|row| {
                row.iter().filter_map(|&cell| self.cells[cell].item).map(|item| sizes[item][1]).fold(0.0, f64::max)
            })
            .collect();
        let mut top = Vec::new();
        let mut y = 0.0;
        for height in &heights {
            top.push(y);
            y += height + BELOW;
        }
        let middle = |item: usize| (heights[self.row_of[item]] - sizes[item][1]) / 2.0;
        let boxes: Vec<[f64; 2]> =
            (0..sizes.len()).map(|item| [x[item] - left, top[self.row_of[item]] + middle(item)]).collect();
        // Where several lines leave or reach a box, they stand beside each other in the order of their other ends.
        let port = |item: usize, line: usize, leaves: bool| {
            let mut ends: Vec<(f64, usize)> = Vec::new();
            for (at, &(from, to)) in lines.iter().enumerate() {
                let chain = &self.chains[at];
                match leaves {
                    true if from == item => ends.push((x[chain[1]], at)),
                    false if to == item => ends.push((x[chain[chain.len() - 2]], at)),
                    _ => {}
                }
            }
            ends.sort_by(|a, b| a.0.total_cmp(&b.0));
            let place = ends.iter().position(|&(_, at)| at == line).unwrap_or_default() as f64;
            let step = (sizes[item][0] * 0.5 / ends.len() as f64).min(22.0);
            boxes[item][0] + (place - (ends.len() as f64 - 1.0) / 2.0) * step
        };
        let line = |(at, &(from, to)): (usize, &(usize, usize))| {
            let mut points = vec![[port(from, at, true), boxes[from][1] + sizes[from][1]]];
            let chain = &self.chains[at];
            for &cell in &chain[1..chain.len() - 1] {
                let row = self.row_of[cell];
                points.extend([[x[cell] - left, top[row]], [x[cell] - left, top[row] + heights[row]]]);
            }
            points.push([port(to, at, false), boxes[to][1]]);
            points
        };
        Layout {
            lines: lines.iter().enumerate().map(line).collect(),
            boxes,
            size: [(right - left).max(0.0), (y - BELOW).max(0.0)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_straight_and_boxes_do_not_overlap() {
        let layout = layout(&[[100.0, 40.0], [60.0, 40.0], [140.0, 40.0]], &[(0, 1), (1, 2)]);
        assert!(layout.boxes.iter().all(|at| (at[0] - 70.0).abs() < 1e-6), "{:?}", layout.boxes);
        assert_eq!(layout.size, [140.0, 200.0]);
    }

    #[test]
    fn crossings_that_need_not_be_are_undone() {
        // Two lines that cross in the order in which the boxes are given.
        let lines = [(0, 3), (1, 2)];
        let mut rows = Rows::new(&[[10.0, 10.0]; 4], &lines);
        assert_eq!(rows.crossings(), 1);
        rows.untangle();
        assert_eq!(rows.crossings(), 0);
    }

    #[test]
    fn a_chain_is_straight_beside_another() {
        // Two branches, whose widest boxes are in different rows.
        let sizes = [40.0, 200.0, 210.0, 150.0, 120.0, 60.0].map(|width| [width, 40.0]);
        let layout = layout(&sizes, &[(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5)]);
        let x = |at: usize| layout.boxes[at][0];
        assert!((x(1) - x(3)).abs() < 1e-9 && (x(2) - x(4)).abs() < 1e-9, "{:?}", layout.boxes);
        assert!((x(1) - x(2)).abs() >= 205.0 + BESIDE - 1e-6);
    }

    #[test]
    fn a_line_goes_around_the_boxes_that_it_passes() {
        let sizes = [[80.0, 30.0], [80.0, 30.0], [80.0, 30.0]];
        let layout = layout(&sizes, &[(0, 1), (1, 2), (0, 2)]);
        let [passing, _] = layout.lines[2][1..3] else { panic!("it goes through two points: {:?}", layout.lines[2]) };
        assert!((passing[0] - layout.boxes[1][0]).abs() >= 40.0 + PASSING - 1e-6);
    }
}

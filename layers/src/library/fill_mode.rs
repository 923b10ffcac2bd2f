use modulor::FillMode as Mode;
use serde::{Deserialize, Serialize};

/// What lies beyond the edges of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FillMode {
    /// A number: `k k k | a b c d | k k k`.
    #[default]
    Constant,
    /// The image backwards: `c b a | a b c d | d c b`.
    Reflect,
    /// The image again: `b c d | a b c d | a b c`.
    Wrap,
    /// The place at the edge: `a a a | a b c d | d d d`.
    Nearest,
}

impl From<FillMode> for Mode {
    fn from(mode: FillMode) -> Self {
        match mode {
            FillMode::Constant => Mode::Constant,
            FillMode::Reflect => Mode::Reflect,
            FillMode::Wrap => Mode::Wrap,
            FillMode::Nearest => Mode::Nearest,
        }
    }
}

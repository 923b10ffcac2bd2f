//! What a call computes, in numbers.

use crate::Spec;

/// Ops that only move elements.
const MOVING: &[&str] = &[
    "BatchToSpaceND",
    "BroadcastTo",
    "ConcatV2",
    "DepthToSpace",
    "Diag",
    "DynamicStitch",
    "ExpandDims",
    "ExtractImagePatches",
    "Fill",
    "GatherNd",
    "GatherV2",
    "Identity",
    "IdentityN",
    "MatrixBandPart",
    "MatrixDiagV3",
    "MatrixSetDiagV3",
    "MirrorPad",
    "OnesLike",
    "Pack",
    "Pad",
    "PadV2",
    "Rank",
    "Reshape",
    "ReverseV2",
    "Roll",
    "Shape",
    "Size",
    "Slice",
    "SpaceToBatchND",
    "SpaceToDepth",
    "Split",
    "SplitV",
    "Squeeze",
    "StopGradient",
    "StridedSlice",
    "Tile",
    "Transpose",
    "Unpack",
    "ZerosLike",
];

/// The elements of a tensor; none where its dims are not all known.
pub(crate) fn elements(spec: &Spec) -> u64 {
    spec.shape.elements().map_or(0, |count| count as u64)
}

/// One operation for each element of the largest input or output, and none where elements only move.
pub(super) fn by_elements(name: &str, inputs: &[Spec], outputs: &[Spec]) -> u64 {
    match MOVING.binary_search(&name) {
        Ok(_) => 0,
        Err(_) => inputs.iter().chain(outputs).map(elements).max().unwrap_or(0),
    }
}

/// The multiplications and additions of a product into `output`, of terms along an axis of `depth`.
pub(crate) fn of_product(output: &Spec, depth: Option<usize>) -> u64 {
    2 * elements(output) * depth.unwrap_or(0) as u64
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_moves_is_found_by_name() {
        assert!(super::MOVING.is_sorted());
    }
}

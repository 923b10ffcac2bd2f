//! NumPy's array format: magic, version, a Python dict with dtype, order and shape, the elements.

use super::{Array, Result};

/// Reads versions 1 and 2, little-endian, in either order; the result is row-major.
pub fn parse(bytes: &[u8]) -> Result<Array> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("not an npy file")?;
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (u16::from_le_bytes([*a, *b]) as usize, rest),
        [2, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        [version, ..] if *version > 2 => return Err(format!("npy version {version}")),
        _ => return Err("the file ends in its header".into()),
    };
    let (header, elements) = rest.split_at_checked(length).ok_or("the file ends in its header")?;
    let header = std::str::from_utf8(header).map_err(|_| "the header is not text")?;

    let (dtype, size) = dtype(quoted(field(header, "descr")?)?)?;
    let shape = shape(field(header, "shape")?)?;
    let count = shape.iter().try_fold(size, |n, &s| n.checked_mul(s)).ok_or("the shape overflows")?;
    if elements.len() != count {
        return Err(format!("{} bytes for shape {shape:?} of {dtype}, expected {count}", elements.len()));
    }
    let bytes = match field(header, "fortran_order")? {
        order if order.starts_with("False") => elements.to_vec(),
        order if order.starts_with("True") => row_major(elements, &shape, size),
        _ => return Err("fortran_order is neither True nor False".into()),
    };
    Ok(Array { dtype: dtype.into(), shape, bytes, strings: vec![] })
}

/// What follows `'name':` in the header.
fn field<'a>(header: &'a str, name: &str) -> Result<&'a str> {
    let key = format!("'{name}':");
    let (_, value) = header.split_once(&key).ok_or_else(|| format!("the header has no {name}"))?;
    Ok(value.trim_start())
}

fn quoted(value: &str) -> Result<&str> {
    let text = value.strip_prefix('\'').and_then(|v| v.split_once('\''));
    text.map(|(text, _)| text).ok_or_else(|| "a structured dtype".into())
}

/// NumPy's name and the bytes of one element.
fn dtype(code: &str) -> Result<(&'static str, usize)> {
    Ok(match code {
        "|b1" => ("bool", 1),
        "|i1" => ("int8", 1),
        "|u1" => ("uint8", 1),
        "<i2" => ("int16", 2),
        "<u2" => ("uint16", 2),
        "<i4" => ("int32", 4),
        "<u4" => ("uint32", 4),
        "<i8" => ("int64", 8),
        "<u8" => ("uint64", 8),
        "<f2" => ("float16", 2),
        "<f4" => ("float32", 4),
        "<f8" => ("float64", 8),
        "<c8" => ("complex64", 8),
        "<c16" => ("complex128", 16),
        other => return Err(format!("dtype {other}")),
    })
}

/// `()`, `(3,)`, `(2, 3)`.
fn shape(value: &str) -> Result<Vec<usize>> {
    let inner = value.strip_prefix('(').and_then(|v| v.split_once(')'));
    let (inner, _) = inner.ok_or("the shape is not a tuple")?;
    let sizes = inner.split(',').map(str::trim).filter(|s| !s.is_empty());
    sizes.map(|s| s.parse().map_err(|_| format!("a size of {s:?}"))).collect()
}

/// Column-major elements of `size` bytes in row-major order.
fn row_major(elements: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(elements.len());
    for index in 0..elements.len() / size {
        let mut rest = index;
        let mut coordinates = vec![0; shape.len()];
        for (axis, &extent) in shape.iter().enumerate().rev() {
            coordinates[axis] = rest % extent;
            rest /= extent;
        }
        let place = coordinates.iter().zip(shape).rev().fold(0, |place, (c, extent)| place * extent + c);
        bytes.extend_from_slice(&elements[place * size..][..size]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, header: &str, elements: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        match version {
            1 => bytes.extend((header.len() as u16).to_le_bytes()),
            _ => bytes.extend((header.len() as u32).to_le_bytes()),
        }
        bytes.extend(header.bytes());
        bytes.extend(elements);
        bytes
    }

    #[test]
    fn both_versions_read_alike() {
        let header = "{'descr': '<u2', 'fortran_order': False, 'shape': (2,), }\n";
        for version in [1, 2] {
            let array = parse(&file(version, header, &[1, 0, 2, 0])).unwrap();
            assert_eq!((array.dtype.as_str(), array.shape.as_slice()), ("uint16", [2].as_slice()));
            assert_eq!(array.to_f64(), [1.0, 2.0]);
        }
    }

    #[test]
    fn column_major_elements_come_out_row_major() {
        let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 2), }\n";
        // Element (i, j, k) is written 100 i + 10 j + k.
        let column_major = [0, 100, 10, 110, 20, 120, 1, 101, 11, 111, 21, 121];
        let array = parse(&file(1, header, &column_major)).unwrap();
        assert_eq!(array.bytes, [0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121]);
    }

    #[test]
    fn a_scalar_and_an_empty_array_keep_their_shapes() {
        let array = parse(&file(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (), }", &[1])).unwrap();
        assert_eq!((array.shape.as_slice(), array.bytes.as_slice()), ([].as_slice(), [1].as_slice()));
        let array = parse(&file(1, "{'descr': '<f8', 'fortran_order': True, 'shape': (0, 3), }", &[])).unwrap();
        assert_eq!((array.shape.as_slice(), array.bytes.len()), ([0, 3].as_slice(), 0));
    }

    #[test]
    fn what_is_not_an_array_is_refused_with_the_reason() {
        let well = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }";
        let refused = |bytes: &[u8], reason: &str| {
            let error = parse(bytes).unwrap_err();
            assert!(error.contains(reason), "{error}");
        };
        refused(b"PK", "not an npy");
        refused(b"\x93NUMPY\x01", "ends in its header");
        refused(&file(1, well, &[0; 4])[..20], "ends in its header");
        refused(&file(3, well, &[0; 4]), "version 3");
        refused(&file(1, well, &[0; 3]), "expected 4");
        refused(&file(1, &well.replace("<f4", ">f4"), &[0; 4]), "dtype >f4");
        refused(&file(1, &well.replace("'<f4'", "[('a', '<f4')]"), &[0; 4]), "structured");
        refused(&file(1, &well.replace("False", "Maybe"), &[0; 4]), "neither");
        refused(&file(1, &well.replace("(1,)", "(-1,)"), &[0; 4]), "a size of");
        refused(&file(1, &well.replace("(1,)", "(9999999999, 9999999999)"), &[0; 4]), "overflows");
        refused(&file(1, "{}", &[]), "no descr");
    }
}

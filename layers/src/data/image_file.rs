//! Files of images: PNG, JPEG, BMP and GIF, decoded to bytes.

use super::file::{Compression, Source, broken};
use modulor::{Error, Result, Tensor};
use std::io::Cursor;
use std::path::Path;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// What the channels of an image are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorMode {
    /// One channel, of gray.
    Grayscale,
    /// Red, green and blue.
    #[default]
    Rgb,
    /// Red, green, blue and alpha.
    Rgba,
}

impl ColorMode {
    /// How many channels there are.
    pub fn channels(self) -> usize {
        match self {
            ColorMode::Grayscale => 1,
            ColorMode::Rgb => 3,
            ColorMode::Rgba => 4,
        }
    }
}

/// The numbers that an image may have at most.
const MOST: usize = 1 << 29;

/// An image as its file has it: 1 channel of gray, 2 of gray and alpha, 3 of colors, 4 of colors and alpha.
struct Decoded {
    rows: usize,
    columns: usize,
    channels: usize,
    bytes: Vec<u8>,
}

/// The image in a file of PNG, JPEG, BMP or GIF, uint8 of `[rows, columns, channels]`.
///
/// It is what TensorFlow's `decode_image` gives: of 16 bits the upper 8, of a GIF the first image. Colors become gray by
/// 0.299, 0.587 and 0.114 of red, green and blue, rounded down; gray becomes three equal colors; an alpha channel is left out
/// where it is not asked for, and 255 where the file has none. (TensorFlow has less for palettes and gray of fewer than 8 bits, and
/// gray of 16 bits of colors that may be greater by one.)
/// Of JPEG, numbers may be off by a few from those of other
/// decoders, as theirs are from each other.
///
/// An error names the file and what is wrong with it. An image of more than 2²⁹ numbers is refused.
///
/// ```
/// use modulor_layers::data::{ColorMode, read_image};
/// # fn main() -> modulor::Result<()> {
/// # let path = std::env::temp_dir().join(format!("pixel-{}.bmp", std::process::id()));
/// # let mut bmp = b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0".to_vec();
/// # bmp.resize(54, 0);
/// # bmp.extend([30, 20, 10, 0]);
/// # std::fs::write(&path, bmp).unwrap();
/// let image = read_image(&path, ColorMode::Rgb)?;
/// assert_eq!((image.dims()?, image.to_vec::<u8>()?), (&[1, 1, 3][..], vec![10, 20, 30]));
/// # std::fs::remove_file(path).unwrap();
/// # Ok(())
/// # }
/// ```
pub fn read_image(path: impl AsRef<Path>, mode: ColorMode) -> Result<Tensor> {
    let path = path.as_ref();
    let bytes = Source::open(path, Compression::None)?.rest()?;
    let image = decoded(path, &bytes, mode)?;
    let pixels = image.bytes.chunks_exact(image.channels).map(|pixel| match *pixel {
        [gray] => [gray, gray, gray, u8::MAX],
        [gray, alpha] => [gray, gray, gray, alpha],
        [red, green, blue] => [red, green, blue, u8::MAX],
        [red, green, blue, alpha] => [red, green, blue, alpha],
        _ => [0; 4],
    });
    let bytes = match mode {
        ColorMode::Grayscale => pixels.map(gray).collect(),
        ColorMode::Rgb => pixels.flat_map(|[red, green, blue, _]| [red, green, blue]).collect::<Vec<_>>(),
        ColorMode::Rgba => pixels.flatten().collect(),
    };
    Tensor::new([image.rows, image.columns, mode.channels()], bytes)
}

/// The gray of a color, as libpng has it.
fn gray([red, green, blue, _]: [u8; 4]) -> u8 {
    let [red, green, blue] = [red, green, blue].map(u32::from);
    ((9798 * red + 19235 * green + 3735 * blue) >> 15) as u8
}

fn decoded(path: &Path, bytes: &[u8], mode: ColorMode) -> Result<Decoded> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => png(path, bytes),
        [0xff, 0xd8, 0xff, ..] => jpeg(path, bytes, mode),
        [b'G', b'I', b'F', b'8', ..] => gif(path, bytes),
        [b'B', b'M', ..] => bmp(path, bytes),
        _ => Err(broken(path, "is no image of PNG, JPEG, BMP or GIF")),
    }
}

/// The numbers of an image, if they are not too many.
fn count(path: &Path, [rows, columns]: [usize; 2], channels: usize) -> Result<usize> {
    let count = rows.checked_mul(columns).and_then(|count| count.checked_mul(channels));
    count.filter(|&count| (1..=MOST).contains(&count)).ok_or_else(|| {
        let message =
            format!("{}: an image of {columns} × {rows} pixels, and 1 to {MOST} numbers are read", path.display());
        Error::resource_exhausted(message)
    })
}

fn png(path: &Path, bytes: &[u8]) -> Result<Decoded> {
    let refused = |error: png::DecodingError| broken(path, error);
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: MOST });
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(refused)?;
    let size = [reader.info().height as usize, reader.info().width as usize];
    let channels = reader.output_color_type().0.samples();
    let mut bytes = vec![0; count(path, size, channels)?];
    reader.next_frame(&mut bytes).map_err(refused)?;
    Ok(Decoded { rows: size[0], columns: size[1], channels, bytes })
}

fn jpeg(path: &Path, bytes: &[u8], mode: ColorMode) -> Result<Decoded> {
    let refused = |error: zune_jpeg::errors::DecodeErrors| broken(path, error);
    let options = DecoderOptions::default().set_strict_mode(true).set_max_width(MOST).set_max_height(MOST);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(refused)?;
    let colors = decoder.input_colorspace();
    // Its own gray is one of the channels that the file has.
    let is_gray = matches!(colors, Some(ColorSpace::Luma))
        || matches!(colors, Some(ColorSpace::YCbCr)) && mode == ColorMode::Grayscale;
    let (channels, out) = if is_gray { (1, ColorSpace::Luma) } else { (3, ColorSpace::RGB) };
    decoder.set_options(options.jpeg_set_out_colorspace(out));
    let (columns, rows) = decoder.dimensions().unwrap_or_default();
    let count = count(path, [rows, columns], channels)?;
    let bytes = decoder.decode().map_err(refused)?;
    match bytes.len() == count {
        true => Ok(Decoded { rows, columns, channels, bytes }),
        false => Err(broken(path, format!("{} numbers for an image of {columns} × {rows} pixels", bytes.len()))),
    }
}

fn gif(path: &Path, bytes: &[u8]) -> Result<Decoded> {
    let refused = |error: gif::DecodingError| broken(path, error);
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut reader = options.read_info(Cursor::new(bytes)).map_err(refused)?;
    let [rows, columns] = [reader.height(), reader.width()].map(usize::from);
    let mut out = vec![0; count(path, [rows, columns], 3)?];
    let frame = reader.read_next_frame().map_err(refused)?.ok_or_else(|| broken(path, "is a GIF without an image"))?;
    let (top, left, width) = (usize::from(frame.top), usize::from(frame.left), usize::from(frame.width));
    // What the first image does not cover, or leaves transparent, is black.
    for (row, line) in frame.buffer.chunks_exact((4 * width).max(1)).enumerate() {
        for (column, pixel) in line.chunks_exact(4).enumerate().filter(|(_, pixel)| pixel[3] != 0) {
            if top + row < rows && left + column < columns {
                out[3 * ((top + row) * columns + left + column)..][..3].copy_from_slice(&pixel[..3]);
            }
        }
    }
    Ok(Decoded { rows, columns, channels: 3, bytes: out })
}

/// Of 8 bits, which are gray, or of 24 or 32, not compressed, as TensorFlow reads them.
fn bmp(path: &Path, bytes: &[u8]) -> Result<Decoded> {
    let number = |at: usize| -> Result<u32> {
        let four = bytes.get(at..at + 4).and_then(|four| four.first_chunk());
        four.map(|four| u32::from_le_bytes(*four)).ok_or_else(|| broken(path, "ends in its header"))
    };
    let (start, columns, rows) = (number(10)? as usize, number(18)? as i32, number(22)? as i32);
    let (bits, compression) = (number(26)? >> 16, number(30)?);
    let channels = match bits {
        8 | 24 | 32 => bits as usize / 8,
        _ => return Err(broken(path, format!("a BMP of {bits} bits a pixel, and 8, 24 or 32 are read"))),
    };
    // Bit fields are those of 32 bits that are not told.
    if compression != 0 && !(compression == 3 && bits == 32) {
        return Err(broken(path, format!("a BMP that is compressed, by method {compression}")));
    }
    let (from_top, size) = (rows < 0, [rows.unsigned_abs() as usize, columns.max(0) as usize]);
    let mut out = Vec::with_capacity(count(path, size, channels)?.min(bytes.len()));
    let width = size[1] * channels;
    for row in 0..size[0] {
        let row = if from_top { row } else { size[0] - 1 - row };
        let line =
            start.checked_add(row * width.next_multiple_of(4)).and_then(|at| bytes.get(at..at.checked_add(width)?));
        let line = line.ok_or_else(|| broken(path, format!("ends before row {row} of {}", size[0])))?;
        let first = out.len();
        out.extend_from_slice(line);
        // Blue comes first there.
        if channels > 1 {
            out[first..].chunks_exact_mut(channels).for_each(|pixel| pixel.swap(0, 2));
        }
    }
    Ok(Decoded { rows: size[0], columns: size[1], channels, bytes: out })
}

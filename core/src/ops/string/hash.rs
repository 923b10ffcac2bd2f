//! Strings as numbers below another, and the fingerprints of anything.

use super::fingerprint::{fingerprint64, siphash};
use super::{one_string, shown, strings};
use crate::op::{
    Accuracy, Attr, Attrs, Backward, Input, Op, OpDef, allowed, apply_one, arity, at_least_rank, with_rank,
};
use crate::{DType, Error, Result, Spec, Tensor};
use std::sync::Arc;

fn buckets(attrs: &Attrs) -> Result<u64> {
    let buckets = attrs.int("num_buckets", None)?;
    match u64::try_from(buckets) {
        Ok(buckets) if buckets > 0 => Ok(buckets),
        _ => Err(Error::invalid_argument(format!("`num_buckets` must be at least 1, found {buckets}"))),
    }
}

fn key(attrs: &Attrs) -> Result<[i64; 2]> {
    let key = attrs.ints("key")?;
    key.try_into().map_err(|key: Vec<i64>| {
        Error::invalid_argument(format!("`key` is a list of 2 integers, found one of {}", key.len()))
    })
}

/// The bucket of each string, by a hash a row.
macro_rules! buckets {
    ($($op:ident { $($key:ident: $t:ty)? } |$text:ident, $of:ident| $hash:expr;)*) => {
        $(
            #[derive(Debug)]
            struct $op {
                num_buckets: u64,
                $($key: $t,)?
            }

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn attrs(&self) -> Attrs {
                    let attrs = Attrs::new().with("num_buckets", self.num_buckets as i64);
                    $(let attrs = attrs.with("key", Attr::from(&self.$key[..]));)?
                    attrs
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let [x] = arity(inputs)?;
                    strings(x.spec, "the input")?;
                    Ok(vec![Spec::new(DType::I64, &x.spec.shape)])
                }
                fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
                    let $of = self;
                    let texts = inputs[0].to_strings()?;
                    let hashes = texts.iter().map(|$text| ($hash % self.num_buckets) as i64).collect::<Vec<_>>();
                    Ok(vec![Tensor::new(inputs[0].dims()?, hashes)?])
                }
                fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
                    Ok(vec![None])
                }
            }
        )*
        pub(super) const BUCKETS: &[OpDef] = &[$(OpDef {
            name: stringify!($op),
            parse: |attrs| Ok(Arc::new($op { num_buckets: buckets(attrs)?, $($key: $key(attrs)?)? })),
            accuracy: Accuracy::Exact,
        }),*];
    };
}

buckets! {
    StringToHashBucketFast {} |text, _op| fingerprint64(text);
    StringToHashBucketStrong { key: [i64; 2] } |text, op| siphash(text, op.key.map(|word| word as u64));
}

/// A fingerprint of each part along the first axis, as 8 bytes.
#[derive(Debug, Default)]
struct Fingerprint;

impl Op for Fingerprint {
    fn name(&self) -> &'static str {
        "Fingerprint"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [data, method] = arity(inputs)?;
        allowed(data.spec.dtype, DType::has_elements, "numbers, bools and strings")?;
        at_least_rank(&data.spec.shape, 1, "the data")?;
        strings(method.spec, "the method")?;
        with_rank(&method.spec.shape, 0, "the method")?;
        if let Some(method) = method.value.map(one_string).transpose()?.filter(|method| method != b"farmhash64") {
            let found = shown(&method);
            return Err(Error::invalid_argument(format!(
                "the method of fingerprints is \"farmhash64\", found {found}"
            )));
        }
        Ok(vec![Spec::new(DType::U8, [data.spec.shape.dim(0), Some(8)])])
    }
    // The method is a string, so that this op never has buffers alone.
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let data = inputs[0];
        self.infer(&[crate::op::see(data), crate::op::see(inputs[1])])?;
        let rows = data.dims()?[0];
        let inner: usize = data.dims()?[1..].iter().product();
        let of_rows = match data.dtype() {
            DType::String => {
                let texts = data.to_strings()?;
                let one = |row: usize| match &texts[row * inner..][..inner] {
                    [text] => fingerprint64(text),
                    parts => {
                        let own: Vec<u8> = parts.iter().flat_map(|part| fingerprint64(part).to_le_bytes()).collect();
                        fingerprint64(&own)
                    }
                };
                (0..rows).map(one).collect::<Vec<_>>()
            }
            dtype => {
                let (bytes, width) = (data.to_bytes()?, inner * dtype.size());
                (0..rows).map(|row| fingerprint64(&bytes[row * width..][..width])).collect()
            }
        };
        let bytes: Vec<u8> = of_rows.into_iter().flat_map(u64::to_le_bytes).collect();
        Ok(vec![Tensor::new([rows, 8], bytes)?])
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None, None])
    }
}

impl Tensor {
    /// A number below `buckets` for each string (int64): the remainder of its FarmHash fingerprint. TensorFlow's
    /// `StringToHashBucketFast`, bit for bit.
    ///
    /// An error where there is no bucket.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::strings([3], ["a", "b", ""])?;
    /// assert_eq!(x.to_hash_bucket_fast(10)?.to_vec::<i64>()?, [9, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_hash_bucket_fast(&self, buckets: usize) -> Result<Tensor> {
        let attrs = Attrs::new().with("num_buckets", i64::try_from(buckets).unwrap_or(i64::MAX));
        let num_buckets = self::buckets(&attrs).map_err(|error| error.in_op("StringToHashBucketFast"))?;
        apply_one(StringToHashBucketFast { num_buckets }, &[self])
    }

    /// As [`to_hash_bucket_fast`](Tensor::to_hash_bucket_fast), by SipHash under a key: who does not know it cannot find
    /// strings that share a bucket. TensorFlow's `StringToHashBucketStrong`, bit for bit.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::strings([3], ["a", "b", ""])?;
    /// assert_eq!(x.to_hash_bucket_strong(10, [1, -2])?.to_vec::<i64>()?, [9, 4, 6]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_hash_bucket_strong(&self, buckets: usize, key: [i64; 2]) -> Result<Tensor> {
        let attrs = Attrs::new().with("num_buckets", i64::try_from(buckets).unwrap_or(i64::MAX));
        let num_buckets = self::buckets(&attrs).map_err(|error| error.in_op("StringToHashBucketStrong"))?;
        apply_one(StringToHashBucketStrong { num_buckets, key }, &[self])
    }

    /// The FarmHash fingerprint of each part along the first axis, as 8 bytes, the lowest first (uint8 of `[n, 8]`); of
    /// several strings that of their fingerprints. TensorFlow's `Fingerprint`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::strings([1], ["a"])?;
    /// assert_eq!(x.fingerprint()?.to_vec::<u8>()?, [227, 117, 223, 182, 101, 66, 69, 179]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn fingerprint(&self) -> Result<Tensor> {
        apply_one(Fingerprint, &[self, &Tensor::strings([], ["farmhash64"])?])
    }
}

pub(super) const OTHERS: &[OpDef] = &[OpDef::plain::<Fingerprint>("Fingerprint", Accuracy::Exact)];

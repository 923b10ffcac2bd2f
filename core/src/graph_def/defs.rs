//! What TensorFlow's registry says of ops: the names of what they take and give, and their attributes.
//!
//! `op_defs.txt` has a line for each op of the registry here and for those that a graph is held together by;
//! `tests/golden/op_defs.py`, which makes it, says how to read it.

use super::attrs;
use crate::op::{Attr, Attrs};
use crate::{DType, Error, Result};
use std::collections::HashMap;
use std::sync::OnceLock;

/// An op's line.
#[derive(Debug)]
pub(super) struct Signature {
    inputs: Vec<Arg>,
    outputs: Vec<Arg>,
    attrs: Vec<AttrDef>,
}

/// One or several tensors that an op takes or gives, under one name.
#[derive(Debug)]
struct Arg {
    name: &'static str,
    dtype: ArgType,
    /// The attribute that counts them.
    number: Option<&'static str>,
}

#[derive(Debug)]
enum ArgType {
    /// By name; it need not be one that there is here.
    Fixed(&'static str),
    /// What this attribute says.
    Attr(&'static str),
    /// What this attribute says of each.
    List(&'static str),
}

/// An attribute.
#[derive(Debug)]
pub(super) struct AttrDef {
    pub name: &'static str,
    /// As `list(int)`.
    pub kind: &'static str,
    pub default: Option<Attr>,
}

/// The line of an op.
pub(super) fn signature(op: &str) -> Option<&'static Signature> {
    static SIGNATURES: OnceLock<HashMap<&'static str, Signature>> = OnceLock::new();
    let all = SIGNATURES.get_or_init(|| include_str!("op_defs.txt").lines().filter_map(Signature::parse).collect());
    all.get(op)
}

impl Signature {
    fn parse(line: &'static str) -> Option<(&'static str, Signature)> {
        let (op, rest) = line.split_once(' ')?;
        let mut parts = rest.split('>').map(str::split_whitespace);
        let inputs = parts.next()?.map(Arg::parse).collect::<Option<_>>()?;
        let outputs = parts.next()?.map(Arg::parse).collect::<Option<_>>()?;
        let attrs = parts.next()?.map(AttrDef::parse).collect::<Option<_>>()?;
        Some((op, Signature { inputs, outputs, attrs }))
    }

    pub fn attrs(&self) -> &[AttrDef] {
        &self.attrs
    }

    /// The attributes that follow from inputs of these dtypes: `T`, `N`. Where `attrs` has the number of tensors of an
    /// argument, there must be as many.
    ///
    /// An error where the inputs are too few or too many, of a dtype that an argument does not take, or of different ones
    /// where it has to be one.
    pub fn derive(&self, dtypes: &[DType], attrs: &Attrs) -> Result<Attrs> {
        let mut derived = Attrs::new();
        let mut rest = dtypes;
        for (arg, size) in self.inputs.iter().zip(self.sizes(dtypes.len(), attrs)?) {
            let (own, others) = rest.split_at(size.min(rest.len()));
            rest = others;
            if let Some(number) = arg.number {
                derived = derived.with(number, size as i64);
            }
            match arg.dtype {
                ArgType::Fixed(name) => {
                    if let Some(found) = own.iter().find(|dtype| dtype.name() != name) {
                        return Err(Error::invalid_argument(format!("`{}` takes {name}, found {found}", arg.name)));
                    }
                }
                ArgType::List(attr) => {
                    derived = derived.with(attr, Attr::List(own.iter().map(|&dtype| Attr::Type(dtype)).collect()));
                }
                ArgType::Attr(attr) => {
                    for &dtype in own {
                        match derived.get(attr) {
                            Some(Attr::Type(other)) if *other != dtype => {
                                return Err(Error::invalid_argument(format!(
                                    "inputs must be of one dtype, attribute `{attr}`: found {other}, and {dtype} of `{}`",
                                    arg.name
                                )));
                            }
                            _ => derived = derived.with(attr, dtype),
                        }
                    }
                }
            }
        }
        Ok(derived)
    }

    /// How many tensors each input argument is, `count` in all.
    fn sizes(&self, count: usize, attrs: &Attrs) -> Result<Vec<usize>> {
        let known: Vec<Option<usize>> = self.inputs.iter().map(|arg| arg.size(attrs)).collect();
        let open = known.iter().filter(|size| size.is_none()).count();
        let total = known.iter().flatten().try_fold(0_usize, |total, &size| total.checked_add(size));
        let rest = total.and_then(|total| count.checked_sub(total));
        match rest {
            Some(0) if open == 0 => Ok(known.into_iter().flatten().collect()),
            Some(rest) if open > 0 && rest % open == 0 => {
                Ok(known.into_iter().map(|size| size.unwrap_or(rest / open)).collect())
            }
            _ => {
                let one = |(arg, size): (&Arg, &Option<usize>)| match size {
                    Some(1) => arg.name.to_owned(),
                    Some(size) => format!("{} × {size}", arg.name),
                    None => format!("{} × N", arg.name),
                };
                let names: Vec<String> = self.inputs.iter().zip(&known).map(one).collect();
                let message = format!("takes ({}), and {count} inputs were given", names.join(", "));
                Err(Error::invalid_argument(message))
            }
        }
    }

    /// Which output is the one that a function's body calls `arg:index`, and an error where there is none.
    pub fn output(&self, arg: &str, index: usize, attrs: &Attrs) -> Result<usize> {
        let mut before = 0_usize;
        for output in &self.outputs {
            let size = output.size(attrs);
            if output.name != arg {
                let size = size.ok_or_else(|| {
                    Error::invalid_argument(format!("how many tensors `{}` is, is not said", output.name))
                })?;
                before = before.saturating_add(size);
                continue;
            }
            return match size {
                Some(size) if index >= size => {
                    Err(Error::invalid_argument(format!("`{arg}` is {size} tensors, and `{arg}:{index}` was named")))
                }
                _ => Ok(before.saturating_add(index)),
            };
        }
        let names: Vec<&str> = self.outputs.iter().map(|arg| arg.name).collect();
        let message = format!("there is no output `{arg}`; {}", crate::nearest::suggestion(arg, names));
        Err(Error::invalid_argument(message))
    }

    /// What a function's body calls each of `count` outputs behind the name of the node: `arg:index`.
    pub fn output_names(&self, count: usize, attrs: &Attrs) -> Vec<String> {
        let mut names = Vec::with_capacity(count);
        for output in &self.outputs {
            let size = output.size(attrs).unwrap_or(count).min(count - names.len());
            names.extend((0..size).map(|index| format!("{}:{index}", output.name)));
        }
        names
    }

    /// An error where outputs are not of the dtypes that `attrs` say.
    pub fn check_outputs(&self, dtypes: &[DType], attrs: &Attrs) -> Result<()> {
        let mut rest = dtypes;
        for output in &self.outputs {
            let (own, others) = rest.split_at(output.size(attrs).unwrap_or(rest.len()).min(rest.len()));
            rest = others;
            for (i, &found) in own.iter().enumerate() {
                let said = match output.dtype {
                    ArgType::Fixed(name) => Some(name),
                    ArgType::Attr(attr) => dtype_of(attrs.get(attr)),
                    ArgType::List(attr) => match attrs.get(attr) {
                        Some(Attr::List(all)) => dtype_of(all.get(i)),
                        _ => None,
                    },
                };
                if let Some(said) = said.filter(|said| *said != found.name()) {
                    let message = format!("`{}` is {found}, and the attributes say {said}", output.name);
                    return Err(Error::invalid_argument(message));
                }
            }
        }
        Ok(())
    }
}

fn dtype_of(attr: Option<&Attr>) -> Option<&'static str> {
    match attr {
        Some(Attr::Type(dtype)) => Some(dtype.name()),
        _ => None,
    }
}

impl Arg {
    fn parse(word: &'static str) -> Option<Arg> {
        let (name, dtype) = word.split_once(':')?;
        let (number, dtype) = match dtype.split_once('*') {
            Some((number, dtype)) => (Some(number), dtype),
            None => (None, dtype),
        };
        let fixed = dtype.strip_prefix('[').and_then(|dtype| dtype.strip_suffix(']'));
        let dtype = match (fixed, dtype.strip_suffix("..")) {
            (Some(fixed), _) => ArgType::Fixed(fixed),
            (None, Some(list)) => ArgType::List(list),
            (None, None) => ArgType::Attr(dtype),
        };
        Some(Arg { name, dtype, number })
    }

    /// How many tensors it is, where `attrs` say it.
    fn size(&self, attrs: &Attrs) -> Option<usize> {
        match (self.number, &self.dtype) {
            (Some(number), _) => match attrs.get(number) {
                Some(Attr::Int(count)) => usize::try_from(*count).ok(),
                _ => None,
            },
            (None, ArgType::List(attr)) => match attrs.get(attr) {
                Some(Attr::List(all)) => Some(all.len()),
                _ => None,
            },
            _ => Some(1),
        }
    }
}

impl AttrDef {
    fn parse(word: &'static str) -> Option<AttrDef> {
        let (name, rest) = word.split_once(':')?;
        let (kind, default) = match rest.split_once('=') {
            Some((kind, text)) => (kind, Some(attrs::parse(kind, text)?)),
            None => (rest, None),
        };
        Some(AttrDef { name, kind, default })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Shape, registry};

    #[test]
    fn every_line_is_read_and_every_op_of_the_registry_has_one() {
        for line in include_str!("op_defs.txt").lines() {
            assert!(Signature::parse(line).is_some(), "{line}");
        }
        let missing: Vec<&str> = registry::ops().map(|op| op.name).filter(|op| signature(op).is_none()).collect();
        assert!(missing.is_empty(), "`python tests/golden/generate.py op_defs` adds {missing:?}");
    }

    #[test]
    fn defaults_are_of_all_kinds() {
        let default = |op: &str, attr: &str| {
            let attrs = signature(op).unwrap().attrs();
            attrs.iter().find(|def| def.name == attr).unwrap().default.clone()
        };
        assert_eq!(default("MatMul", "transpose_a"), Some(Attr::Bool(false)));
        assert_eq!(default("OneHot", "axis"), Some(Attr::Int(-1)));
        assert_eq!(default("LeakyRelu", "alpha"), Some(Attr::Float(0.2)));
        assert_eq!(default("Conv2D", "data_format"), Some(Attr::from("NHWC")));
        assert_eq!(default("Conv2D", "dilations"), Some(Attr::from(&[1_i64; 4][..])));
        assert_eq!(default("Tile", "Tmultiples"), Some(Attr::Type(DType::I32)));
        assert_eq!(default("Placeholder", "shape"), Some(Attr::Shape(Shape::unknown())));
        assert_eq!(default("VarHandleOp", "allowed_devices"), Some(Attr::List(Vec::new())));
        assert_eq!(default("Const", "value"), None);
    }

    #[test]
    fn attributes_follow_from_the_inputs() {
        use DType::{F32, I32, I64};
        let derive = |op: &str, dtypes: &[DType]| signature(op).unwrap().derive(dtypes, &Attrs::new());
        let shown = |op: &str, dtypes: &[DType]| format!("{:?}", derive(op, dtypes).unwrap());
        assert_eq!(shown("ConcatV2", &[F32, F32, F32, I64]), "{N=3, T=float32, Tidx=int64}");
        assert_eq!(shown("IdentityN", &[F32, I32]), "{T=[float32, int32]}");
        assert_eq!(shown("Pack", &[]), "{N=0}");
        let error = |op: &str, dtypes: &[DType]| derive(op, dtypes).unwrap_err().message().to_owned();
        assert_eq!(error("MatMul", &[F32]), "takes (a, b), and 1 inputs were given");
        assert_eq!(error("ConcatV2", &[]), "takes (values × N, axis), and 0 inputs were given");
        assert_eq!(
            error("MatMul", &[F32, I32]),
            "inputs must be of one dtype, attribute `T`: found float32, and int32 of `b`"
        );
        assert_eq!(error("Conv2DBackpropInput", &[F32, F32, F32]), "`input_sizes` takes int32, found float32");
        let two = Attrs::new().with("N", 2);
        let error = signature("Pack").unwrap().derive(&[F32], &two).unwrap_err();
        assert_eq!(error.message(), "takes (values × 2), and 1 inputs were given");
    }

    #[test]
    fn outputs_are_found_by_name() {
        let (top, split) = (signature("TopKV2").unwrap(), signature("Split").unwrap());
        let attrs = Attrs::new().with("num_split", 3);
        assert_eq!(top.output("indices", 0, &attrs).unwrap(), 1);
        assert_eq!(split.output("output", 2, &attrs).unwrap(), 2);
        assert_eq!(split.output_names(3, &attrs), ["output:0", "output:1", "output:2"]);
        assert_eq!(top.output_names(2, &attrs), ["values:0", "indices:0"]);
        assert!(split.output("output", 3, &attrs).unwrap_err().message().contains("is 3 tensors"));
        let error = top.output("indexes", 0, &attrs).unwrap_err();
        assert_eq!(error.message(), "there is no output `indexes`; did you mean `indices`?");
        let wide = attrs.with("T", DType::F32);
        assert!(split.check_outputs(&[DType::F32; 3], &wide).is_ok());
        let error = split.check_outputs(&[DType::F64; 3], &wide).unwrap_err();
        assert_eq!(error.message(), "`output` is float64, and the attributes say float32");
    }
}

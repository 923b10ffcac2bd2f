//! The text of the `checkpoint` file: TensorFlow's, read leniently as protocol buffers read it, and refused by line.

use modulor_wire::state::CheckpointState;

#[track_caller]
fn parse(text: &str) -> CheckpointState {
    CheckpointState::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn latest(path: &str) -> CheckpointState {
    CheckpointState { model_checkpoint_path: path.to_owned(), ..Default::default() }
}

#[test]
fn text_is_what_python_prints() {
    let timestamps = [
        1.0,
        0.0001,
        0.00001,
        1e16,
        9999999999999998.0,
        1.5e16,
        1e100,
        5e-324,
        f64::MAX,
        1795399355.2927241,
        123456789012345680.0,
        0.1,
        -2.5,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        0.0,
        -0.0,
        1e15,
    ];
    let state = CheckpointState {
        model_checkpoint_path: "a\"b'c\\d\n\r\t\0\u{1}\u{1F}\u{7F}\u{B} é€😀 \u{80}?".to_owned(),
        all_model_checkpoint_paths: vec![String::new(), "x y".to_owned()],
        all_model_checkpoint_timestamps: timestamps.to_vec(),
        last_preserved_timestamp: -0.0,
    };
    // Printed by protocol buffers for Python.
    let printed = "\
        1.0 0.0001 1e-05 1e+16 9999999999999998.0 1.5e+16 1e+100 5e-324 1.7976931348623157e+308 1795399355.2927241 \
        1.2345678901234568e+17 0.1 -2.5 inf -inf nan 0.0 -0.0 1000000000000000.0";
    let mut expected = "model_checkpoint_path: \"a\\\"b\\'c\\\\d\\n\\r\\t\\000\\001\\037\\177\\013 é€😀 \u{80}?\"\n\
        all_model_checkpoint_paths: \"\"\nall_model_checkpoint_paths: \"x y\"\n"
        .to_owned();
    for number in printed.split(' ') {
        expected += &format!("all_model_checkpoint_timestamps: {number}\n");
    }
    expected += "last_preserved_timestamp: -0.0\n";
    assert_eq!(state.print(), expected);
    assert_eq!(parse(&expected).print(), expected);
    assert_eq!(CheckpointState::default().print(), "");
    assert_eq!(parse(""), CheckpointState::default());
}

#[test]
fn other_forms_of_the_same_text_are_read() {
    for (text, path) in [
        ("model_checkpoint_path: \"a\" 'b'", "ab"),
        ("# c\nmodel_checkpoint_path:\"a\" # d", "a"),
        (r#"model_checkpoint_path: "\u00e9\U0001F600\x41\101\1012\?\a""#, "é😀AAA2?\u{7}"),
        (r#"model_checkpoint_path: "\303\251";"#, "é"),
        ("model_checkpoint_path: \"a\", other: 5 more: WORD list: [1.5, 'x', -inf] text: \"y\" \"z\"", "a"),
        ("\r\n model_checkpoint_path\t:\n'it is \"a\"'\r\n", "it is \"a\""),
    ] {
        assert_eq!(parse(text), latest(path), "{text}");
    }
    let text = "all_model_checkpoint_timestamps: [1, 2.5f, inf, -inf, 1e3, .5, 5., +5] all_model_checkpoint_paths: []";
    let expected = [1.0, 2.5, f64::INFINITY, f64::NEG_INFINITY, 1000.0, 0.5, 5.0, 5.0];
    assert_eq!(parse(text).all_model_checkpoint_timestamps, expected);
}

#[test]
fn a31_what_is_no_state_is_refused_by_line() {
    for (text, expected) in [
        (
            "model_checkpoint_path: \"a\"\nmodel_checkpoint_path: \"b\"",
            "line 2: `model_checkpoint_path` is there twice at byte 48",
        ),
        ("\n\nlast_preserved_timestamp: x", "line 3: `last_preserved_timestamp` is a number, found 'x' at byte 28"),
        ("model_checkpoint_path \"a\"", "line 1: expected `:` after `model_checkpoint_path`, found '\"' at byte 22"),
        ("model_checkpoint_path: ", "line 1: `model_checkpoint_path` is a string, the text ends at byte 23"),
        ("model_checkpoint_path: 5", "line 1: `model_checkpoint_path` is a string, found '5' at byte 23"),
        (
            "model_checkpoint_path: \"a\nb\"",
            "line 1: the string of `model_checkpoint_path` has no closing \" at byte 23",
        ),
        ("model_checkpoint_path: 'a", "line 1: the string of `model_checkpoint_path` has no closing ' at byte 23"),
        ("model_checkpoint_path: 'a\\", "line 1: the escape \\\\n is unknown at byte 26"),
        (r"model_checkpoint_path: '\q'", r"line 1: the escape \q is unknown at byte 25"),
        (r"model_checkpoint_path: '\400'", r"line 1: the escape \4 is unknown at byte 25"),
        (r"model_checkpoint_path: '\x'", r"line 1: the escape \x is unknown at byte 25"),
        (r"model_checkpoint_path: '\ud83d'", r"line 1: the escape \u is unknown at byte 25"),
        (r"model_checkpoint_path: '\u12'", r"line 1: the escape \u is unknown at byte 25"),
        (
            "all_model_checkpoint_paths: ['a',]",
            "line 1: `all_model_checkpoint_paths` is a string, found ']' at byte 33",
        ),
        (
            "all_model_checkpoint_paths: ['a' 5",
            "line 1: expected `,` or `]` in the list of `all_model_checkpoint_paths`, found '5' at byte 33",
        ),
        ("other: { x: 1 }", "line 1: the field `other` is unknown, and no number, word or string: found '{' at byte 7"),
        ("\u{1}\u{2}", "line 1: expected the name of a field, found '\\u{1}' at byte 0"),
        ("model_checkpoint_path: 'a',,", "line 1: expected the name of a field, found ',' at byte 27"),
        ("5: 1", "line 1: expected the name of a field, found '5' at byte 0"),
    ] {
        assert_eq!(CheckpointState::parse(text).unwrap_err().to_string(), expected, "{text}");
    }
    let bytes = CheckpointState::parse(r"model_checkpoint_path: '\xff'").unwrap_err();
    assert!(bytes.message().starts_with("line 1: `model_checkpoint_path` is not UTF-8: invalid"), "{bytes}");
}

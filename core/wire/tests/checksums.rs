//! Checksums of known bytes.

use modulor_wire::crc::{append, crc32c, mask, unmask};

#[test]
fn checksums_are_those_of_the_polynomial() {
    // The examples of RFC 3720, B.4.
    let ascending: Vec<u8> = (0..32).collect();
    let descending: Vec<u8> = (0..32).rev().collect();
    for (bytes, crc) in [
        (&[0; 32][..], 0x8A91_36AA),
        (&[0xFF; 32], 0x62A8_AB43),
        (&ascending, 0x46DD_794E),
        (&descending, 0x113F_DB5C),
        (b"123456789", 0xE306_9283),
        (b"", 0),
    ] {
        assert_eq!(crc32c(bytes), crc);
        for at in 0..=bytes.len() {
            assert_eq!(append(crc32c(&bytes[..at]), &bytes[at..]), crc);
        }
    }
}

#[test]
fn masks_are_tensorflows() {
    // Of a tensor without elements.
    assert_eq!(mask(0), 0xA282_EAD8);
    assert_eq!(mask(0x8000_0001), 0xA282_EAD8 + 0x0003_0000);
    for crc in [0, 1, 0x8000_0000, 0xE306_9283, u32::MAX] {
        assert_eq!(unmask(mask(crc)), crc);
    }
}

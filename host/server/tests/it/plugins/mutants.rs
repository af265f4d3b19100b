//! Files that are almost plugins: damaged by chance, or built to be compiled for a long time.

use duet_testkit::Random;

/// Damages a file in a way that the seed decides.
pub(super) fn mutant(good: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = good.to_vec();
    match seed % 5 {
        0 => bytes.truncate(random.below(good.len())),
        1 => flip(&mut bytes, 1, &mut random),
        2 => flip(&mut bytes, 16, &mut random),
        3 => {
            let at = random.below(good.len());
            let piece = random.bytes(64);
            let end = bytes.len().min(at + piece.len());
            bytes.splice(at..end, piece);
        }
        _ => {
            let (from, to) = (random.below(good.len()), random.below(good.len()));
            bytes.drain(from.min(to)..from.max(to).min(from.min(to) + 16));
        }
    }
    bytes
}

fn flip(bytes: &mut [u8], count: usize, random: &mut Random) {
    for _ in 0..count {
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
    }
}

/// Replaces bytes with as many others wherever they occur.
pub(super) fn patched(good: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = good.to_vec();
    let places: Vec<usize> = good.windows(from.len()).enumerate().filter(|(_, w)| *w == from).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "{} is not there", String::from_utf8_lossy(from));
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

/// Code that is slow to compile for its size.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bomb {
    /// `if` in `if` in `if`.
    Nested,
    /// Jump tables with many targets.
    Tables,
    /// One long block of arithmetic in which everything depends on what was before.
    Straight,
}

/// A plugin with one more module in it: this many functions of about this many bytes each.
pub(super) fn bomb(plugin: &[u8], kind: Bomb, functions: usize, bytes: usize) -> Vec<u8> {
    let body = body(kind, bytes);
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    section(&mut module, 1, &[1, 0x60, 1, 0x7f, 1, 0x7f]);
    section(&mut module, 3, &[number(functions), vec![0; functions]].concat());
    let entry = [number(body.len()), body].concat();
    section(&mut module, 10, &[number(functions), entry.repeat(functions)].concat());
    let mut component = plugin.to_vec();
    section(&mut component, 1, &module);
    component
}

fn section(out: &mut Vec<u8>, id: u8, content: &[u8]) {
    out.push(id);
    out.extend(number(content.len()));
    out.extend_from_slice(content);
}

/// From an i32 to an i32.
fn body(kind: Bomb, bytes: usize) -> Vec<u8> {
    const LOCAL: [u8; 2] = [0x20, 0];
    let mut code = vec![0];
    match kind {
        Bomb::Nested => {
            let depth = bytes / 5;
            code.extend([LOCAL[0], LOCAL[1], 0x04, 0x40].repeat(depth));
            code.extend(vec![0x0b; depth]);
        }
        Bomb::Tables => {
            const TARGETS: usize = 500;
            let table = [[0x02, 0x40].as_slice(), &LOCAL, &[0x0e], &number(TARGETS), &[0; TARGETS + 1], &[0x0b]].concat();
            code.extend(table.repeat(bytes / table.len()));
        }
        Bomb::Straight => {
            code.extend(LOCAL);
            // x = x * local + local, again and again.
            code.extend([LOCAL[0], LOCAL[1], 0x6c, LOCAL[0], LOCAL[1], 0x6a].repeat(bytes / 6));
            code.extend([0x21, 0]);
        }
    }
    code.extend(LOCAL);
    code.push(0x0b);
    code
}

/// LEB128.
fn number(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        out.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return out;
        }
    }
}

//! The mask of client frames.

/// The four bytes a payload is xored with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mask([u8; 4]);

impl Mask {
    pub(super) const fn new(key: [u8; 4]) -> Self {
        Self(key)
    }

    /// Masks or unmasks `payload`, eight bytes at a time (which the compiler widens further).
    #[inline]
    pub(super) fn apply(self, payload: &mut [u8]) {
        if self.0 == [0; 4] {
            return;
        }
        let [a, b, c, d] = self.0;
        let bytes = [a, b, c, d, a, b, c, d];
        let word = u64::from_ne_bytes(bytes);
        let (chunks, rest) = payload.as_chunks_mut::<8>();
        for chunk in chunks {
            *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(bytes) {
            *byte ^= key;
        }
    }

    /// The mask of what follows `count` bytes of the payload.
    pub(super) fn after(mut self, count: usize) -> Self {
        self.0.rotate_left(count % 4);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_every_split_gives_what_single_bytes_give() {
        let key = [1, 20, 80, 200];
        for length in 0..70_u8 {
            let payload: Vec<u8> = (0..length).collect();
            let expected: Vec<u8> = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
            for split in 0..=payload.len() {
                let mut got = payload.clone();
                let (first, second) = got.split_at_mut(split);
                Mask::new(key).apply(first);
                Mask::new(key).after(split).apply(second);
                assert_eq!(got, expected);
            }
        }
    }
}

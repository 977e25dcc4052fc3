//! Reading and writing the codec's smallest parts.

/// Bytes that are read from the front. Every reader gives `None` where they end too early.
#[derive(Debug)]
pub(crate) struct Input<'b> {
    bytes: &'b [u8],
    /// How much memory lists may still take, in bytes: one byte of input may stand for a large item.
    memory: usize,
}

impl<'b> Input<'b> {
    pub(crate) fn new(bytes: &'b [u8], memory: usize) -> Self {
        Self { bytes, memory }
    }

    pub(crate) fn left(&self) -> usize {
        self.bytes.len()
    }

    /// Room for a list of this many items.
    pub(crate) fn list<T>(&mut self, len: usize) -> Option<Vec<T>> {
        self.memory = self.memory.checked_sub(len.checked_mul(size_of::<T>())?)?;
        Some(Vec::with_capacity(len))
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    pub(crate) fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*taken)
    }

    /// A number as LEB128, at most ten bytes long.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        let folded = self.varint()?;
        Some((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    pub(crate) fn len(&mut self) -> Option<usize> {
        self.varint()?.try_into().ok()
    }

    /// Bytes behind their length.
    pub(crate) fn bytes(&mut self) -> Option<&'b [u8]> {
        let len = self.len()?;
        self.take(len)
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Zigzag, so that small negative numbers are short too.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, (value << 1 ^ value >> 63) as u64);
}

pub(crate) fn put_len(out: &mut Vec<u8>, len: usize) {
    put_varint(out, len as u64);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// FNV-1a, 64 bits: names a type's layout, the same in every build and process.
#[derive(Debug)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
        // No text contains this byte.
        self.bytes(&[0xff]);
    }

    pub(crate) fn finish(&self) -> u64 {
        self.0
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_come_back() {
        let edges = (0..64).flat_map(|bit| [1u64 << bit, (1u64 << bit) - 1, !(1u64 << bit)]);
        for value in edges.chain([0, u64::MAX]) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            put_signed(&mut out, value as i64);
            let mut input = Input::new(&out, 0);
            assert_eq!(input.varint(), Some(value));
            assert_eq!(input.signed(), Some(value as i64));
            assert_eq!(input.left(), 0);
        }
    }

    #[test]
    fn a_number_that_is_too_long_is_none() {
        assert_eq!(Input::new(&[0xff; 10], 0).varint(), None);
        assert_eq!(Input::new(&[0x80; 20], 0).varint(), None);
        let mut largest = [0xff; 10];
        largest[9] = 1;
        assert_eq!(Input::new(&largest, 0).varint(), Some(u64::MAX));
    }
}

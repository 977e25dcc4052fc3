//! Compression of a value's bytes, by the features that are enabled.

/// How the bytes of large results are compressed, in stores that hold bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// LZ4: fast, some 2:1 on rows. Feature `lz4`.
    #[cfg(feature = "lz4")]
    Lz4,
    /// Zstandard at its level 3: slower than LZ4, and smaller. Feature `zstd`.
    #[cfg(feature = "zstd")]
    Zstd,
}

/// What stands in the head for each; 0 is a body as it is.
pub(super) const PLAIN: u8 = 0;
#[cfg(feature = "lz4")]
const LZ4: u8 = 1;
#[cfg(feature = "zstd")]
const ZSTD: u8 = 2;

impl Compression {
    /// The method's number and the compressed body, if there is a method.
    pub(super) fn compress(self, body: &[u8]) -> Option<(u8, Vec<u8>)> {
        let _ = body;
        match self {
            Self::None => None,
            #[cfg(feature = "lz4")]
            Self::Lz4 => Some((LZ4, lz4_flex::block::compress(body))),
            #[cfg(feature = "zstd")]
            Self::Zstd => Some((ZSTD, zstd::bulk::compress(body, 3).ok()?)),
        }
    }
}

/// At most `len` bytes, or nothing: a bomb ends where its announced length does.
pub(super) fn decompress(method: u8, stored: &[u8], len: usize) -> Option<Vec<u8>> {
    let _ = (stored, len);
    match method {
        #[cfg(feature = "lz4")]
        LZ4 => lz4_flex::block::decompress(stored, len).ok(),
        #[cfg(feature = "zstd")]
        ZSTD => zstd::bulk::decompress(stored, len).ok(),
        _ => None,
    }
}

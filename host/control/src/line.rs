//! Lines of bounded length.

use std::io::{self, BufRead, Read as _};

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It is longer than this.
    #[error("the line is longer than {0} bytes")]
    Long(usize),
    /// The other side ended in the middle of it.
    #[error("the line has no end")]
    Torn,
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Reads a line and leaves out its end; `None` if there is no more.
///
/// # Errors
/// If it is longer than `bytes_max`, has no end or cannot be read. What comes next is not a line then.
pub fn read_line(from: &mut impl BufRead, bytes_max: usize) -> Result<Option<Vec<u8>>, LineError> {
    let mut line = Vec::new();
    from.take(bytes_max as u64 + 1).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) if line.len() >= bytes_max => Err(LineError::Long(bytes_max)),
        Some(_) => Err(LineError::Torn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_one_by_one_and_none_is_longer_than_it_may_be() {
        let mut text = b"one\n\nfour\nfives\nx".as_slice();
        let mut line = || read_line(&mut text, 4);
        assert_eq!(line().unwrap().unwrap(), b"one");
        assert_eq!(line().unwrap().unwrap(), b"");
        assert_eq!(line().unwrap().unwrap(), b"four");
        assert!(matches!(line(), Err(LineError::Long(4))));
        assert!(matches!(read_line(&mut b"torn".as_slice(), 4), Err(LineError::Torn)));
        assert!(read_line(&mut b"".as_slice(), 4).unwrap().is_none());
    }
}

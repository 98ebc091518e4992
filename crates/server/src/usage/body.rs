//! The body of a request with usage, unpacked.
//!
//! Refuses: codings other than gzip and zstd, and whatever unpacks to more than
//! [`UNPACKED_BYTES_MAX`], without unpacking more than that.

use std::io::Read;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode, header},
};

use super::{
    BODY_BYTES_MAX, UNPACKED_BYTES_MAX,
    intake::{Admitted, BODY_TIMEOUT},
};
use crate::http::{Problem, read_body};

/// The largest window of a zstd frame: 8 MiB (RFC 9659).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    Gzip,
    Zstd,
}

/// What `Content-Encoding` says.
pub(super) fn coding(headers: &HeaderMap) -> Result<Coding, Problem> {
    let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(Coding::Plain) };
    let word = value.to_str().unwrap_or_default().trim().to_ascii_lowercase();
    match word.as_str() {
        "" | "identity" => Ok(Coding::Plain),
        "gzip" | "x-gzip" => Ok(Coding::Gzip),
        "zstd" => Ok(Coding::Zstd),
        _ => Err(Problem::unsupported_media_type("Content-Encoding must be gzip or zstd.")
            .with_header(header::ACCEPT_ENCODING, "gzip, zstd")),
    }
}

/// Whether the caller only wants to hear of what was not taken.
pub(super) fn wants_minimal(headers: &HeaderMap) -> bool {
    let all = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = all.flat_map(|text| text.split([',', ';']));
    preferences.any(|one| one.trim().eq_ignore_ascii_case("return=minimal"))
}

/// Reads and unpacks a body.
pub(super) async fn read(
    body: Body,
    coding: Coding,
    admitted: &mut Admitted<'_>,
) -> Result<Bytes, Problem> {
    let packed = tokio::time::timeout(BODY_TIMEOUT, read_body(body, BODY_BYTES_MAX)).await;
    let packed = packed.map_err(|_| {
        let detail = format!("The body took longer than {} s to arrive.", BODY_TIMEOUT.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The request took too long", detail)
    })??;
    if coding == Coding::Plain {
        return Ok(packed);
    }
    admitted.grow(UNPACKED_BYTES_MAX)?;
    let unpacked = tokio::task::spawn_blocking(move || unpack(coding, &packed)).await;
    unpacked.map_err(Problem::internal)?.map(Bytes::from)
}

fn unpack(coding: Coding, packed: &[u8]) -> Result<Vec<u8>, Problem> {
    let broken = |error: std::io::Error| {
        Problem::bad_request(format!(
            "The body does not unpack as its Content-Encoding says: {error}."
        ))
    };
    match coding {
        Coding::Plain => limited(packed),
        Coding::Gzip => limited(flate2::read::MultiGzDecoder::new(packed)),
        Coding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(packed).map_err(broken)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(broken)?;
            limited(decoder)
        }
    }
    .map_err(|error| match error {
        Unread::Broken(error) => broken(error),
        Unread::TooLarge => Problem::too_large(format!(
            "The body unpacks to more than {UNPACKED_BYTES_MAX} bytes. Nothing was recorded."
        )),
    })
}

enum Unread {
    Broken(std::io::Error),
    TooLarge,
}

fn limited(reader: impl Read) -> Result<Vec<u8>, Unread> {
    let mut plain = Vec::new();
    let mut limited = reader.take(UNPACKED_BYTES_MAX as u64 + 1);
    limited.read_to_end(&mut plain).map_err(Unread::Broken)?;
    if plain.len() > UNPACKED_BYTES_MAX { Err(Unread::TooLarge) } else { Ok(plain) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused_however_small_it_is() {
        let bomb = vec![b' '; UNPACKED_BYTES_MAX + 1];
        let packed = gzip(&bomb);
        assert!(packed.len() < 200_000);
        assert_eq!(unpack(Coding::Gzip, &packed).unwrap_err().status, 413);
        let packed = zstd::bulk::compress(&bomb, 1).unwrap();
        assert_eq!(unpack(Coding::Zstd, &packed).unwrap_err().status, 413);
        assert_eq!(unpack(Coding::Gzip, &gzip(&bomb[1..])).unwrap().len(), UNPACKED_BYTES_MAX);
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_refused() {
        let packed = gzip(b"some usage");
        for (coding, bytes) in [
            (Coding::Gzip, &packed[..packed.len() - 3]),
            (Coding::Zstd, &packed),
            (Coding::Gzip, b"[]"),
        ] {
            assert_eq!(unpack(coding, bytes).unwrap_err().status, 400);
        }
    }

    #[test]
    fn a_window_larger_than_the_standard_allows_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(&[7; 100]).unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(unpack(Coding::Zstd, &packed).unwrap_err().status, 400);
    }

    #[test]
    fn preferences_are_found_among_others() {
        let with = |value: &str| {
            HeaderMap::from_iter([("prefer".parse().unwrap(), value.parse().unwrap())])
        };
        assert!(wants_minimal(&with("respond-async, Return=Minimal; foo")));
        assert!(!wants_minimal(&with("return=representation")));
        assert!(!wants_minimal(&HeaderMap::new()));
    }
}

//! What a caller asks for. SRT Access Control guidelines of libsrt, "General syntax".

use crate::Error;

/// A stream id, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamId {
    /// What is published or played, without `/` at its start.
    pub resource: String,
    /// Which of both.
    pub mode: Mode,
    /// The host that was meant (`h`).
    pub host: Option<String>,
    /// The user (`u`).
    pub user: Option<String>,
    /// All other fields, or the query of a plain one, in their order.
    pub fields: Vec<(String, String)>,
}

/// What a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To send.
    Publish,
    /// To get.
    Request,
}

/// Before the fields of one that has them.
const MARK: &str = "#!::";
/// The same as URLs have it.
const ESCAPED_MARK: &str = "%23!";
/// Fields of one; further ones are left out.
const FIELDS_MAX: usize = 16;

impl StreamId {
    /// Reads `#!::r=APP/NAME,m=publish,…`, where the mode is `request` if none is told; or a plain `APP/NAME?key=KEY`,
    /// which is to publish unless `request:`, `play:` or `read:` stands before it, or it says `m=request`.
    ///
    /// # Errors
    /// When it names nothing, or wants neither.
    pub fn parse(text: &str) -> Result<StreamId, Error> {
        // DEVIATION: ffmpeg before 6 sends what its URL has as it is, escapes too.
        let unescaped = text.starts_with(ESCAPED_MARK).then(|| unescape(text));
        let text = unescaped.as_deref().unwrap_or(text);
        match text.strip_prefix(MARK) {
            Some(fields) => Self::of_fields(fields),
            None => Self::plain(text),
        }
    }

    fn of_fields(text: &str) -> Result<StreamId, Error> {
        let mut id = StreamId::new(Mode::Request);
        for pair in text.split(',') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            // A resource may have a query of its own, as RTMP's names do.
            if name == "r"
                && let Some((resource, query)) = value.split_once('?')
            {
                id.field("r", resource)?;
                id.query(query)?;
            } else {
                id.field(name, value)?;
            }
        }
        id.checked()
    }

    fn plain(text: &str) -> Result<StreamId, Error> {
        let (mode, rest) = match text.split_once(':') {
            Some(("publish", rest)) => (Mode::Publish, rest),
            Some(("request" | "play" | "read", rest)) => (Mode::Request, rest),
            _ => (Mode::Publish, text),
        };
        let mut id = StreamId::new(mode);
        let (resource, query) = rest.split_once('?').unwrap_or((rest, ""));
        id.field("r", resource)?;
        id.query(query)?;
        id.checked()
    }

    fn new(mode: Mode) -> StreamId {
        StreamId { resource: String::new(), mode, host: None, user: None, fields: Vec::new() }
    }

    fn query(&mut self, query: &str) -> Result<(), Error> {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .try_for_each(|(name, value)| self.field(name, value))
    }

    fn field(&mut self, name: &str, value: &str) -> Result<(), Error> {
        match name {
            "r" => self.resource = value.trim_start_matches('/').to_owned(),
            "m" => {
                self.mode = match value {
                    "publish" => Mode::Publish,
                    "request" | "play" | "read" => Mode::Request,
                    _ => return Err(Error::Mode),
                }
            }
            "h" => self.host = Some(value.to_owned()),
            "u" => self.user = Some(value.to_owned()),
            _ if self.fields.len() < FIELDS_MAX => self.fields.push((name.to_owned(), value.to_owned())),
            _ => {}
        }
        Ok(())
    }

    fn checked(self) -> Result<StreamId, Error> {
        if self.resource.is_empty() { Err(Error::NoResource) } else { Ok(self) }
    }
}

/// Text without the escapes of a URL (RFC 3986 §2.1); what is none stays.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, later)) = rest.split_first() {
        let hex = later.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                out.push(byte);
                rest = &later[2..];
            }
            None => {
                out.push(*first);
                rest = later;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_with_fields_and_plain() {
        let check = |text: &str, resource: &str, mode, fields: &[(&str, &str)]| {
            let id = StreamId::parse(text).unwrap();
            let got: Vec<_> = id.fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert_eq!((id.resource.as_str(), id.mode, &got[..]), (resource, mode, fields), "{text}");
        };
        check("#!::r=live/x,m=publish,key=k1", "live/x", Mode::Publish, &[("key", "k1")]);
        check("#!::m=request,r=/live/x,token=a.b=", "live/x", Mode::Request, &[("token", "a.b=")]);
        check("#!::r=live/x?key=k1,m=publish", "live/x", Mode::Publish, &[("key", "k1")]);
        check("#!::r=live/x", "live/x", Mode::Request, &[]);
        check("%23!%3A%3Ar%3Dlive/x,m=publish,y=%zz", "live/x", Mode::Publish, &[("y", "%zz")]);
        check("live/x?key=k1&y=2", "live/x", Mode::Publish, &[("key", "k1"), ("y", "2")]);
        check("live/x?m=request", "live/x", Mode::Request, &[]);
        check("play:live/x?token=t", "live/x", Mode::Request, &[("token", "t")]);
        check("publish:live/x", "live/x", Mode::Publish, &[]);
        let id = StreamId::parse("#!::h=example.com,u=ann,r=live/x").unwrap();
        assert_eq!((id.host.as_deref(), id.user.as_deref()), (Some("example.com"), Some("ann")));
    }

    #[test]
    fn ids_that_name_nothing_are_refused() {
        for text in ["", "#!::", "#!::m=publish", "?key=1", "play:"] {
            assert_eq!(StreamId::parse(text), Err(Error::NoResource), "{text}");
        }
        assert_eq!(StreamId::parse("#!::r=x,m=bidirectional"), Err(Error::Mode));
    }
}

//! AMF0 values (AMF0 specification §2), and AMF3 as far as commands use it (AMF3 specification §3).

use crate::Error;
use bytes::{BufMut, Bytes, BytesMut};

/// Values nested deeper are refused.
pub const DEPTH_MAX: usize = 16;
/// Values in one command or object; more are refused.
pub const VALUES_MAX: usize = 1024;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A double.
    Number(f64),
    /// A boolean.
    Boolean(bool),
    /// Text; bytes that are no UTF-8 are replaced.
    String(String),
    /// An object, an associative array or a typed object.
    Object(Vec<(String, Value)>),
    /// An array by index.
    Array(Vec<Value>),
    /// Null, undefined and whatever has no meaning in commands.
    Null,
}

impl Value {
    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        if let Value::Number(n) = self { Some(*n) } else { None }
    }

    /// The text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(s) = self { Some(s) } else { None }
    }

    /// The member of that name, if it is an object that has it.
    pub fn member(&self, name: &str) -> Option<&Value> {
        let Value::Object(members) = self else { return None };
        members.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// An object of these members.
    pub fn object(members: &[(&str, Value)]) -> Value {
        Value::Object(members.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect())
    }

    /// Appends it in AMF0.
    pub fn write(&self, out: &mut BytesMut) {
        match self {
            Value::Number(n) => {
                out.put_u8(0);
                out.put_f64(*n);
            }
            Value::Boolean(b) => out.put_slice(&[1, u8::from(*b)]),
            Value::String(s) if s.len() > usize::from(u16::MAX) => {
                out.put_u8(12);
                out.put_u32(u32::try_from(s.len()).unwrap_or(u32::MAX));
                out.put_slice(s.as_bytes());
            }
            Value::String(s) => {
                out.put_u8(2);
                write_name(s, out);
            }
            Value::Object(members) => {
                out.put_u8(3);
                for (name, value) in members {
                    write_name(name, out);
                    value.write(out);
                }
                out.put_slice(&[0, 0, 9]);
            }
            Value::Array(values) => {
                out.put_u8(10);
                out.put_u32(u32::try_from(values.len()).unwrap_or(u32::MAX));
                values.iter().for_each(|v| v.write(out));
            }
            Value::Null => out.put_u8(5),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Number(number)
    }
}

fn write_name(name: &str, out: &mut BytesMut) {
    let bytes = &name.as_bytes()[..name.len().min(usize::from(u16::MAX))];
    out.put_u16(bytes.len() as u16);
    out.put_slice(bytes);
}

/// Values one after another, as a command or script message holds them.
///
/// # Errors
/// [`Error::Amf`] when the first value is broken; what follows a later broken value is left out.
pub fn read_all(bytes: &[u8]) -> Result<Vec<Value>, Error> {
    let mut decoder = Decoder { rest: bytes, values: 0 };
    let mut values = vec![decoder.value(0)?];
    while !decoder.rest.is_empty() {
        let Ok(value) = decoder.value(0) else { break };
        values.push(value);
    }
    Ok(values)
}

/// The bytes behind the first value, which must be the string `name`; for taking `@setDataFrame` off.
pub fn strip_string<'a>(bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut decoder = Decoder { rest: bytes, values: 0 };
    let value = decoder.value(0).ok()?;
    (value.as_str() == Some(name)).then_some(decoder.rest)
}

struct Decoder<'a> {
    rest: &'a [u8],
    values: usize,
}

impl<'a> Decoder<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (now, later) = self.rest.split_at_checked(count).ok_or(Error::Amf)?;
        self.rest = later;
        Ok(now)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.take(N)?.try_into().map_err(|_| Error::Amf)
    }

    fn text(&mut self, length: usize) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn name(&mut self) -> Result<String, Error> {
        let length = u16::from_be_bytes(self.array()?);
        self.text(usize::from(length))
    }

    fn count(&mut self, depth: usize) -> Result<(), Error> {
        self.values += 1;
        if depth > DEPTH_MAX || self.values > VALUES_MAX { Err(Error::Amf) } else { Ok(()) }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        self.count(depth)?;
        let [marker] = self.array()?;
        Ok(match marker {
            0 => Value::Number(f64::from_be_bytes(self.array()?)),
            1 => Value::Boolean(self.array::<1>()?[0] != 0),
            2 => Value::String(self.name()?),
            3 => self.members(depth)?,
            5 | 6 | 13 => Value::Null,
            7 => {
                self.take(2)?;
                Value::Null
            }
            8 => {
                self.take(4)?;
                self.members(depth)?
            }
            10 => {
                let length = u32::from_be_bytes(self.array()?);
                let mut values = Vec::new();
                for _ in 0..length {
                    values.push(self.value(depth + 1)?);
                }
                Value::Array(values)
            }
            11 => {
                let millis = f64::from_be_bytes(self.array()?);
                self.take(2)?;
                Value::Number(millis)
            }
            12 | 15 => {
                let length = u32::from_be_bytes(self.array()?);
                Value::String(self.text(length as usize)?)
            }
            16 => {
                self.name()?;
                self.members(depth)?
            }
            17 => self.value3(depth)?,
            _ => return Err(Error::Amf),
        })
    }

    fn members(&mut self, depth: usize) -> Result<Value, Error> {
        let mut members = Vec::new();
        loop {
            if self.rest.is_empty() {
                // Some encoders leave the end marker of metadata out.
                return Ok(Value::Object(members));
            }
            let name = self.name()?;
            if self.rest.first() == Some(&9) && name.is_empty() {
                self.take(1)?;
                return Ok(Value::Object(members));
            }
            members.push((name, self.value(depth + 1)?));
        }
    }

    /// An AMF3 value without references: what encoders send in commands.
    fn value3(&mut self, depth: usize) -> Result<Value, Error> {
        self.count(depth)?;
        let [marker] = self.array()?;
        Ok(match marker {
            0 | 1 => Value::Null,
            2 => Value::Boolean(false),
            3 => Value::Boolean(true),
            4 => Value::Number(f64::from(self.u29()?)),
            5 => Value::Number(f64::from_be_bytes(self.array()?)),
            6 => Value::String(self.text3()?),
            8 => {
                self.u29()?;
                Value::Number(f64::from_be_bytes(self.array()?))
            }
            9 => self.array3(depth)?,
            10 => self.object3(depth)?,
            _ => return Err(Error::Amf),
        })
    }

    /// A number of 29 bits in one to four bytes. AMF3 §1.3.1.
    fn u29(&mut self) -> Result<u32, Error> {
        let mut value = 0;
        for _ in 0..3 {
            let [byte] = self.array()?;
            value = value << 7 | u32::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Ok(value << 8 | u32::from(self.array::<1>()?[0]))
    }

    fn text3(&mut self) -> Result<String, Error> {
        let header = self.u29()?;
        if header & 1 == 0 { Ok(String::new()) } else { self.text((header >> 1) as usize) }
    }

    fn array3(&mut self, depth: usize) -> Result<Value, Error> {
        let header = self.u29()?;
        if header & 1 == 0 {
            return Ok(Value::Null);
        }
        while !self.text3()?.is_empty() {
            self.value3(depth + 1)?;
        }
        let mut values = Vec::new();
        for _ in 0..header >> 1 {
            values.push(self.value3(depth + 1)?);
        }
        Ok(Value::Array(values))
    }

    fn object3(&mut self, depth: usize) -> Result<Value, Error> {
        let header = self.u29()?;
        if header & 3 != 3 {
            return Ok(Value::Null);
        }
        self.text3()?;
        let mut members = Vec::new();
        for _ in 0..header >> 4 {
            self.count(depth)?;
            members.push((self.text3()?, Value::Null));
        }
        for member in &mut members {
            member.1 = self.value3(depth + 1)?;
        }
        if header & 8 != 0 {
            loop {
                let name = self.text3()?;
                if name.is_empty() {
                    break;
                }
                members.push((name, self.value3(depth + 1)?));
            }
        }
        Ok(Value::Object(members))
    }
}

/// AMF3 messages begin with a format byte, then go on in AMF0.
pub(crate) fn skip_format(payload: &Bytes) -> Bytes {
    if payload.first() == Some(&0) { payload.slice(1..) } else { payload.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(values: &[Value]) -> BytesMut {
        let mut out = BytesMut::new();
        values.iter().for_each(|v| v.write(&mut out));
        out
    }

    #[test]
    fn values_survive_writing_and_reading() {
        let values = vec![
            Value::from("connect"),
            Value::from(1.0),
            Value::object(&[("app", "live".into()), ("ok", Value::Boolean(true)), ("nil", Value::Null)]),
            Value::Array(vec![Value::from(2.5), Value::from("x")]),
            Value::String("y".repeat(70_000)),
        ];
        assert_eq!(read_all(&bytes_of(&values)), Ok(values));
    }

    #[test]
    fn amf3_inside_amf0_is_read() {
        // avmplus marker, object: inline, dynamic, no sealed members, no class name; "a" = 5.
        let bytes = [17, 10, 0x0b, 1, 3, b'a', 4, 5, 1];
        assert_eq!(read_all(&bytes), Ok(vec![Value::object(&[("a", Value::from(5.0))])]));
    }

    #[test]
    fn nesting_and_counts_are_bounded() {
        let deep: Vec<u8> = [3, 0, 1, b'a'].repeat(100);
        assert_eq!(read_all(&deep), Err(Error::Amf));
        assert_eq!(read_all(&[10, 0xff, 0xff, 0xff, 0xff, 5]), Err(Error::Amf));
    }
}

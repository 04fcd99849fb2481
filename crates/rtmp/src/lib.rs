//! The RTMP wire: handshake, chunks, AMF, client and server session, without IO.

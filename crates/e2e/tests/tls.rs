//! Every listener has a TLS twin.

use anyhow::{Result, ensure};
use e2e::compare::{publish, same_frames, same_tracks};
use e2e::frames::Of;
use e2e::{Certificate, Folder, Running, Server, Tool, clips};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// A server with a certificate of its own, and a publisher who comes by RTMPS.
fn live(clip: &clips::Clip) -> Result<(Server, Running, Folder)> {
    let folder = Folder::new()?;
    let certificate = Certificate::make(folder.path(), "cert", "localhost")?;
    let server =
        Server::serve(&format!("[publish]\nstream_key = \"s3cret\"\n[tls]\n{}", certificate.toml()))?;
    let publisher = publish(clip, "", &server.rtmps("/live/x?key=s3cret"))?;
    server.wait_live("live/x")?;
    Ok((server, publisher, folder))
}

#[test]
fn what_is_published_by_rtmps_comes_out_of_rtmps_and_https_as_it_went_in() -> Result<()> {
    let clip = clips::h264_aac()?;
    let (server, _publisher, _folder) = live(&clip)?;
    for url in [server.rtmps("/live/x"), server.https("/live/x.flv")] {
        same_tracks(&clip.path.to_string_lossy(), &url)?;
        same_frames(&clip, &url, Of::Coded)?;
    }
    Ok(())
}

#[test]
fn hls_by_https_is_as_it_went_in() -> Result<()> {
    let clip = clips::h264_aac()?;
    let (server, _publisher, _folder) = live(&clip)?;
    let hls = server.https("/live/x/index.m3u8");
    same_tracks(&clip.path.to_string_lossy(), &hls)?;
    same_frames(&clip, &hls, Of::Coded)
}

#[test]
fn https_speaks_http_2_and_1_1_and_the_certificate_is_the_configured_one() -> Result<()> {
    let clip = clips::h264_aac()?;
    let (server, _publisher, folder) = live(&clip)?;
    for (version, shown) in [("--http2", "2 200"), ("--http1.1", "1.1 200")] {
        for target in ["/live/x/index.m3u8", "/live/x/video/index.m3u8", "/live/x/ts/index.m3u8", "/"] {
            let curl = Tool::new("curl").words("--silent --show-error --cacert").arg(folder.file("cert.pem"));
            let curl =
                curl.words("-w").arg("%{http_version} %{http_code}").arg("-o").arg(folder.file("body"));
            let found = curl.arg(version).arg(server.https(target)).succeed(LIMIT)?.text();
            ensure!(found == shown, "{target} with {version}: {found}");
        }
    }
    Ok(())
}

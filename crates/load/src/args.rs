//! The command line of `floodtide load`.

use crate::quantity::{Share, duration, rate};
use clap::{Subcommand, value_parser};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Simulate publishers and viewers, measure what they get, and what the server pays for it.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to simulate.
    #[command(subcommand)]
    pub command: Command,
}

/// What to simulate.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// A crowd of viewers; the URL chooses the protocol
    View(ViewArgs),
    /// Publishers by RTMP or WHIP that loop an FLV file in real time, each frame stamped with the clock
    Publish(PublishArgs),
    /// Publishers and viewers together, from one process
    Run(RunArgs),
    /// The bare write loop: what fan-out costs when a server does nothing else
    Floor(FloorArgs),
}

/// `floodtide load view`
#[derive(Debug, Clone, clap::Args)]
pub struct ViewArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as help")]
    pub audience: AudienceArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as help")]
    pub gates: GateArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as help")]
    pub output: OutputArgs,
}

/// `floodtide load publish`
#[derive(Debug, Clone, clap::Args)]
pub struct PublishArgs {
    /// Where to publish: rtmp://HOST/APP/NAME?key=…, or http://HOST/APP/NAME/whip?key=…; `{i}` becomes the publisher's index
    #[arg(long, value_name = "URL")]
    pub url: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as help")]
    pub source: SourceArgs,
    /// How many publishers
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=100_000))]
    pub publishers: u32,
    /// Stop after this long instead of never
    #[arg(long, value_parser = duration)]
    pub duration: Option<Duration>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as help")]
    pub output: OutputArgs,
}

/// `floodtide load run`
#[derive(Debug, Clone, clap::Args)]
pub struct RunArgs {
    /// Where to publish: rtmp://HOST/APP/NAME?key=…, or http://HOST/APP/NAME/whip?key=…; `{i}` becomes the broadcast's index
    #[arg(long, value_name = "URL")]
    pub publish_url: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as help")]
    pub source: SourceArgs,
    /// How long the publishers have before the first viewer joins
    #[arg(long, default_value = "3s", value_parser = duration)]
    pub lead: Duration,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as help")]
    pub view: ViewArgs,
}

/// `floodtide load floor`
#[derive(Debug, Clone, clap::Args)]
pub struct FloorArgs {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR")]
    pub listen: SocketAddr,
    /// The FLV file to loop; every path serves it
    #[arg(long, value_name = "FLV")]
    pub file: PathBuf,
    /// How long frames are gathered before each viewer gets one write; 0: a write for every frame
    #[arg(long, default_value = "40ms", value_parser = duration)]
    pub window: Duration,
    /// Stop after this long instead of never
    #[arg(long, value_parser = duration)]
    pub duration: Option<Duration>,
}

/// What publishers send.
#[derive(Debug, Clone, clap::Args)]
pub struct SourceArgs {
    /// The FLV file to loop; by WHIP H.264 without B-frames, and silence instead of its sound
    #[arg(long, value_name = "FLV")]
    pub file: PathBuf,
    /// By WHIP: the same programme at a lower rate, sent beside it (simulcast); repeat it for more, the better first, four qualities at most
    #[arg(long, value_name = "FLV")]
    pub lower: Vec<PathBuf>,
    /// New publishers a second
    #[arg(long, default_value = "50", value_parser = rate, value_name = "PER_SECOND")]
    pub publish_ramp: f64,
    /// Send frames as they are in the file, without the clock that frame age is measured by
    #[arg(long)]
    pub no_stamp: bool,
}

/// Who watches, and for how long.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Audience")]
pub struct AudienceArgs {
    /// What to watch: http://…flv, ws://…flv, rtmp://…, http://…m3u8, http://…/whep; repeat it to mix; `{i}` becomes the broadcast's index
    #[arg(long = "url", value_name = "URL", required = true)]
    pub urls: Vec<String>,
    /// Weight of the URL at the same place in the line; without any, all weigh the same
    #[arg(long = "share", value_name = "NUMBER")]
    pub shares: Vec<f64>,
    /// Protocols over the one --url, like "70% flv, 20% ws, 10% hls"
    #[arg(long, value_name = "MIX")]
    pub mix: Option<String>,
    /// The RTMP port that --mix uses
    #[arg(long, default_value_t = 1935, value_name = "PORT")]
    pub rtmp_port: u16,
    /// How many viewers
    #[arg(long, short = 'n', default_value_t = 100, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub viewers: u32,
    /// How many broadcasts the viewers spread over: `{i}` runs from 0 to one below this
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=100_000))]
    pub broadcasts: u32,
    /// New viewers a second
    #[arg(long, default_value = "500", value_parser = rate, value_name = "PER_SECOND")]
    pub ramp: f64,
    /// Time between the last join and the measured window
    #[arg(long, default_value = "3s", value_parser = duration)]
    pub warmup: Duration,
    /// Length of the measured window
    #[arg(long, default_value = "20s", value_parser = duration)]
    pub duration: Duration,
    /// Viewers of each URL that parse all they get: only they measure frame age
    #[arg(long, default_value_t = 2, value_name = "K")]
    pub probe: u32,
    /// Share of viewers that read a tenth of the rate
    #[arg(long, default_value = "0%", value_name = "SHARE")]
    pub slow: Share,
    /// Share of viewers that stop reading after their first media
    #[arg(long, default_value = "0%", value_name = "SHARE")]
    pub stopped: Share,
    /// A viewer without data for longer has stalled; HLS viewers stall when their buffer is empty
    #[arg(long, default_value = "1s", value_parser = duration)]
    pub stall_after: Duration,
    /// A blocking playlist answer that comes later than this after the part appeared is late
    #[arg(long, default_value = "30ms", value_parser = duration)]
    pub late_after: Duration,
    /// How often sockets are read; probes are read at once
    #[arg(long, default_value = "10ms", value_parser = duration)]
    pub tick: Duration,
    /// On loopback, how many source addresses 127.0.1.x to use; default: enough for the crowd
    #[arg(long, value_parser = value_parser!(u8).range(1..=250))]
    pub sources: Option<u8>,
    /// Share the crowd among this many processes of one thread each
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u16).range(1..=256))]
    pub processes: u16,
    /// Sample this process (and its children): CPU, memory, CPU seconds per GiB delivered
    #[arg(long, value_name = "PID")]
    pub sample_pid: Option<u32>,
}

/// Bounds that make a run fail: exit code 1, and a line that says by how much.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Gates (exit code 1 when one fails)")]
pub struct GateArgs {
    /// At most this share of the playing viewers may have stalled
    #[arg(long, value_name = "SHARE")]
    pub max_stall_rate: Option<Share>,
    /// 99 of 100 frames must be younger when they arrive (needs stamped frames)
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    pub max_age_p99: Option<Duration>,
    /// 95 of 100 viewers must have their first keyframe within this time of connecting
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    pub max_first_media_p95: Option<Duration>,
    /// At least this share of viewers must be playing at the end
    #[arg(long, value_name = "SHARE")]
    pub min_playing: Option<Share>,
    /// At most so many steady viewers may lose their connection
    #[arg(long, value_name = "COUNT")]
    pub max_disconnects: Option<u64>,
    /// At most so many blocking playlist answers may be late
    #[arg(long, value_name = "COUNT")]
    pub max_late: Option<u64>,
    /// At most this CPU per GiB delivered (needs --sample-pid)
    #[arg(long, value_name = "SECONDS")]
    pub max_cpu_per_gib: Option<f64>,
}

/// What becomes of the result.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Also write the result as JSON to this file; `-` writes JSON instead of the table to standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// No progress line
    #[arg(long, short)]
    pub quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  A thousand FLV viewers of the demo; fails when more than one in a thousand stalls:
    floodtide load view --url http://127.0.0.1:8080/live/demo.flv -n 1000 \\
      --max-stall-rate 0.1%

  A mixed crowd of 4,000 that joins within 2 s:
    floodtide load view --url http://127.0.0.1:8080/live/demo -n 4000 --ramp 2000 \\
      --mix '70% flv, 20% ws, 10% hls'

  A hundred viewers by WebRTC, who decrypt but don't decode:
    floodtide load view --url http://127.0.0.1:8080/live/demo/whep -n 100

  Ten publishers by WHIP, without viewers:
    floodtide load publish --url 'http://127.0.0.1:8080/live/x{i}/whip?key=KEY' \\
      --publishers 10 --file clip.flv

  A publisher by WHIP of two qualities, and viewers whose network the server measures:
    floodtide load run --publish-url 'http://127.0.0.1:8080/live/x/whip?key=KEY' \\
      --file clip.flv --lower clip-150k.flv --url http://127.0.0.1:8080/live/x/whep

  From WHIP to WHEP, ten broadcasts with five viewers each, and how old frames are:
    floodtide load run --publish-url 'http://127.0.0.1:8080/live/x{i}/whip?key=KEY' \\
      --file clip.flv --url http://127.0.0.1:8080/live/x{i}/whep --broadcasts 10 -n 50

  Ten stamped broadcasts, a hundred viewers each, and what the server pays:
    floodtide load run --publish-url rtmp://127.0.0.1/live/x{i} --file clip.flv \\
      --url http://127.0.0.1:8080/live/x{i}.flv --broadcasts 10 -n 1000 \\
      --sample-pid $(pidof floodtide) --json result.json

  The floor that every server is compared with, and the same crowd before it:
    floodtide load floor --listen 127.0.0.1:8090 --file clip.flv --window 40ms
    floodtide load view --url http://127.0.0.1:8090/x.flv -n 1000

Exit code: 0 when all gates pass, 1 when one fails or the run could not take place.";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_command_line_holds_together() {
        use clap::CommandFactory;
        Line::command().debug_assert();
    }

    #[test]
    fn gates_and_shares_read_as_written() {
        let line = "load view --url http://h/x.flv --url rtmp://h/live/x --share 70 --share 30 --slow 10% \
                    --max-stall-rate 0.1% --max-age-p99 250ms --min-playing 99%";
        let Command::View(view) = Line::try_parse_from(line.split_whitespace()).unwrap().args.command else {
            panic!("not view")
        };
        assert_eq!((view.audience.shares, view.audience.slow), (vec![70.0, 30.0], Share(0.1)));
        assert_eq!(view.gates.max_age_p99, Some(Duration::from_millis(250)));
        assert_eq!(view.gates.max_stall_rate, Some(Share(0.001)));
    }
}

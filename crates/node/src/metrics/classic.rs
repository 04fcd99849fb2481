//! The text format that is older than OpenMetrics, for whoever asks without naming a format.
//!
//! Both differ in three points that matter here: counters carry `_total` in their description too, there are no
//! units, and no end mark. <https://prometheus.io/docs/instrumenting/exposition_formats/>

/// OpenMetrics text as version 0.0.4 of the older format.
pub(super) fn classic(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    let mut help = "";
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            // Comes before the type, on which its name depends.
            help = rest;
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                _ => ("", kind),
            };
            let text = help.strip_prefix(name).unwrap_or_default().trim();
            out.push_str(&format!("# HELP {name}{suffix} {text}\n# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with("# UNIT ") && line != "# EOF" {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_infos_are_described_by_their_whole_name() {
        let open = "# HELP a_bytes Sent.\n# TYPE a_bytes counter\n# UNIT a_bytes bytes\na_bytes_total{p=\"x\"} 5\n\
                    # HELP build Version.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n# EOF\n";
        let expect = "# HELP a_bytes_total Sent.\n# TYPE a_bytes_total counter\na_bytes_total{p=\"x\"} 5\n\
                      # HELP build_info Version.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n";
        assert_eq!(classic(open), expect);
    }
}

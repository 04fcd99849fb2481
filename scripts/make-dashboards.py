#!/usr/bin/env python3
"""Writes deploy/grafana/*.json. With --check, only says whether they are what this script would write."""

import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).parent.parent / "deploy" / "grafana"
SOURCE = {"type": "prometheus", "uid": "${source}"}
# A row is 24 wide.
WIDTH, HEIGHT = 8, 8


def target(expr, legend):
    return {"datasource": SOURCE, "expr": expr, "legendFormat": legend, "refId": "", "range": True}


def panel(title, unit, *queries, kind="timeseries", stack=False, note=""):
    custom = {"lineWidth": 1, "fillOpacity": 20 if stack else 5}
    if stack:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    targets = [target(expr, legend) for expr, legend in queries]
    for number, one in enumerate(targets):
        one["refId"] = chr(ord("A") + number)
    options = {"legend": {"displayMode": "list", "placement": "bottom"}} if kind == "timeseries" else {}
    defaults = {"unit": unit, "min": 0, "custom": custom if kind == "timeseries" else {}}
    return {
        "type": kind,
        "title": title,
        "description": note,
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
    }


def stat(title, unit, expr):
    return panel(title, unit, (expr, ""), kind="stat") | {"gridPos": {"w": 4, "h": 4}}


def dashboard(uid, title, *panels):
    x = y = row = 0
    placed = []
    for number, one in enumerate(panels, 1):
        size = {"w": WIDTH, "h": HEIGHT} | one.get("gridPos", {})
        if x + size["w"] > 24 or (row and size["h"] != row):
            x, y = 0, y + row
        placed.append(one | {"id": number, "gridPos": size | {"x": x, "y": y}})
        x, row = x + size["w"], size["h"]
    variables = [
        {"name": "source", "type": "datasource", "query": "prometheus", "label": "Source"},
        {
            "name": "instance",
            "type": "query",
            "label": "Server",
            "datasource": SOURCE,
            "query": {"query": "label_values(floodtide_build_info, instance)", "refId": "instance"},
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "refresh": 2,
            "current": {"text": ["All"], "value": ["$__all"]},
        },
    ]
    return {
        "uid": uid,
        "title": title,
        "tags": ["floodtide"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": variables},
        "annotations": {"list": []},
        "editable": True,
        "panels": placed,
    }


ON = 'instance=~"$instance"'


def rate(metric, by, labels=""):
    return f"sum by ({by}) (rate({metric}{{{ON}{labels}}}[$__rate_interval]))"


def ranges(title, metric):
    return panel(title, "short", (f"sum by (range) (floodtide_{metric}{{{ON}}})", "{{range}}"), stack=True,
                 note="Live broadcasts in each range.")


def quantile(share, metric):
    return f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket{{{ON}}}[$__rate_interval])))"


OVERVIEW = dashboard(
    "floodtide-overview",
    "Floodtide: overview",
    stat("Viewers", "short", f"sum(floodtide_viewers{{{ON}}})"),
    stat("Live broadcasts", "short", f'sum(floodtide_broadcasts{{{ON}, state="live"}})'),
    stat("Egress", "bps", f"sum(rate(floodtide_egress_bytes_total{{{ON}}}[1m])) * 8"),
    stat("Ingest", "bps", f"sum(rate(floodtide_ingest_bytes_total{{{ON}}}[1m])) * 8"),
    stat("Frame age, p99", "s", quantile(0.99, "floodtide_frame_age_seconds")),
    stat("Servers", "short", 'sum(up{job="floodtide"})'),
    panel("Viewers by protocol", "short", (f"sum by (protocol) (floodtide_viewers{{{ON}}})", "{{protocol}}"), stack=True,
          note="Viewers by HLS are an estimate: they have no connection that lasts."),
    panel("Egress by protocol", "bps", (rate("floodtide_egress_bytes_total", "protocol") + " * 8", "{{protocol}}"), stack=True),
    panel("Broadcasts", "short", (f"sum by (state) (floodtide_broadcasts{{{ON}}})", "{{state}}"), stack=True),
    panel("Frame age", "s", *((quantile(q, "floodtide_frame_age_seconds"), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99)),
          note="From a frame's arrival to its write to a viewer."),
    panel("Time to first byte", "s", *((quantile(q, "floodtide_time_to_first_byte_seconds"), f"p{q * 100:g}") for q in (0.5, 0.95))),
    panel("Viewers' ends", "ops", (rate("floodtide_viewer_ends_total", "reason"), "{{reason}}"), stack=True),
    panel("Refusals", "ops", (rate("floodtide_refusals_total", "reason"), "{{reason}}"), stack=True),
    panel("Skips of slow viewers", "ops", (rate("floodtide_skipped_groups_total", "instance"), "{{instance}}")),
    panel("Viewers cut", "percentunit", (f"floodtide:viewers_cut:ratio5m{{{ON}}}", "{{instance}}")),
)

INGEST = dashboard(
    "floodtide-ingest",
    "Floodtide: broadcasts and ingest",
    stat("Publishers", "short", f"sum(floodtide_publishers{{{ON}}})"),
    stat("Live", "short", f'sum(floodtide_broadcasts{{{ON}, state="live"}})'),
    stat("Waiting for a publisher", "short", f'sum(floodtide_broadcasts{{{ON}, state="grace"}})'),
    stat("Ingest", "bps", f"sum(rate(floodtide_ingest_bytes_total{{{ON}}}[1m])) * 8"),
    stat("With advice", "short", f"sum(floodtide_input_advice{{{ON}}})"),
    stat("Repairs a minute", "short", f"sum(rate(floodtide_timestamp_repairs_total{{{ON}}}[5m])) * 60"),
    panel("Input advice", "short", (f"sum by (code) (floodtide_input_advice{{{ON}}})", "{{code}}"), stack=True,
          note="Broadcasts whose publisher could do something better. The API and the console say which."),
    panel("Ingest", "bps", (rate("floodtide_ingest_bytes_total", "instance") + " * 8", "{{instance}}"), stack=True),
    panel("Publishers accepted", "ops", (rate("floodtide_publishes_total", "instance"), "{{instance}}")),
    panel("Publishers' ends", "ops", (rate("floodtide_publisher_ends_total", "reason"), "{{reason}}"), stack=True),
    panel("Timestamp repairs", "ops", (rate("floodtide_timestamp_repairs_total", "instance"), "{{instance}}")),
    panel("Frames kept for viewers", "bytes", (f"floodtide_hub_bytes{{{ON}}}", "{{instance}}")),
    ranges("Distance of keyframes", "input_keyframe_interval"),
    ranges("Pictures a second", "input_frame_rate"),
    ranges("Bit rate", "input_bit_rate"),
    ranges("Variation of the bit rate", "input_bit_rate_variation"),
    panel("Keyframe gaps", "ops", (rate("floodtide_input_keyframe_gaps_total", "instance"), "{{instance}}")),
)

NODE = dashboard(
    "floodtide-node",
    "Floodtide: servers",
    panel("CPU", "short", (f"rate(process_cpu_seconds_total{{{ON}, job=\"floodtide\"}}[$__rate_interval])", "{{instance}}"),
          note="In cores."),
    panel("Memory", "bytes", (f"process_resident_memory_bytes{{{ON}, job=\"floodtide\"}}", "{{instance}}")),
    panel("Descriptors used", "percentunit", (f"floodtide:fds_used:ratio{{{ON}}}", "{{instance}}")),
    panel("Egress workers: busy", "percentunit", (f"floodtide_egress_busy_ratio{{{ON}}}", "{{instance}} {{worker}}")),
    panel("Egress workers: viewers", "short", (f"floodtide_egress_viewers{{{ON}}}", "{{instance}} {{worker}}"), stack=True),
    panel("Merge window", "s", (f"floodtide_merge_window_seconds{{{ON}}}", "{{instance}} {{worker}}")),
    panel("Chunks kept for viewers", "bytes", (f"floodtide_queue_bytes{{{ON}}}", "{{instance}}")),
    panel("Egress", "bps", (f"floodtide:egress_bits:rate1m{{{ON}}}", "{{instance}}"), stack=True),
    panel("Threads", "short", (f"process_threads{{{ON}, job=\"floodtide\"}}", "{{instance}}")),
    panel("Version", "short", (f"count by (version) (floodtide_build_info{{{ON}}})", "{{version}}"), stack=True),
    panel("Uptime", "s", (f"time() - process_start_time_seconds{{{ON}, job=\"floodtide\"}}", "{{instance}}")),
    panel("Open descriptors", "short", (f"process_open_fds{{{ON}, job=\"floodtide\"}}", "{{instance}}"),
          (f"process_max_fds{{{ON}, job=\"floodtide\"}}", "{{instance}} may have")),
)


def main():
    stale = []
    for name, content in dict(overview=OVERVIEW, ingest=INGEST, node=NODE).items():
        path, text = FOLDER / f"{name}.json", json.dumps(content, indent=1) + "\n"
        if "--check" in sys.argv:
            stale += [] if path.exists() and path.read_text() == text else [path.name]
        else:
            path.write_text(text)
    if stale:
        sys.exit(f"run scripts/make-dashboards.py: {', '.join(stale)} would change")


main()

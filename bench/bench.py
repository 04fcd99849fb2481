#!/usr/bin/env python3
"""Benchmarks of the release build against references in the same run.

  bench/bench.py                     every scenario at its real size (about half an hour)
  bench/bench.py fanout crowd        some of them
  bench/bench.py --guarded --viewers 2000 --window 0ms fanout
                                     one cell of a table
  bench/bench.py --scale 0.02 all    a small run, to see that everything works
"""

import argparse
import sys

from machinery import Guard, Profile, Table, enter_network_namespace
from scenarios import SCENARIOS, Cells


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="*", default=["all"], help=f"all, or some of: {', '.join(SCENARIOS)}")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the real numbers of viewers and seconds")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each comparison; the median counts")
    parser.add_argument("--gate", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--guarded", action="store_true", help="with keys, tokens, limits per address and an access log")
    parser.add_argument("--profile", action="store_true", help="whep: where the server's time goes, by perf; figures are a little worse for it")
    parser.add_argument("--viewers", type=int, action="append", default=[], help="fanout: only with so many viewers (may be repeated)")
    parser.add_argument("--window", action="append", default=[], help="fanout: only with this merge window, as 40ms (may be repeated)")
    parser.add_argument("--share", default="1/1", choices=["1/1", "1/2", "2/2"], help="1/2: every second scenario from the first, 2/2: the others")
    options = parser.parse_args()
    names = list(SCENARIOS) if "all" in options.scenario else options.scenario
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    part, parts = map(int, options.share.split("/"))
    names = names[part - 1 :: parts]
    enter_network_namespace()
    Guard.on, Profile.on = options.guarded, options.profile
    Cells.viewers, Cells.windows = options.viewers, options.window
    Table.judges = options.scale >= 0.5
    held = [SCENARIOS[name](options.scale, options.rounds).save() for name in names]
    return 1 if options.gate and not all(held) else 0


if __name__ == "__main__":
    sys.exit(main())

"""The figures of the benchmarks: the one list of their names.

    python3 -m tests.bench.figures <OUTPUT      fails when a figure is missing in OUTPUT
"""

import statistics
import sys

FIGURES = {  # name: (unit, goal or "", what)
    "hook_ratio_serve_process": ("ratio", "<= 1.10", "median IMAP login with the helper served, durability = process"
                                                     " / without any helper"),
    "hook_ratio_serve_full": ("ratio", "<= 1.25", "the same with durability = full"),
    "hook_ratio_script": ("ratio", "<= 1.15", "script-login with drac-postlogin, full / with a program that only execs"),
    "hook_ratio_script_process": ("ratio", "", "the same with durability = process"),
    "hook_login_ms": ("ms", "", "median IMAP login without any helper"),
    "grants_per_s_1": ("/s", "", "new grants, one reporter with one request outstanding, full"),
    "grants_per_s_64": ("/s", "", "64 such reporters"),
    "grants_per_s_1_process": ("/s", "", "one reporter, durability = process"),
    "grants_per_s_64_process": ("/s", "", "64 reporters"),
    "grants_per_commit_64": ("logins", "", "mean batch with 64 reporters, full"),
    "grant_vs_lmdb_1": ("ratio", ">= 0.6", "grants / a bare LMDB loop with the same rows and batch, full"),
    "grant_vs_lmdb_64": ("ratio", ">= 0.5", "64 reporters"),
    "grant_vs_lmdb_1_process": ("ratio", "", "one reporter, durability = process"),
    "grant_vs_lmdb_64_process": ("ratio", "", "64 reporters"),
    "grant_added_ms_1": ("ms", "<= 0.25", "median grant, one reporter, less the median bare commit, full"),
    "login_latency_ms_p99_32": ("ms", "", "99th percentile of a grant, 32 reporters, full"),
    "lookups_per_s": ("/s", "", "socketmap, 32 connections with one request outstanding, 10,000 leases, half hits"),
    "lookup_vs_echo_1": ("ratio", ">= 0.8", "socketmap, 1 connection / netstring echo in dracd's own server"),
    "lookup_vs_echo_32": ("ratio", ">= 0.6", "32 connections"),
    "lookup_vs_epoll_32": ("ratio", "", "32 connections / the barest epoll echo"),
    "policy_vs_echo_32": ("ratio", "", "policy, 32 connections / the echo in dracd's own server"),
    "table_bytes_per_lease": ("octets", "<= 300", "used pages of the table / 100,000 leases with a user each"),
    "rss_mib_100k": ("MiB", "", "resident memory of dracd with these, the table's pages included (VmRSS)"),
    "rss_anon_mib_100k": ("MiB", "", "of which its own (RssAnon)"),
    "slow_disk_lookup_p99_added_ms": ("ms", "<= 2", "99th percentile of lookups with 32 reporters and an fsync that"
                                                    " takes 10 ms longer, less without the reporters"),
    "slow_disk_grants_per_fsync": ("logins", ">= 20", "grants in 10 ms under that load"),
    "slow_disk_grants_per_fsync_writes": ("logins", "", "the same if writes with O_DSYNC take 10 ms longer too"),
}


def say(name, value):
    """Print a figure."""
    unit, goal, what = FIGURES[name]
    print(f"BENCH {name} {value:.4g} {unit}" if value < 1000 else f"BENCH {name} {value:.0f} {unit}")
    print(f"#     {what}{f'; goal {goal}' if goal else ''}", flush=True)


def say_median(name, values):
    """Print the median of the rounds, and how far they lie apart."""
    say(name, statistics.median(values))
    low, _, high = statistics.quantiles(values, n=4)
    print(f"#     {len(values)} rounds: half of them from {low:.4g} to {high:.4g}, all from {min(values):.4g} to "
          f"{max(values):.4g}", flush=True)


def note(text):
    """Print what is not a figure."""
    print(f"# {text}", flush=True)


def main():
    """Compare the names in a finished output with the list."""
    printed = {line.split()[1] for line in sys.stdin if line.startswith("BENCH ")}
    missing, unknown = sorted(set(FIGURES) - printed), sorted(printed - set(FIGURES))
    for name in missing:
        print(f"figures: {name} was not printed")
    for name in unknown:
        print(f"figures: {name} is not in the list")
    return 1 if missing or unknown else 0


if __name__ == "__main__":
    sys.exit(main())

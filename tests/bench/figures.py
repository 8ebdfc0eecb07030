"""The figures of the benchmarks: the one list of their names.

    python3 -m tests.bench.figures [quick] <OUTPUT      fails when a figure is missing in OUTPUT
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
    "rpc_adds_per_s_1": ("/s", "", "new leases by the DRAC protocol, UDP, one client with one call outstanding, full"),
    "rpc_adds_per_s_32": ("/s", "", "32 such clients"),
    "rpc_vs_report_1": ("ratio", ">= 0.7", "one client / one reporter"),
    "rpc_vs_report_32": ("ratio", "", "32 clients / 32 reporters"),
    "rpc_slow_disk_32_vs_1": ("ratio", ">= 10", "32 clients / one, an fsync that takes 5 ms more"),
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

MAP_COUNTS = (1000, 10000, 100000, 1000000)
for _count in MAP_COUNTS:
    for _kind in ("hash", "btree", "lmdb", "cdb", "iplsearch"):
        FIGURES[f"publish_one_{_kind}_{_count}"] = (
            "ms", "", f"{_kind} map of {_count} rows: from the commit of one new lease to the file in place")
        FIGURES[f"rebuild_{_kind}_{_count}"] = ("ms", "", f"{_kind} map of {_count} rows: from the table, synced")
        if _kind != "iplsearch":
            FIGURES[f"rebuild_vs_postmap_{_kind}_{_count}"] = (
                "ratio", ">= 1.5" if _count == 1000000 else "", "postmap on the same keys, shuffled / that")
FIGURES["publish_one_vs_rebuild_hash_1000000"] = ("ratio", ">= 20", "our best rebuild / one new lease, both synced")
FIGURES["publish_one_lmdb_growth"] = ("ratio", "<= 5", "one new lease with 1,000,000 rows / with 1,000")

for _level in ("full", "process"):
    for _end, _after in (("stop", "an orderly stop"), ("kill", "SIGKILL")):
        FIGURES[f"start_lookup_ms_{_level}_{_end}"] = (
            "ms", "<= 1000", f"1,000,000 leases, durability = {_level}, after {_after}: from the start to an answer")
        FIGURES[f"start_ready_ms_{_level}_{_end}"] = ("ms", "<= 4000", "to READY, with an lmdb and a hash map")
FIGURES.update({
    "rss_mib_1m": ("MiB", "", "resident memory of dracd with 1,000,000 leases and these maps, when READY (VmRSS)"),
    "rss_anon_mib_1m": ("MiB", "", "of which its own (RssAnon)"),
    "ends_lookup_p99_ms": ("ms", "<= 5", "all leases end in one instant, 100 logins a second, lmdb and hash map:"
                                         " 99th percentile of lookups from then on (1,000,000 leases)"),
    "ends_lookup_max_ms": ("ms", "", "the longest of them"),
    "login_p99_ms_load": ("ms", "", "1,000 logins a second, 100,000 live leases, 60 s, full, hash, lmdb and iplsearch"
                                    " maps, policy: 99th percentile of a login from when it was due"),
    "bare_lmdb_p99_ms_load": ("ms", "", "the same of a bare LMDB loop, right before and after"),
    "login_p99_over_bare_ms": ("ms", "<= 20", "the difference"),
    "lookup_p99_ms_load": ("ms", "<= 2", "99th percentile of a policy lookup meanwhile"),
    "rss_mib_load": ("MiB", "", "resident memory at the end"),
    "rss_growth_load": ("ratio", "<= 1.05", "that / the one after 20 s"),
})
for _kind in ("hash", "lmdb", "iplsearch"):
    FIGURES[f"load_slowest_ms_{_kind}"] = ("ms", "", f"longest time from a commit to its publication, {_kind}")
    FIGURES[f"load_written_mb_per_s_{_kind}"] = ("MB/s", "", "octets written for that map, in a second")

# What `make bench-quick` has no time for.
NOT_QUICK = ("_100000", "_1000000", "_1m", "publish_one_lmdb_growth", "_stop", "_kill")


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
    wanted = {name for name in FIGURES if sys.argv[1:] != ["quick"] or not name.endswith(NOT_QUICK)}
    missing, unknown = sorted(wanted - printed), sorted(printed - set(FIGURES))
    for name in missing:
        print(f"figures: {name} was not printed")
    for name in unknown:
        print(f"figures: {name} is not in the list")
    return 1 if missing or unknown else 0


if __name__ == "__main__":
    sys.exit(main())

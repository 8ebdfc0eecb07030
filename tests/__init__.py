"""Tests of dracd. A regular package, so that no other package called `tests` can take its place."""

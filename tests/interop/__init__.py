"""dracd with real Dovecot, Postfix and Sendmail. Each test_*.py is a program of its own, to be run
under tests/run-namespaced, that prints one line per case."""

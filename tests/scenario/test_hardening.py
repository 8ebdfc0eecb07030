"""What the compiler and the linker have put into the programs that are shipped, read from them with readelf."""
import os
import re
import subprocess
import unittest

from dracd_box import BUILD

LIBRARY = f"{BUILD}/client/libdrac.so.1"
PROGRAMS = [f"{BUILD}/{name}" for name in ("dracd/dracd", "dracd/dracd-withdraw", "maps/drac-mapread", "client/dracctl", "client/drac-postlogin",
                                           "rpc/drac-rpcd")]
# Of gcc, which writes down how it was called; -D_FORTIFY_SOURCE is seen by what it calls.
COMPILED_WITH = {"-O2", "-fstack-protector-strong", "-fstack-clash-protection", "-ftrivial-auto-var-init=zero",
                 "-fzero-call-used-regs=used-gpr", "-fno-delete-null-pointer-checks", "-fno-strict-overflow"}


def readelf(*arguments):
    """Its lines, in no language but English."""
    return subprocess.run(["readelf", "-W", *arguments], check=True, capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout


def segments(path):
    """The rights of each kind of segment: {"GNU_STACK": ["RW"], ...}."""
    rights = {}
    for kind, flags in re.findall(r"^  ([A-Z_]+) +(?:0x[0-9a-f]+ +){5}([RWE ]{3})", readelf("-l", path), re.MULTILINE):
        rights.setdefault(kind, []).append(flags.replace(" ", ""))
    return rights


def symbols(path):
    """The names of all that it defines or calls."""
    return set(re.findall(r"([A-Za-z_]\w*)(?:@\S+)?(?: \(\d+\))?$", readelf("-s", path), re.MULTILINE))


def is_instrumented(path):
    """True if built for a sanitizer, coverage or valgrind, without what would hide a fault from them."""
    return any(f"-{flavour}" in os.path.basename(BUILD) for flavour in ("address", "thread", "undefined", "coverage",
                                                                      "memcheck")) or "__gcov_exit" in symbols(path)


def units(path):
    """How gcc was called, for each source file of ours."""
    return re.findall(r"DW_AT_producer.*?(GNU C\d.*)", readelf("--dwarf-depth=1", "--debug-dump=info", path))


class Hardening(unittest.TestCase):
    """Each binary by itself, so that one that is linked in a way of its own is found."""

    def each(self, paths, check):
        for path in paths:
            with self.subTest(os.path.basename(path)):
                check(path)

    def test_programs_are_position_independent(self):
        def check(path):
            self.assertRegex(readelf("-h", path), r"Type: +DYN ")
            self.assertRegex(readelf("-d", path), r"\(FLAGS_1\) .*\bPIE\b")
        self.each(PROGRAMS, check)

    def test_all_is_bound_at_the_start_and_then_read_only(self):
        def check(path):
            self.assertRegex(readelf("-d", path), r"\(FLAGS_1\) .*\bNOW\b")
            self.assertEqual(len(segments(path).get("GNU_RELRO", [])), 1)
        self.each([*PROGRAMS, LIBRARY], check)

    def test_nothing_is_writable_and_executable(self):
        def check(path):
            rights = segments(path)
            self.assertEqual(rights["GNU_STACK"], ["RW"])
            self.assertIn("RE", rights["LOAD"])
            self.assertEqual([flags for flags in rights["LOAD"] if "W" in flags and "E" in flags], [])
        self.each([*PROGRAMS, LIBRARY], check)

    def test_code_has_pages_of_its_own(self):
        """-z separate-code: constants and headers are not executable."""
        def check(path):
            self.assertEqual([flags for flags in segments(path)["LOAD"] if "E" in flags], ["RE"])
            self.assertIn("R", segments(path)["LOAD"])
        self.each([*PROGRAMS, LIBRARY], check)

    def test_libraries_come_from_the_system_alone(self):
        def check(path):
            self.assertNotRegex(readelf("-d", path), r"\((RPATH|RUNPATH|TEXTREL)\)")
        self.each([*PROGRAMS, LIBRARY], check)

    def test_stack_has_canaries(self):
        def check(path):
            self.assertIn("__stack_chk_fail", symbols(path))
        self.each([*PROGRAMS, LIBRARY], check)

    def test_calls_check_the_size_of_what_they_fill(self):
        def check(path):
            checked = {name for name in symbols(path) if re.fullmatch(r"__(?!stack)\w+_chk", name)}
            self.assertEqual(bool(checked), not is_instrumented(path), checked)
        self.each([*PROGRAMS, LIBRARY], check)

    def test_each_file_was_compiled_with_the_flags(self):
        def check(path):
            for call in units(path):
                wanted = {"-fstack-protector-strong"} if is_instrumented(path) else COMPILED_WITH
                self.assertEqual(wanted - set(call.split()), set(), call)
        self.each([*PROGRAMS, LIBRARY], check)

    def test_gcc_tells_its_flags(self):
        """What the test above relies on; clang, or a build without -g, has nothing to tell."""
        with open(f"{BUILD}/dracd/main.o", "rb") as file:
            told = b"GNU C17" in file.read()
        self.assertEqual(bool(units(PROGRAMS[0])), told)


if __name__ == "__main__":
    unittest.main()

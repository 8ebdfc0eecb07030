"""SECURITY.md names files, functions and tests: each of them exists, and each of the 25 threats has all three."""

import ast
import os
import re
import unittest

THREATS = 25
NAMED = re.compile(r"`([a-z]+/[A-Za-z0-9_./-]+)(?:: ([A-Za-z0-9_.]+)(\(\))?)?`")
TEST = re.compile(r"tests/(unit/test_\w+\.c|(scenario|root)/test_\w+\.py|interop/test_\w+\.py|(torture|soak|powerloss)/\w+\.(py|c|h))")


def table():
    """The rows of the table of threats, as lists of cells."""
    with open("SECURITY.md", encoding="utf-8") as file:
        lines = file.read().split("\n## Threats\n")[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]
    return rows[0], rows[1:]


def defines(path, name):
    """True if the C file defines the function, or has the unit test."""
    with open(path, encoding="utf-8") as file:
        return re.search(rf"^[a-z][^\n;]*\b{name}\((?:[^;{{]|\n)*\)\n\{{", file.read(), re.M) is not None


def has_method(path, name):
    """True if the Python file has the class, and the class the method."""
    with open(path, encoding="utf-8") as file:
        classes = {node.name: node for node in ast.parse(file.read()).body if isinstance(node, ast.ClassDef)}
    wanted, _, method = name.partition(".")
    return wanted in classes and any(isinstance(node, ast.FunctionDef) and node.name == method
                                     for node in classes[wanted].body)


class Security(unittest.TestCase):
    def test_what_is_named_exists(self):
        with open("SECURITY.md", encoding="utf-8") as file:
            named = NAMED.findall(file.read())
        self.assertGreater(len(named), 3 * THREATS)
        for path, name, _ in named:
            with self.subTest(path=path, name=name):
                self.assertTrue(os.path.exists(path), path)
                if path.endswith(".c"):
                    self.assertTrue(defines(path, name), f"{path} has no {name}")
                elif path.endswith(".py") and name:
                    self.assertTrue(has_method(path, name), f"{path} has no {name}")

    def test_each_threat_has_its_row(self):
        head, rows = table()
        self.assertEqual(head, ["#", "threat", "what is done", "where", "proved by", "mutation"])
        self.assertEqual([row[0] for row in rows], [str(n) for n in range(1, THREATS + 1)])
        for number, _, done, where, tests, mutation in rows:
            with self.subTest(threat=number):
                self.assertGreater(len(done), 40)
                self.assertNotEqual(NAMED.findall(where), [])
                named = NAMED.findall(tests)
                self.assertNotEqual(named, [])
                for path, name, _ in named:
                    self.assertRegex(path, TEST)
                    self.assertTrue(name or re.match("tests/(interop|torture|soak|powerloss)/", path), f"{path}: which test?")
                self.assertNotEqual(mutation, "")

    def test_others_lead_here(self):
        with open("README.md", encoding="utf-8") as readme:
            self.assertIn("SECURITY.md", readme.read())


if __name__ == "__main__":
    unittest.main()

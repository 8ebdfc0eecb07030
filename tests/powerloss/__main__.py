"""Power loss at any moment of one cycle of dracd: `make power-loss`.

    B=build/out python3 -m tests.powerloss [STATES [SEED]]

A run of dracd is recorded (record.py). Then for each moment of it, disks are made as they may be if the power fails
there (model.py), and dracd's own code is asked what it makes of each (judge.c): on another boot, by a clock that is right.
All subsets of what is not synced, if these are few; else none, all, each alone, all but each, and some at random; writes
also cut at a sector. STATES is how many of them are tried at each moment at most. The last line is "N passed, N failed".
"""
import hashlib
import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

from tests.powerloss import model, record
import map_types  # of tests/scenario, as record has found it

BUILD = os.environ.get("B", "build/out")
OVER = "203.0.113.5"  # its lease has ended before any of these starts
FEW = 5  # of these all subsets
IN_PLACE = "lmdb"  # written without a sync: what a power loss damages is rebuilt at the start (maps/map_lmdb.c)


class Judge:
    """The C program, and the directory that it is shown."""

    def __init__(self):
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.directory = tempfile.mkdtemp(prefix="dracd-power-", dir=base)
        self.process = None

    def ask(self, line):
        if self.process is None:
            self.process = subprocess.Popen([f"{BUILD}/tests/powerloss/judge"], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer.endswith("\n"):
            answer = f"died of {self.process.wait()}"
            self.process = None
        return answer.strip()

    def show(self, tree):
        """Writes the tree, in place of the last one."""
        place = f"{self.directory}/t"
        shutil.rmtree(place, ignore_errors=True)
        for path in sorted(tree):
            if tree[path] is None:
                os.mkdir(place + path, 0o700)
                continue
            with open(place + path, "wb", buffering=0) as file:
                file.write(tree[path])
        return place

    def done(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()
        shutil.rmtree(self.directory)


class Expected:
    """What must be true after so many answers."""

    def __init__(self, recording):
        self.actions = recording.actions

    def logins(self, count, published=False):
        """Who may be admitted, and who must be: the answered ones; the next may have been done."""
        may, must, out = set(), set(), set()
        for i, action in enumerate(self.actions[:count + 1]):
            answered = i < count and (action.published or not published)
            if action.kind == "login":
                may.add(action.subject)
                if answered:
                    must.add(action.subject)
                continue
            who = {action.subject} if action.kind == "revoke" else \
                {one.subject for one in self.actions[:i] if one.user == action.subject}
            must -= who
            if answered:
                may -= who
                out.add(action.subject)
        return may, must, out


def tears(disk, pending, chance):
    """Some writes cut at a sector: the beginning or the end of it is on the disk."""
    for node, index in pending:
        data = node.writes[index][2] if isinstance(node, model.Inode) else None
        if data and len(data) > model.SECTOR:
            cut = chance.randrange(1, (len(data) - 1) // model.SECTOR + 1) * model.SECTOR
            yield pending, {(id(node), index): (0, cut)}
            yield pending, {(id(node), index): (cut, len(data))}


def choices(disk, limit, chance):
    """Of what is pending, what is on the disk: (chosen, torn), the likelier first."""
    pending = disk.pending()
    found = [((), {}), (tuple(pending), {})]
    if len(pending) <= FEW:
        found += [(chosen, {}) for size in range(1, len(pending))
                  for chosen in itertools.combinations(pending, size)]
        found += list(tears(disk, pending, chance))
        return found[:max(limit, 2 ** FEW)]
    several = [((one,), {}) for one in pending]
    several += [(tuple(other for other in pending if other != one), {}) for one in pending]
    several += list(tears(disk, pending, chance))
    chance.shuffle(several)
    found += several[:limit // 2]
    while len(found) < limit:
        found.append((tuple(one for one in pending if chance.random() < chance.choice((.2, .5, .8))), {}))
    return found


def is_answer(given):
    text = b"".join(piece.data for piece in given if hasattr(piece, "data"))
    where = given[0].path if hasattr(given[0], "path") else ""
    return where.startswith(("socket:", "UNIX")) and text.startswith((b"OK granted", b"OK renewed", b"OK revoked"))


class Replay:
    def __init__(self, recording, folder, limit, chance):
        self.recording, self.folder, self.limit, self.chance = recording, folder, limit, chance
        self.top = f"{recording.directory}/{folder}"
        self.disk = model.Disk(self.top, recording.before)
        self.expected = Expected(recording)
        self.judge = Judge()
        self.seen = set()
        self.moments = self.states = self.distinct = self.failed = 0
        self.is_ready, self.is_clean = False, False

    def run(self):
        answers = 0
        for event, (call, given, result, begun, at) in enumerate(self.recording.events):
            if call == "sent":
                answers += is_answer(given)
                continue
            if self.disk.apply(at, call, given, result, begun):
                self.moment(answers, event)
        self.compare()
        self.judge.done()
        return self

    def moment(self, answers, at):
        self.moments += 1
        for chosen, torn in choices(self.disk, self.limit, self.chance):
            self.states += 1
            tree = self.disk.state(chosen, torn)
            key = hashlib.blake2b(repr(answers).encode())
            for path in sorted(tree):
                if not path.endswith("lock.mdb"):
                    key.update(path.encode() + b"\0" + (tree[path] or b"-"))
            if key.digest() in self.seen:
                continue
            self.seen.add(key.digest())
            self.distinct += 1
            problem = self.problem(tree, answers)
            if problem:
                self.failed += 1
                if self.failed <= 10:
                    call, given, *_ = self.recording.events[at]
                    names = [str(getattr(one, "path", one))[-60:] for one in given]
                    print(f"not ok power-loss {self.recording.durability} {self.folder}: after {answers} answers, "
                          f"event {at} {call} {names[:3]}: {problem}")

    def compare(self):
        """The model of all calls is what lies there at the end: nothing was missed."""
        tree = self.disk.state(self.disk.pending())
        real = {path[len(self.top):]: data for path, data in self.recording.after.items() if self.disk.has(path)}
        for other in set(tree) ^ set(real):
            self.miss(f"{other or '/'}: in one of record and directory only")
        for path in set(tree) & set(real):
            if tree[path] != real[path] and not path.endswith(("lock.mdb", "/lock")):
                self.miss(f"{path}: not what was recorded")
        for what in self.disk.unknown:
            self.miss(f"a call that the model does not know: {what}")

    def miss(self, what):
        self.failed += 1
        print(f"not ok power-loss {self.recording.durability} {self.folder}: {what}")


class State(Replay):
    """The state directory: what a lookup admits after the next start."""

    def __init__(self, recording, limit, chance):
        super().__init__(recording, "state", limit, chance)
        self.wall = int((time.time() + 10) * 1000000)

    def problem(self, tree, answers):
        if "" not in tree:
            return None
        place = self.judge.show(tree)
        marked = "/running" in tree
        durability = self.recording.durability.replace("changed", "full")
        answer = self.judge.ask(f"state {place} {self.wall} {durability}")
        aside = any(name.startswith("table.aside") for name in os.listdir(place))
        if not answer.startswith("0 "):
            return f"dracd does not start: {answer}"
        admitted, _, blocked = (set(part.split()) for part in answer.partition(" |"))
        admitted -= {"0", "there", "new"}
        may, must, out = self.expected.logins(answers)
        may.discard(OVER), must.discard(OVER)
        if admitted - may:
            return f"admitted {sorted(admitted - may)}"
        if out - blocked:
            return f"no longer shut out {sorted(out - blocked)}"
        if self.recording.durability == "changed" and b"durability=full" not in (tree.get("/running") or b""):
            if answers > self.recording.first_of_full and "/running" in tree:
                return "the marker says that nothing is synced"
            return None
        if self.recording.durability in ("changed", "full"):
            if aside and answers > 0:
                return "a table was moved aside"
            return f"lost {sorted(must - admitted)}" if must - admitted else None
        if marked and tree.get("/table/data.mdb"):  # an empty file is no table yet
            return f"left from an unclean stop: {sorted(admitted)}" if admitted or not aside else None
        return f"lost after a clean stop: {sorted(must - admitted)}" if answers == len(self.expected.actions) and \
            must - admitted else None


class Maps(Replay):
    """The maps: each can be read, and shows nobody whose end was published."""

    def __init__(self, recording, limit, chance):
        super().__init__(recording, "maps", limit, chance)

    def problem(self, tree, answers):
        may = self.expected.logins(answers, published=True)[0]
        place = self.judge.show(tree)
        for kind, suffix in record.MAPS.items():
            name = f"/{kind}{suffix}"
            if name not in tree:
                if answers > 0:
                    return f"{kind}: missing"
                continue
            if not tree[name] and kind != "iplsearch":
                return f"{kind}: empty"
            if kind == IN_PLACE:
                continue
            answer = self.judge.ask(f"map {kind} {place}{name}").split()
            if not answer or answer[0] != "0":
                return f"{kind}: {' '.join(answer)}"
            strangers = {key.strip('"') for key in answer[1:]} - may
            if strangers:
                return f"{kind}: still shows {sorted(strangers)}"
        return None


class Starts:
    """dracd itself, on a few of the disks: its lookups and its maps, those written in place as well, say the same."""

    def __init__(self, recording, count, chance):
        self.recording, self.chance = recording, chance
        self.disks = [model.Disk(f"{recording.directory}/{folder}", recording.before) for folder in ("state", "maps")]
        self.expected = Expected(recording)
        self.chosen = set(chance.sample(range(len(recording.events)), count))
        self.passed = self.failed = 0

    def run(self):
        answers, due = 0, False
        for event, (call, given, result, begun, at) in enumerate(self.recording.events):
            due = due or event in self.chosen
            if call == "sent":
                answers += is_answer(given)
                continue
            changed = [disk.apply(at, call, given, result, begun) for disk in self.disks]
            if due and any(changed):
                due = False
                problem = self.start(answers)
                self.passed += not problem
                self.failed += bool(problem)
                if problem:
                    print(f"not ok power-loss start after {answers} answers, event {event}: {problem}")
        return self

    def start(self, answers):
        directory = tempfile.mkdtemp(prefix="dracd-power-")
        os.chmod(directory, 0o755)
        for disk, folder in zip(self.disks, ("state", "maps")):
            chosen = [one for one in disk.pending() if self.chance.random() < .5]
            for path, data in sorted(disk.state(chosen).items()):
                if data is None:
                    os.mkdir(f"{directory}/{folder}{path}", 0o755)
                else:
                    with open(f"{directory}/{folder}{path}", "wb") as file:
                        file.write(data)
        dracd = record.Dracd(directory=directory)
        try:
            dracd.write_config(record.config(self.recording.durability, directory))
            dracd.start(env={**os.environ, "DRACD_LIBEXECDIR": dracd.libexec, "DRACD_BOOT_ID": "b0" * 16})
            return self.problem(dracd, answers)
        except (AssertionError, OSError, ValueError) as error:
            return f"{error}"
        finally:
            dracd.remove()

    def problem(self, dracd, answers):
        may, must, _ = self.expected.logins(answers)
        may.discard(OVER), must.discard(OVER)
        everybody = {action.subject for action in self.recording.actions if action.kind == "login"}
        admitted = {address for address in everybody if dracd.admits(address)}
        if not must <= admitted <= may:
            return f"admitted {sorted(admitted)}, of those who may {sorted(may)} and must {sorted(must)}"
        for kind, suffix in record.MAPS.items():
            shown = {key.strip('"') for key in map_types.rows(kind, dracd.path(f"maps/{kind}{suffix}"))}
            if shown != admitted:
                return f"map {kind} shows {sorted(shown)}, admitted is {sorted(admitted)}"
        left = [name for name in os.listdir(dracd.path("maps")) if name.endswith(".tmp")]
        return f"left behind: {left}" if left else None


def main():
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    print(f"seed {seed}, at most {limit} states at each moment")
    passed = failed = 0
    for durability, replays in (("full", (State, Maps)), ("process", (State,)), ("changed", (State,))):
        recording = record.Recording(durability)
        for replay in replays:
            begun = time.monotonic()
            done = replay(recording, limit, random.Random(seed)).run()
            print(f"{durability:8} {done.folder:6} {len(recording.actions)} answers, {done.moments} moments, "
                  f"{done.states} states, {done.distinct} different, {done.failed} wrong, "
                  f"{time.monotonic() - begun:.0f} s")
            failed += done.failed
            passed += done.distinct - min(done.failed, done.distinct)
        if durability == "full":
            begun = time.monotonic()
            starts = Starts(recording, max(5, limit // 4), random.Random(seed)).run()
            print(f"{durability:8} start  {starts.passed + starts.failed} starts of dracd, {starts.failed} wrong, "
                  f"{time.monotonic() - begun:.0f} s")
            failed += starts.failed
            passed += starts.passed
    print(f"{passed} passed, {failed} failed")
    return failed > 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main())

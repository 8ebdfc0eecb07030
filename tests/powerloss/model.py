"""Files and directories as a disk has them: what is there for sure, and what may be.

A file: what its last sync has made sure, and the writes since. A directory: likewise, its names. A name is not made sure
by a sync of the file that has it: POSIX does not say so, and journals do not promise it. A call is one step of a
directory: rename takes one name and gives another, both or neither.
"""
import os

SECTOR = 512


class Inode:
    def __init__(self, data=b""):
        self.sure, self.writes = bytes(data), []

    def content(self, writes):
        data = bytearray(self.sure)
        for _, offset, piece in writes:
            if piece is None:
                del data[offset:]
                data.extend(bytes(offset - len(data)))
                continue
            if len(data) < offset:
                data.extend(bytes(offset - len(data)))
            data[offset:offset + len(piece)] = piece
        return bytes(data)

    def now(self):
        return self.content(self.writes)

    def settle(self, before):
        """A sync that began then: the writes that were done by then are sure."""
        done = [write for write in self.writes if write[0] < before]
        self.sure = self.content(done)
        self.writes = [write for write in self.writes if write[0] >= before]


class Folder:
    def __init__(self):
        self.sure, self.steps = {}, []

    def names(self, steps):
        found = dict(self.sure)
        for _, changes in steps:
            for name, node in changes.items():
                if node is None:
                    found.pop(name, None)
                else:
                    found[name] = node
        return found

    def now(self):
        return self.names(self.steps)

    def settle(self, before):
        self.sure = self.names([step for step in self.steps if step[0] < before])
        self.steps = [step for step in self.steps if step[0] >= before]


class Disk:
    """Follows the calls of a recording, below one directory."""

    def __init__(self, top, before):
        self.top, self.root = top, Folder()
        self.synced_at_once, self.offsets = {}, {}
        self.unknown = []
        for path in sorted(path for path in before if self.has(path) and path != top):
            node = Folder() if before[path] is None else Inode(before[path])
            self.folder(path).sure[os.path.basename(path)] = node

    def has(self, path):
        return path == self.top or path.startswith(self.top + "/")

    def find(self, path):
        node = self.root
        for part in path[len(self.top) + 1:].split("/") if path != self.top else []:
            node = node.now().get(part) if isinstance(node, Folder) else None
        return node

    def folder(self, path):
        return self.find(os.path.dirname(path))

    def step(self, at, path, node):
        self.folder(path).steps.append((at, {os.path.basename(path): node}))

    # ---- calls; at is when the call ended, begun when it began ----

    def write(self, at, file, offset, data):
        node = self.find(file.path)
        if not isinstance(node, Inode):
            return False
        write = (at, offset, data)
        if self.synced_at_once.get((file.number, file.path)):
            node.sure, kept = node.content([write]), node.writes
            node.writes = kept
        else:
            node.writes.append(write)
        return True

    def apply(self, at, call, given, result, begun):
        """False if the call changes nothing here."""
        handler = getattr(self, "do_" + call, None)
        return bool(handler and handler(at, given, result, begun))

    def named(self, given, where=0):
        """The full name from a directory and a name in it."""
        folder, name = given[where:where + 2]
        name = str(name)
        return name if name.startswith("/") else os.path.join(folder.path, name)

    def do_openat(self, at, given, result, begun):
        path, flags, file = self.named(given), given[2], given[-1]
        if path.startswith("/proc/self/fd/"):
            path = file.path
        if not self.has(path):
            return False
        self.synced_at_once[(file.number, file.path)] = "SYNC" in flags
        self.offsets[(file.number, file.path)] = 0
        if "O_TMPFILE" in flags:
            self.unknown.append("O_TMPFILE")
        node = self.find(path)
        if node is None and "O_CREAT" in flags:
            self.step(at, path, Inode())
            return True
        if isinstance(node, Inode) and "O_TRUNC" in flags and node.now():
            node.writes.append((at, 0, None))
            return True
        return False

    def do_open(self, at, given, result, begun):
        return self.do_openat(at, [File0, *given], result, begun)

    def do_lseek(self, at, given, result, begun):
        self.offsets[(given[0].number, given[0].path)] = result
        return False

    def do_pwrite64(self, at, given, result, begun):
        return self.has(given[0].path) and self.write(at, given[0], int(given[3]), given[1].data[:result])

    def do_write(self, at, given, result, begun):
        file = given[0]
        if not isinstance(file, tuple) and not self.has(getattr(file, "path", "")):
            return False
        offset = self.offsets.get((file.number, file.path), 0)
        self.offsets[(file.number, file.path)] = offset + result
        return self.write(at, file, offset, given[1].data[:result])

    def pieces(self, given):
        return b"".join(piece.data for piece in given if hasattr(piece, "data"))

    def do_writev(self, at, given, result, begun):
        file = given[0]
        if not self.has(getattr(file, "path", "")):
            return False
        offset = self.offsets.get((file.number, file.path), 0)
        self.offsets[(file.number, file.path)] = offset + result
        return self.write(at, file, offset, self.pieces(given)[:result])

    def do_pwritev(self, at, given, result, begun):
        return self.has(given[0].path) and self.write(at, given[0], int(given[-1]), self.pieces(given)[:result])

    def do_ftruncate(self, at, given, result, begun):
        return self.has(given[0].path) and self.write(at, given[0], int(given[1], 0), None)

    def do_copy_file_range(self, at, given, result, begun):
        files = [one for one in given if hasattr(one, "path")]
        if not self.has(files[1].path) or result == 0:
            return False
        key = (files[1].number, files[1].path)
        source = (files[0].number, files[0].path)
        start, offset = self.offsets.get(source, 0), self.offsets.get(key, 0)
        data = self.find(files[0].path).now()[start:start + result]
        self.offsets[key], self.offsets[source] = offset + result, start + result
        return self.write(at, files[1], offset, data)

    def do_fsync(self, at, given, result, begun):
        if not self.has(getattr(given[0], "path", "")):
            return False
        node = self.find(given[0].path)
        if node is not None:
            node.settle(begun)
        return node is not None

    do_fdatasync = do_fsync

    def move(self, at, old, new):
        if not self.has(old) and not self.has(new):
            return False
        node, folder = self.find(old), self.folder(old)
        if folder is not self.folder(new):
            raise NotImplementedError(f"from one directory to another: {old} {new}")
        folder.steps.append((at, {os.path.basename(old): None, os.path.basename(new): node}))
        return True

    def do_renameat(self, at, given, result, begun):
        return self.move(at, self.named(given), self.named(given, 2))

    do_renameat2 = do_renameat

    def do_rename(self, at, given, result, begun):
        return self.move(at, str(given[0]), str(given[1]))

    def do_linkat(self, at, given, result, begun):
        old, new = self.named(given), self.named(given, 2)
        if self.has(new):
            self.step(at, new, self.find(old))
        return self.has(new)

    def do_unlinkat(self, at, given, result, begun):
        path = self.named(given)
        if self.has(path):
            self.step(at, path, None)
        return self.has(path)

    def do_unlink(self, at, given, result, begun):
        return self.do_unlinkat(at, [File0, *given], result, begun)

    def do_mkdir(self, at, given, result, begun):
        path = str(given[0])
        if self.has(path):
            self.step(at, path, Folder())
        return self.has(path)

    def do_msync(self, at, given, result, begun):
        self.unknown.append("msync")

    def do_fallocate(self, at, given, result, begun):
        if self.has(given[0].path):
            self.unknown.append("fallocate")

    do_sendfile = do_splice = do_symlink = do_symlinkat = do_link = do_mkdirat = do_creat = do_pwritev2 = do_fallocate

    # ---- states ----

    def nodes(self):
        """All files and directories that may be in a state."""
        found, todo = [], [self.root]
        while todo:
            node = todo.pop()
            if any(node is one for one in found):
                continue
            found.append(node)
            if isinstance(node, Folder):
                names = list(node.sure.values()) + [n for _, step in node.steps for n in step.values() if n]
                todo.extend(names)
        return found

    def pending(self):
        """What may be on the disk, or not: (node, index)."""
        return [(node, index) for node in self.nodes()
                for index in range(len(node.steps if isinstance(node, Folder) else node.writes))]

    def state(self, chosen, torn=()):
        """The tree, if of what is pending only this is on the disk: name -> contents, None for a directory.

        torn: {(node, index): (from, to)}, the part of a write that is.
        """
        torn = dict(torn)
        picked = {}
        for node, index in chosen:
            picked.setdefault(id(node), set()).add(index)
        found = {}

        def visit(node, path):
            wanted = picked.get(id(node), ())
            if isinstance(node, Folder):
                found[path] = None
                names = node.names([step for i, step in enumerate(node.steps) if i in wanted])
                for name, inside in names.items():
                    visit(inside, f"{path}/{name}")
                return
            writes = []
            for i, (at, offset, data) in enumerate(node.writes):
                if i not in wanted:
                    continue
                if (id(node), i) in torn and data:
                    begin, end = torn[(id(node), i)]
                    offset, data = offset + begin, data[begin:end]
                writes.append((at, offset, data))
            found[path] = node.content(writes) if writes else node.sure
        visit(self.root, "")
        return found


class Cwd:
    number, path = "AT_FDCWD", "/"


File0 = Cwd()

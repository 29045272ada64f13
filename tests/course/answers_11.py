"""Recorded answers to exercise 11: wrong ones with the misconception they stand for, and right ones."""

from __future__ import annotations

from answers_00 import RIGHT_DIRECT_ACCESS, WRONG_DIRECT_ACCESS
from answers_05 import RIGHT as RIGHT_05
from answers_05 import WRONG as WRONG_05


def indented(body: str) -> str:
    return "\n".join(f"    {line}" for line in body.strip("\n").splitlines()) + "\n"


def direct_access(body: str) -> str:
    return ("# Your turn: 11.1\ndef direct_access(bdev, sector):\n    info = bdev.bd_disk.private_data\n"
            f"{indented(body)}")


def get_xip_mem(source: str) -> str:
    """An answer to 05.4 as one to 11.2."""
    return source.replace("# Your turn: 05.4", "# Your turn: 11.2")


def reading(body: str) -> str:
    return ("# Your turn: 11.3\ndef xip_file_read(filp, buf, count, pos):\n"
            "    mapping, memory = filp.f_mapping, filp.f_mapping.kernel.memory\n"
            f"    ask = mapping.a_ops.get_xip_mem\n{indented(body)}")


def writing(body: str) -> str:
    return ("# Your turn: 11.4\ndef xip_file_write(filp, buf, count, pos):\n"
            "    mapping, memory = filp.f_mapping, filp.f_mapping.kernel.memory\n"
            f"    inode, ask = mapping.host, mapping.a_ops.get_xip_mem\n{indented(body)}")


def fault(body: str) -> str:
    return ("# Your turn: 11.5\ndef xip_file_fault(vma, vmf):\n    mapping = vma.vm_file.f_mapping\n"
            f"    ask = mapping.a_ops.get_xip_mem\n{indented(body)}")


def cached_by(body: str) -> str:
    return f"# Your turn: 11.6\ndef cached_by(guest, path):\n{indented(body)}"


READ = """
start, end = pos, min(pos + count, mapping.host.i_size)
while pos < end:
    offset = pos % PAGE_SIZE
    chunk = min(PAGE_SIZE - offset, end - pos)
    try:
        kmem, _ = ask(mapping, pos // PAGE_SIZE, False)
        buf.copy_to_user(memory.span(kmem + offset, chunk))
    except NoData:
        buf.clear_user(chunk)
    pos += chunk
return pos - start
"""
WRITE = """
start, end = pos, pos + count
while pos < end:
    offset, page = pos % PAGE_SIZE, pos // PAGE_SIZE
    chunk = min(PAGE_SIZE - offset, end - pos)
    try:
        kmem, _ = ask(mapping, page, False)
    except NoData:
        kmem, _ = ask(mapping, page, True)
        xip_unmap(mapping, page)
    buf.copy_from_user(memory.span(kmem + offset, chunk, "store"))
    pos += chunk
if pos > inode.i_size:
    inode.i_size = pos
    mark_inode_dirty(inode)
return pos - start
"""
END = "if vmf.pgoff * PAGE_SIZE >= mapping.host.i_size: sigbus(vma, vmf, 'behind')\n"
FAULT = END + """
try:
    pfn = ask(mapping, vmf.pgoff, False)[1]
except NoData:
    if stores_reach_the_file(vma):
        pfn = ask(mapping, vmf.pgoff, True)[1]
        xip_unmap(mapping, vmf.pgoff)
    else:
        pfn = xip_sparse_page(mapping.kernel)
vm_insert_mixed(vma, vmf.virtual_address, pfn)
"""
MEASURE = "before = cache_frames(guest)\nexecute(guest, path)\nreturn cache_frames(guest) - before\n"


def but(body: str, old: str, new: str) -> str:
    """The body with one place changed."""
    assert old in body
    return body.replace(old, new)


WRONG = {
    "11.1": [(misconception, direct_access(body)) for misconception, body in WRONG_DIRECT_ACCESS],
    "11.2": [(misconception, get_xip_mem(source)) for misconception, source in WRONG_05["05.4"]],
    "11.3": [
        ("page-begins-at-the-position", reading(but(READ, "kmem + offset", "kmem"))),
        ("piece-is-the-request", reading(but(READ, "end - pos)", "count)"))),
        ("one-page-is-enough", reading(but(READ, "    pos += chunk\n", "    pos += chunk\n    break\n"))),
        ("hole-is-an-error", reading(but(READ, "except NoData:\n        buf.clear_user(chunk)",
                                         "except KeyError:\n        pass"))),
        ("reading-allocates", reading(but(READ, "PAGE_SIZE, False", "PAGE_SIZE, True"))),
        ("files-never-end", reading(but(READ, "min(pos + count, mapping.host.i_size)", "pos + count"))),
        ("nobody-needs-the-count", reading(but(READ, "return pos - start", "return count"))),
        ("nobody-needs-the-count", reading(but(READ, "return pos - start", ""))),
    ],
    "11.4": [
        ("page-begins-at-the-position", writing(but(WRITE, "kmem + offset", "kmem"))),
        ("asking-is-no-creating", writing(but(WRITE, "page, True", "page, False"))),
        ("sparse-page-stays", writing(but(WRITE, "        xip_unmap(mapping, page)\n", ""))),
        ("size-grows-by-itself", writing(but(WRITE, "    inode.i_size = pos\n", ""))),
        ("size-grows-by-itself", writing(but(WRITE, "    mark_inode_dirty(inode)\n", ""))),
        ("write-sets-the-size", writing(but(WRITE, "if pos > inode.i_size:", "if True:"))),
        ("nobody-needs-the-count", writing(but(WRITE, "return pos - start", "return 0"))),
    ],
    "11.5": [
        ("address-is-a-frame", fault(FAULT.replace(")[1]", ")[0]"))),
        ("kernel-finds-the-frame", fault(but(FAULT, "vm_insert_mixed(vma, vmf.virtual_address, pfn)",
                                             "return pfn"))),
        ("behind-the-end-is-zeros", fault(but(FAULT, END, ""))),
        ("zeros-are-enough", fault(but(FAULT, "if stores_reach_the_file(vma)", "if False"))),
        ("reading-allocates", fault(but(FAULT, "if stores_reach_the_file(vma)", "if True"))),
        ("sparse-page-stays", fault(but(FAULT, "        xip_unmap(mapping, vmf.pgoff)\n", ""))),
        ("hole-is-an-error", fault(but(FAULT, "except NoData:", "except KeyError:"))),
        ("any-error-will-do", fault(but(FAULT, "sigbus(vma, vmf, 'behind')",
                                        "raise OSError(errno.EIO, 'x')"))),
    ],
    "11.6": [
        ("what-is-there-was-taken", cached_by("execute(guest, path)\nreturn cache_frames(guest)")),
        ("look-after-the-run", cached_by("execute(guest, path)\nbefore = cache_frames(guest)\n"
                                         "return cache_frames(guest) - before")),
        ("look-after-the-run", cached_by(but(MEASURE, "cache_frames(guest) - before",
                                             "before - cache_frames(guest)"))),
        ("frame-is-not-bytes", cached_by(but(MEASURE, "return cache_frames(guest) - before",
                                             "return (cache_frames(guest) - before) * PAGE_SIZE"))),
        ("all-frames-are-cache", cached_by("return execute(guest, path)")),
    ],
}

RIGHT = {
    "11.1": [direct_access(body) for body in RIGHT_DIRECT_ACCESS],
    "11.2": [get_xip_mem(source) for source in RIGHT_05["05.4"]],
    "11.3": [
        reading(but(READ, "PAGE_SIZE - offset, end - pos", "end - pos, PAGE_SIZE - offset")),
        reading("""
left = max(0, min(count, mapping.host.i_size - pos))
moved = 0
while moved < left:
    page, offset = divmod(pos + moved, 4096)
    size = min(4096 - offset, left - moved)
    try:
        address = ask(mapping, page, create=False)[0]
    except OSError as failure:
        if failure.errno != errno.ENODATA:
            raise
        buf.clear_user(size)
    else:
        buf.copy_to_user(memory.span(address + offset, size))
    moved += size
return moved
"""),
        reading("""
def piece(at, size):
    try:
        kmem, pfn = ask(mapping, at >> 12, 0)
    except NoData:
        return buf.clear_user(size)
    return buf.copy_to_user(memory.span(kmem + (at & 4095), size))
done, end = 0, min(pos + count, mapping.host.i_size)
while pos + done < end:
    done += piece(pos + done, min(4096 - (pos + done) % 4096, end - pos - done))
return done
"""),
    ],
    "11.4": [
        writing(but(WRITE, "offset, page = pos % PAGE_SIZE, pos // PAGE_SIZE",
                    "page, offset = divmod(pos, 4096)")),
        writing(but(WRITE, "if pos > inode.i_size:\n    inode.i_size = pos\n",
                    "if pos > inode.i_size:\n    inode.i_size = max(pos, inode.i_size)\n")),
        writing("""
def place(page):
    try:
        return ask(mapping, page, False)[0]
    except OSError as failure:
        if failure.errno != errno.ENODATA: raise
        kmem = ask(mapping, page, True)[0]
        xip_unmap(mapping, page)
        return kmem
done = 0
while done < count:
    page, offset = divmod(pos + done, 4096)
    size = min(4096 - offset, count - done)
    done += buf.copy_from_user(memory.span(place(page) + offset, size, "store"))
if pos + count > inode.i_size:
    inode.i_size = pos + count
    mark_inode_dirty(inode)
return count
"""),
    ],
    "11.5": [
        fault(but(FAULT, "vmf.pgoff * PAGE_SIZE >= mapping.host.i_size",
                  "vmf.pgoff >= (mapping.host.i_size + 4095) // 4096")),
        fault(END + """
writable = stores_reach_the_file(vma)
try:
    pfn = ask(mapping, vmf.pgoff, writable)[1]
    xip_unmap(mapping, vmf.pgoff)
except NoData:
    pfn = xip_sparse_page(mapping.kernel)
vm_insert_mixed(vma, vmf.virtual_address, pfn)
"""),
        fault(END + """
def frame():
    try:
        return ask(mapping, vmf.pgoff, False)[1]
    except OSError as failure:
        if failure.errno != errno.ENODATA: raise
    if not stores_reach_the_file(vma):
        return xip_sparse_page(mapping.kernel)
    pfn = ask(mapping, vmf.pgoff, True)[1]
    xip_unmap(mapping, vmf.pgoff)
    return pfn
vm_insert_mixed(vma, vmf.virtual_address, frame())
"""),
    ],
}

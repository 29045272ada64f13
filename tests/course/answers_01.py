"""Recorded answers to exercise 01: wrong ones with the misconception they stand for, and right ones."""

from __future__ import annotations

from xiplab.course.parsons import lettered
from xiplab.course.problem import question
from xiplab.course.questions.ex01_count import BELIEFS, Cache, belief_behind, situation, truth_of


def body(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip("\n").splitlines()) + "\n"


# ---- 01.1

def counted(belief: str) -> str:
    """What somebody with this belief says, in the first situation where no other belief says the same."""
    def shows(number: int) -> bool:
        said = Cache(belief).play(situation(number))
        return said != truth_of(situation(number)) and belief_behind(situation(number), said) == belief

    number = next(number for number in range(1000) if shows(number))
    return (f"# Your turn: 01.1\nSITUATION = {number}\n\n\ndef what_is_counted():\n"
            f"    return {Cache(belief).play(situation(number))}\n")


WRONG_COUNT = [(belief, counted(belief)) for belief in BELIEFS]


# ---- 01.2

def cached_read(*lines: str) -> str:
    """The answer whose blocks are these."""
    letters = {block.text: letter for letter, block in lettered(question("01.2")).items()}
    order = "".join(letters[line] for line in lines)
    return f'# Your turn: 01.2\ndef order_of_cached_read():\n    return "{order}"\n'


HEAD = "def cached_read(mapping, index, find_page, add_page, read_page, copy_to_user):"
FIND = "    page = find_page(mapping, index)"
MISS = "    if page is None:"
ADD = "        page = add_page(mapping, index)"
FILL = "        read_page(page)"
COPY = "    copy_to_user(page)"

WRONG_READ = [
    ("second-read-is-free", cached_read(HEAD, FIND, MISS, ADD, FILL, "        copy_to_user(page)")),
    ("cache-asks-again", cached_read(HEAD, FIND, MISS, ADD, "    read_page(page)", COPY)),
    ("each-read-takes-a-frame", cached_read(HEAD, "    page = add_page(mapping, index)", "    "
                                                                                         "read_page(page)",
                                            COPY)),
    ("frame-comes-filled", cached_read(HEAD, FIND, MISS, ADD, COPY)),
]


# ---- 01.3

def writepage(text: str) -> str:
    return "# Your turn: 01.3\ndef writepage(page):\n" + body(text)


WRONG_WRITEPAGE = [
    ("no-writing-means-clean", writepage("page.uptodate = True\npage.dirty = False")),
    ("flag-is-still-set", writepage("return 0")),
    ("refusing-keeps-it", writepage("import errno\nraise OSError(errno.EIO, 'nowhere to write to')")),
    ("refusing-keeps-it", writepage("import errno\npage.dirty = True\nraise OSError(errno.EIO, 'no')")),
    ("flag-is-still-set", writepage("if not page.dirty:\n    page.dirty = False")),
    ("flag-is-still-set", writepage("page.uptodate = True\npage.dirty = page.dirty")),
]
RIGHT_WRITEPAGE = [
    writepage("page.dirty = True"),
    writepage("if not page.dirty:\n    page.dirty = True\nreturn 0"),
    writepage("setattr(page, 'dirty', page.uptodate)"),
]


# ---- 01.4

def shrink(text: str) -> str:
    return "# Your turn: 01.4\ndef shrink(pages, wanted, writepage, drop):\n" + body(text)


STOP = "    if freed == wanted:\n        break\n"
MAPPED = "    if page.mapcount:\n        continue\n"
WRITE = "    if page.dirty:\n        writepage(page)\n"
STILL = "    if page.dirty:\n        continue\n"
DROP = "    drop(page)\n    freed += 1\n"
BEGIN, END = "freed = 0\nfor page in pages:\n", "return freed"

WRONG_SHRINK = [
    ("mapped-can-go", shrink(BEGIN + STOP + WRITE + STILL + DROP + END)),
    ("dirty-can-be-dropped", shrink(BEGIN + STOP + MAPPED + DROP + END)),
    ("written-means-clean", shrink(BEGIN + STOP + MAPPED + WRITE + DROP + END)),
    ("dirty-pages-stay", shrink(BEGIN + STOP + MAPPED + STILL + DROP + END)),
    ("more-is-better", shrink(BEGIN + MAPPED + WRITE + STILL + DROP + END)),
    ("looked-at-is-freed", shrink(BEGIN + STOP + "    freed += 1\n" + MAPPED + WRITE + STILL + "    "
                                                 "drop(page)\n"
                                  + END)),
]
RIGHT_SHRINK = [
    shrink("""
freed = []
for page in pages:
    if len(freed) < wanted and page.mapcount == 0:
        if page.dirty:
            writepage(page)
        if not page.dirty:
            drop(page)
            freed.append(page)
return len(freed)
"""),
    shrink("""
left = wanted
for page in [page for page in pages if not page.mapcount]:
    if left == 0:
        return wanted
    page.dirty and writepage(page)
    if page.dirty:
        continue
    drop(page)
    left -= 1
return wanted - left
"""),
    shrink("""
def can_go(page):
    if page.mapcount > 0:
        return False
    if page.dirty:
        writepage(page)
    return not page.dirty

freed, rest = 0, iter(pages)
while freed < wanted:
    page = next(rest, None)
    if page is None:
        break
    if can_go(page):
        drop(page)
        freed = freed + 1
return freed
"""),
]


# ---- 01.5

def places(text: str) -> str:
    return "# Your turn: 01.5\ndef different_frames(places, shares_memory, same_bytes):\n" + body(text)


MET = """
different = []
for place in places:
    if not any(shares_memory(place, other) for other in different):
        different.append(place)
return len(different)
"""
WRONG_PLACES = [
    ("equal-is-the-same", places(MET.replace("shares_memory", "same_bytes"))),
    ("each-name-is-memory", places("return len(places)")),
    ("one-comparison-is-enough", places("number = 1\nfor a, b in zip(places, places[1:]):\n"
                                        "    if not shares_memory(a, b):\n        number += 1\nreturn "
                                        "number")),
    ("one-comparison-is-enough", places("return 1 + len([p for p in places if not shares_memory(p, "
                                        "places[0])])")),
    ("original-is-not-counted", places(MET.replace("len(different)", "len(different) - 1"))),
]
RIGHT_PLACES = [
    places("return sum(not any(shares_memory(places[i], places[j]) for j in range(i))\n"
           "           for i in range(len(places)))"),
    places("count = 0\nrest = list(places)\nwhile rest:\n    first = rest[0]\n"
           "    rest = [place for place in rest if not shares_memory(place, first)]\n    count += 1\n"
           "return count"),
    places("groups = []\nfor place in places:\n    for group in groups:\n"
           "        if shares_memory(place, group[0]):\n            group.append(place)\n            break\n"
           "    else:\n        groups.append([place])\nreturn len(groups)"),
]

WRONG = {"01.1": WRONG_COUNT, "01.2": WRONG_READ, "01.3": WRONG_WRITEPAGE, "01.4": WRONG_SHRINK,
         "01.5": WRONG_PLACES}
RIGHT = {"01.3": RIGHT_WRITEPAGE, "01.4": RIGHT_SHRINK, "01.5": RIGHT_PLACES}
SURVIVORS = {"01.3": ["page.uptodate = False"], "01.4": ["freed >= wanted"]}

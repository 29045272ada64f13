"""Question 01.2: a program reads a page, which is in the page cache or is not."""

from __future__ import annotations

from functools import partial
from random import Random

from xiplab.course.experiments.copies import Disk, word_of
from xiplab.course.problem import Answer
from xiplab.course.questions.seam import seam
from xiplab.course.questions.twin import Function, Step, judge_play, outcome
from xiplab.linux.include.fs import AddressSpace
from xiplab.linux.include.mm import Page
from xiplab.linux.mm.filemap import add_to_page_cache, find_get_page

READS = ((0,), (0, 0), (1, 2, 1), (3, 0, 3, 0))


def read_page(page: Page) -> None:
    """The device's own readpage."""
    assert page.mapping is not None
    assert page.mapping.a_ops.readpage is not None
    page.mapping.a_ops.readpage(page)


def play(pages: tuple[int, ...], cached_read: Function) -> list[Step]:
    """The program reads these pages: what it gets, how often the disk is asked, how many frames there are."""
    experiment = Disk()
    filp = experiment.guest.task.files[experiment.fd]
    assert filp is not None
    seen, asked = [], list[Page]()

    def read_and_note(page: Page) -> None:
        read_page(page)
        asked.append(page)

    for number, index in enumerate(pages, 1):
        got: list[str] = []
        came = outcome(cached_read, filp.f_mapping, index, find_get_page, add_to_page_cache, read_and_note,
                       lambda page, got=got: got.append(word_of(page.frame)))
        seen.append((f"read pages {', '.join(map(str, pages[:number]))}",
                     f"{'' if came == 'None' else f'{came}; '}the program got {', '.join(got) or 'nothing'}; "
                     f"the disk was asked {len(asked)} times; {experiment.frames()['page cache']} frames"))
    return seen


def right(mapping: AddressSpace, index: int, find_page: Function, add_page: Function, read: Function,
          copy_to_user: Function) -> None:
    """What do_generic_file_read does with a page."""
    page = find_page(mapping, index)
    if page is None:
        page = add_page(mapping, index)
        read(page)
    copy_to_user(page)


def hit_is_not_copied(mapping: AddressSpace, index: int, find_page: Function, add_page: Function,
                      read: Function, copy_to_user: Function) -> None:
    if find_page(mapping, index) is None:
        page = add_page(mapping, index)
        read(page)
        copy_to_user(page)


def asks_again(mapping: AddressSpace, index: int, find_page: Function, add_page: Function, read: Function,
               copy_to_user: Function) -> None:
    page = find_page(mapping, index) or add_page(mapping, index)
    read(page)
    copy_to_user(page)


def copied_too_early(mapping: AddressSpace, index: int, find_page: Function, add_page: Function,
                     read: Function, copy_to_user: Function) -> None:
    page = find_page(mapping, index)
    if page is not None:
        copy_to_user(page)
        return
    page = add_page(mapping, index)
    copy_to_user(page)
    read(page)


def never_found(mapping: AddressSpace, index: int, find_page: Function, add_page: Function, read: Function,
                copy_to_user: Function) -> None:
    page = add_page(mapping, index)
    read(page)
    copy_to_user(page)


def never_read(mapping: AddressSpace, index: int, find_page: Function, add_page: Function, read: Function,
               copy_to_user: Function) -> None:
    copy_to_user(find_page(mapping, index) or add_page(mapping, index))


BELIEFS = (("second-read-is-free", hit_is_not_copied), ("cache-asks-again", asks_again),
           ("frame-comes-filled", copied_too_early), ("frame-comes-filled", never_read),
           ("each-read-takes-a-frame", never_found))


def check_read(answer: Answer, random: Random) -> None:
    """Pages read for the first time, and again."""
    for pages in (*READS, tuple(random.choices(range(4), k=5))):
        judge_play(partial(play, pages), seam(answer, "cached_read"), right, BELIEFS,
                   "These reads do not go as they should.")

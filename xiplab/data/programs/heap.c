/* heap PAGES: the heap grows by that many pages, each is used, and it shrinks again. */
#include "xip.h"

static long brk(long end) { return SYSCALL(SYS_brk, end, 0, 0, 0); }

int main(int argc, char **argv)
{
	long pages = argc > 1 ? number_of(argv[1]) : 1, sum = 0;
	long start = brk(0), end = start + pages * PAGE_SIZE;

	if (brk(end) != end) {
		print("no memory\n");
		return 1;
	}
	for (long page = 0; page < pages; page++)
		*(long *)(start + page * PAGE_SIZE) = page + 1;
	for (long page = 0; page < pages; page++)
		sum += *(long *)(start + page * PAGE_SIZE);
	print_number(sum, 10);
	print(brk(start) == start ? ", given back\n" : ", kept\n");
	return 0;
}

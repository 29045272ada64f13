/* calls: system calls that cannot succeed, and what they answer. */
#include "xip.h"

#define TRY(what, ...) (print(what " "), print_number(SYSCALL(__VA_ARGS__), 10), print("\n"))

static char here[8];

int main(void)
{
	TRY("write from nowhere", SYS_write, 1, 16, 5, 0);
	TRY("write to a closed descriptor", SYS_write, 77, here, 1, 0);
	TRY("open nothing", SYS_open, "/no/such/file", 0, 0, 0);
	TRY("open a name that is nowhere", SYS_open, 16, 0, 0, 0);
	TRY("close twice", SYS_close, 77, 0, 0, 0);
	TRY("seek a closed descriptor", SYS_lseek, 77, 0, 0, 0);
	TRY("unmap half a page", SYS_munmap, 2048, 4096, 0, 0);
	TRY("protect what is not mapped", SYS_mprotect, 0x5000000, 4096, PROT_READ, 0);
	TRY("a call that does not exist", 127, 0, 0, 0, 0);
	return 0;
}

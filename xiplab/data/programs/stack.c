/* stack [WORD...]: what the kernel put on the stack: arguments, environment, auxiliary vector. Addresses
   that differ from run to run are not printed, but whether they are right. */
#include "xip.h"

enum { AT_NULL, AT_PHDR = 3, AT_PHENT, AT_PHNUM, AT_PAGESZ, AT_BASE, AT_FLAGS, AT_ENTRY, AT_UID = 11,
       AT_EUID, AT_GID, AT_EGID, AT_CLKTCK = 17, AT_SECURE = 23, AT_RANDOM = 25, AT_EXECFN = 31 };

extern char _start[], __executable_start[];

static void line(const char *name, long value)
{
	print(name);
	print(" ");
	print_number(value, 10);
	print("\n");
}

static void print_auxv(long type, long value)
{
	if (type == AT_PHDR)
		line("AT_PHDR", value == (long)__executable_start + 64);
	else if (type == AT_PHENT)
		line("AT_PHENT", value);
	else if (type == AT_PHNUM)
		line("AT_PHNUM", value);
	else if (type == AT_PAGESZ)
		line("AT_PAGESZ", value);
	else if (type == AT_BASE)
		line("AT_BASE", value);
	else if (type == AT_ENTRY)
		line("AT_ENTRY", value == (long)_start);
	else if (type == AT_CLKTCK)
		line("AT_CLKTCK", value);
	else if (type == AT_RANDOM)
		line("AT_RANDOM", value != 0);
	else if (type == AT_EXECFN)
		line("AT_EXECFN", value != 0);
}

int main(int argc, char **argv, char **envp)
{
	char **end;

	line("aligned", ((long)argv - 8) % 8 == 0);
	line("argc", argc);
	for (int i = 0; i < argc; i++) {
		print(argv[i]);
		print("\n");
	}
	for (end = envp; *end; end++) {
		print(*end);
		print("\n");
	}
	for (long *auxv = (long *)(end + 1); auxv[0] != AT_NULL; auxv += 2)
		print_auxv(auxv[0], auxv[1]);
	return 0;
}

/* libgreet.so: code that many programs share, each at an address of its own. */
#include "xip.h"
#include "greet.h"

static long greetings;                  /* one copy for each program that greets */
const char *greeting[] = {"Hello", ", "};       /* two addresses: the dynamic linker fills them in */

/* The sign is a number inside an instruction: whoever changes that byte of storage has changed the
   program of everybody. */
__attribute__((noinline, noclone)) static int sign(void)
{
	return '.';
}

long greet(const char *who)
{
	char line[128];
	long length = 0;

	for (int part = 0; part < 2; part++)
		for (const char *from = greeting[part]; *from; from++)
			line[length++] = *from;
	for (; *who && length < (long)sizeof line - 2; who++)
		line[length++] = *who;
	line[length++] = sign();
	line[length++] = '\n';
	write(1, line, length);
	return ++greetings;
}

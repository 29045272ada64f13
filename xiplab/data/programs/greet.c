/* greet NAME...: greets each by the shared library. The exit status is the number of greetings. */
#include "greet.h"

int main(int argc, char **argv)
{
	long count = 0;

	for (int i = 1; i < argc; i++)
		count = greet(argv[i]);
	return count;
}

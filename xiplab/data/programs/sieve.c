/* sieve [LIMIT]: how many primes there are below LIMIT (at most 65536). The table is in .bss. */
#include "xip.h"

static char composite[65536];

int main(int argc, char **argv)
{
	long limit = argc > 1 ? number_of(argv[1]) : 65536, count = 0;

	if (limit > (long)sizeof composite)
		return 2;
	for (long n = 2; n < limit; n++) {
		if (composite[n])
			continue;
		count++;
		for (long multiple = n * n; multiple < limit; multiple += n)
			composite[multiple] = 1;
	}
	print_number(count, 10);
	print("\n");
	return 0;
}

/* counter: stores to .data, which the file holds, and to .bss, which it does not. Each run prints the
   same numbers, because each run has a copy of its own. */
#include "xip.h"

long in_data = 41;
long in_bss;
long far_in_bss[1024];

int main(void)
{
	print("data ");
	print_number(++in_data, 10);
	print(", bss ");
	print_number(++in_bss, 10);
	print(", far ");
	print_number(++far_in_bss[1023], 10);
	print("\n");
	return 0;
}

/* peek FILE OFFSET...: the bytes at these offsets of a mapped file. A hole is full of zeros; past the
   file's last page there is nothing, and the program ends with SIGBUS. */
#include "xip.h"

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	volatile unsigned char *file = (volatile unsigned char *)
		mmap(0, 1 << 24, PROT_READ, MAP_SHARED, open_or_exit(argv[1]), 0);

	for (int i = 2; i < argc; i++) {
		print_number(file[number_of(argv[i])], 10);
		print("\n");
	}
	return 0;
}

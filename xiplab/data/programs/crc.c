/* crc FILE...: the CRC-32 of each file, computed where the file lies: it is mapped, not read. */
#include "xip.h"

/* One step of the division for each value of four bits. */
static const unsigned int step[16] = {
	0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
	0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

static unsigned int crc32(const unsigned char *bytes, long count)
{
	unsigned int crc = ~0u;

	while (count--) {
		crc ^= *bytes++;
		crc = crc >> 4 ^ step[crc & 15];
		crc = crc >> 4 ^ step[crc & 15];
	}
	return ~crc;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int fd = open_or_exit(argv[i]);
		long size = file_size(fd);
		long at = size ? mmap(0, size, PROT_READ, MAP_SHARED, fd, 0) : 0;

		print_number(crc32((const unsigned char *)at, size), 16);
		print(" ");
		print(argv[i]);
		print("\n");
	}
	return 0;
}

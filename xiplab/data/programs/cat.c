/* cat [-m] FILE...: the files to standard output, by read(), or with -m through a mapping. */
#include "xip.h"

static char buffer[1024];

static void copy_by_reading(int fd)
{
	long count;

	while ((count = read(fd, buffer, sizeof buffer)) > 0)
		write(1, buffer, count);
}

static void copy_by_mapping(int fd)
{
	long size = file_size(fd);

	if (size)
		write(1, (char *)mmap(0, size, PROT_READ, MAP_SHARED, fd, 0), size);
}

int main(int argc, char **argv)
{
	int mapped = argc > 1 && same(argv[1], "-m");

	for (int i = 1 + mapped; i < argc; i++) {
		int fd = open_or_exit(argv[i]);

		if (mapped)
			copy_by_mapping(fd);
		else
			copy_by_reading(fd);
		close(fd);
	}
	return 0;
}

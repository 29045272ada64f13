/* shout NAME: greets by the shared library, with the name in capitals. It can run at any address. */
#include "xip.h"
#include "greet.h"

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	for (char *letter = argv[1]; *letter; letter++)
		if (*letter >= 'a' && *letter <= 'z')
			*letter -= 'a' - 'A';
	return greet(argv[1]);
}

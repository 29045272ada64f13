/* hello [NAME]: a greeting. */
#include "xip.h"

int main(int argc, char **argv)
{
	print("Hello, ");
	print(argc > 1 ? argv[1] : "reader");
	print(".\n");
	return 0;
}

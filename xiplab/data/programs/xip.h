/* What our programs know of Linux on s390x: system calls, and a few lines to print with. */

#define SYS_exit 1
#define SYS_read 3
#define SYS_write 4
#define SYS_open 5
#define SYS_close 6
#define SYS_lseek 19
#define SYS_getpid 20
#define SYS_brk 45
#define SYS_mmap 90
#define SYS_munmap 91
#define SYS_fstat 108
#define SYS_mprotect 125
#define SYS_writev 146
#define SYS_pread 180
#define SYS_exit_group 248

#define PROT_READ 1
#define PROT_WRITE 2
#define PROT_EXEC 4
#define MAP_SHARED 1
#define MAP_PRIVATE 2
#define MAP_FIXED 16
#define MAP_ANONYMOUS 32
#define PAGE_SIZE 4096

/* SVC has the number in its second byte. Arguments are in r2 to r6, the result is in r2: -errno if the
   call failed. */
#define SYSCALL(number, a, b, c, d) ({                                                  \
	register long r2 asm("2") = (long)(a);                                          \
	register long r3 asm("3") = (long)(b);                                          \
	register long r4 asm("4") = (long)(c);                                          \
	register long r5 asm("5") = (long)(d);                                          \
	asm volatile("svc %[nr]" : "+d"(r2)                                             \
		     : [nr] "i"(number), "d"(r3), "d"(r4), "d"(r5) : "cc", "memory");   \
	r2; })

static inline long write(int fd, const void *from, long count) { return SYSCALL(SYS_write, fd, from, count, 0); }
static inline long read(int fd, void *to, long count) { return SYSCALL(SYS_read, fd, to, count, 0); }
static inline long open(const char *path) { return SYSCALL(SYS_open, path, 0, 0, 0); }
static inline long close(int fd) { return SYSCALL(SYS_close, fd, 0, 0, 0); }
static inline long pread(int fd, void *to, long count, long at) { return SYSCALL(SYS_pread, fd, to, count, at); }

/* mmap has six arguments, one more than there are registers: they lie in memory. */
static inline long mmap(void *at, long length, long prot, long flags, long fd, long offset)
{
	volatile long arguments[6] = {(long)at, length, prot, flags, fd, offset};

	return SYSCALL(SYS_mmap, arguments, 0, 0, 0);
}

static inline __attribute__((noreturn)) void exit(int status)
{
	for (;;)
		SYSCALL(SYS_exit_group, status, 0, 0, 0);
}

struct stat {
	unsigned long st_dev, st_ino, st_nlink;
	unsigned int st_mode, st_uid, st_gid, padding;
	unsigned long st_rdev, st_size, times[6], st_blksize;
	long st_blocks;
	unsigned long unused[3];
};

static inline long file_size(int fd)
{
	struct stat stat;
	long error = SYSCALL(SYS_fstat, fd, &stat, 0, 0);

	return error ? error : (long)stat.st_size;
}

static inline long length_of(const char *text)
{
	long length = 0;

	while (text[length])
		length++;
	return length;
}

static inline int same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static inline void print(const char *text) { write(1, text, length_of(text)); }

static void print_number(long number, int base)
{
	char digits[24], *first = digits + sizeof digits;
	unsigned long rest = number < 0 ? -(unsigned long)number : (unsigned long)number;

	*--first = 0;
	do
		*--first = "0123456789abcdef"[rest % base];
	while (rest /= base);
	if (number < 0)
		*--first = '-';
	print(first);
}

static inline long number_of(const char *digits)
{
	long number = 0;

	while (*digits)
		number = 10 * number + *digits++ - '0';
	return number;
}

/* Open a file, or end the program and say why. */
static inline int open_or_exit(const char *path)
{
	long fd = open(path);

	if (fd < 0) {
		print(path);
		print(": error ");
		print_number(-fd, 10);
		print("\n");
		exit(1);
	}
	return fd;
}

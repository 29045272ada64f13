/* ld.so: the dynamic linker, which the kernel starts in place of a program that needs libraries.

   It runs as the program itself. It maps the libraries that the program names, fills in the addresses
   that depend on where they came to lie, and lets the program begin. Code is not touched: the addresses
   that differ from program to program are all in the pages of data. */
#include "xip.h"

#define FOLDER "/mnt/lib/"
#define MOST 8

enum { PT_LOAD = 1, PT_DYNAMIC = 2, PT_PHDR = 6 };
enum { AT_PHDR = 3, AT_PHNUM = 5, AT_ENTRY = 9 };
enum { DT_NEEDED = 1, DT_PLTRELSZ, DT_HASH = 4, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ, DT_JMPREL = 23,
       DT_COUNT = 24 };
enum { R_390_GLOB_DAT = 10, R_390_JMP_SLOT = 11, R_390_RELATIVE = 12, R_390_64 = 22 };

typedef unsigned long Address;

struct header { char ident[16]; short type, machine; int version; Address entry, phoff, shoff; int flags;
		short ehsize, phentsize, phnum, shentsize, shnum, shstrndx; };
struct segment { int type, flags; Address offset, vaddr, paddr, filesz, memsz, align; };
struct symbol { int name; unsigned char info, other; unsigned short section; Address value, size; };
struct relocation { Address offset; int symbol, type; long addend; };

/* A program or library: how far it lies from where it was linked, and its dynamic section by tag. */
struct object { Address base; Address needed[MOST], dynamic[DT_COUNT]; };

static struct object objects[MOST];
static int count;

static void stop(const char *why, const char *what)
{
	print("ld.so: ");
	print(why);
	print(what);
	print("\n");
	exit(127);
}

/* Read the dynamic section of the object whose segments are these. */
static void add(Address base, const struct segment *segments, int number)
{
	if (count == MOST)
		stop("too many libraries", "");
	struct object *object = &objects[count++];
	int needed = 0;

	object->base = base;
	for (const struct segment *s = segments; s < segments + number; s++) {
		if (s->type != PT_DYNAMIC)
			continue;
		for (const long *entry = (const long *)(base + s->vaddr); *entry; entry += 2) {
			if (*entry == DT_NEEDED && needed < MOST - 1)
				object->needed[needed++] = entry[1];
			else if (*entry > 0 && *entry < DT_COUNT)
				object->dynamic[*entry] = entry[1];
		}
	}
}

static Address page_of(Address address) { return address & -PAGE_SIZE; }

/* Map one segment of a library. What its last page holds behind the file's bytes becomes zero. */
static void map_segment(int fd, Address base, const struct segment *s)
{
	Address start = base + page_of(s->vaddr), in_file = base + s->vaddr + s->filesz;
	Address end = page_of(in_file + PAGE_SIZE - 1), in_memory = base + s->vaddr + s->memsz;
	long prot = (s->flags & 4 ? PROT_READ : 0) | (s->flags & 2 ? PROT_WRITE : 0) | (s->flags & 1 ? PROT_EXEC : 0);

	mmap((void *)start, end - start, prot, MAP_PRIVATE | MAP_FIXED, fd, page_of(s->offset));
	if (s->memsz == s->filesz)
		return;
	for (volatile char *byte = (char *)in_file; (Address)byte < end; byte++)
		*byte = 0;
	if (in_memory > end)
		mmap((void *)end, in_memory - end, prot, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0);
}

static void load(const char *name)
{
	char path[64] = FOLDER, start[512];
	long length = sizeof FOLDER - 1;

	for (const char *from = name; *from && length < (long)sizeof path - 1; from++)
		path[length++] = *from;
	path[length] = 0;
	long fd = open(path);

	if (fd < 0 || pread(fd, start, sizeof start, 0) < (long)sizeof(struct header))
		stop("cannot open ", path);
	const struct header *header = (const struct header *)start;
	const struct segment *segments = (const struct segment *)(start + header->phoff);
	Address span = 0;

	for (const struct segment *s = segments; s < segments + header->phnum; s++)
		if (s->type == PT_LOAD)
			span = s->vaddr + s->memsz;
	Address base = mmap(0, span, 0, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (const struct segment *s = segments; s < segments + header->phnum; s++)
		if (s->type == PT_LOAD)
			map_segment(fd, base, s);
	close(fd);
	add(base, segments, header->phnum);
}

/* The address of a name: the first object that has it wins. DT_HASH begins with two numbers (of eight
   bytes, on s390x), and the second one is how many symbols there are. */
static Address find(const char *name)
{
	for (const struct object *o = objects; o < objects + count; o++) {
		if (!o->dynamic[DT_HASH])
			continue;
		const struct symbol *symbols = (const struct symbol *)(o->base + o->dynamic[DT_SYMTAB]);
		Address number = ((const Address *)(o->base + o->dynamic[DT_HASH]))[1];
		const char *names = (const char *)(o->base + o->dynamic[DT_STRTAB]);

		for (Address i = 1; i < number; i++)
			if (symbols[i].section && same(names + symbols[i].name, name))
				return o->base + symbols[i].value;
	}
	stop("no symbol ", name);
	return 0;
}

static void relocate(const struct object *o, Address table, Address size)
{
	const struct symbol *symbols = (const struct symbol *)(o->base + o->dynamic[DT_SYMTAB]);
	const char *names = (const char *)(o->base + o->dynamic[DT_STRTAB]);
	const struct relocation *r = (const struct relocation *)(o->base + table);

	for (const struct relocation *end = r + size / sizeof *r; r < end; r++) {
		Address *place = (Address *)(o->base + r->offset);

		if (r->type == R_390_RELATIVE)
			*place = o->base + r->addend;
		else if (r->type == R_390_GLOB_DAT || r->type == R_390_JMP_SLOT || r->type == R_390_64)
			*place = find(names + symbols[r->symbol].name) + r->addend;
		else
			stop("unknown relocation", "");
	}
}

Address link_program(const long *stack)
{
	Address value[32] = {0}, base = 0;

	for (stack += *stack + 2; *stack; stack++)
		;
	for (stack++; *stack; stack += 2)
		if (*stack < 32)
			value[*stack] = stack[1];
	const struct segment *segments = (const struct segment *)value[AT_PHDR];

	for (Address i = 0; i < value[AT_PHNUM]; i++)
		if (segments[i].type == PT_PHDR)
			base = value[AT_PHDR] - segments[i].vaddr;
	add(base, segments, value[AT_PHNUM]);
	for (int i = 0; i < count; i++)
		for (const Address *name = objects[i].needed; *name; name++)
			load((const char *)(objects[i].base + objects[i].dynamic[DT_STRTAB] + *name));
	for (struct object *o = objects; o < objects + count; o++) {
		relocate(o, o->dynamic[DT_RELA], o->dynamic[DT_RELASZ]);
		relocate(o, o->dynamic[DT_JMPREL], o->dynamic[DT_PLTRELSZ]);
	}
	return value[AT_ENTRY];
}

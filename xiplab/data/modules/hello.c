/* A kernel module of the course: small, and with every kind of reference that the loader patches. */

extern int printk(const char *format, ...);
extern volatile unsigned long jiffies;

struct module {
    unsigned int state;
    void *list[2];
    char name[56];
    int (*init)(void);
    void (*exit)(void);
};

static const char modinfo[] __attribute__((section(".modinfo"), used)) =
    "license=Dual MIT/GPL\0description=Says hello from memory of the kernel's own\0"
    "vermagic=3.6.0-xiplab SMP mod_unload ";

static const char *const texts[] = {"hello: loaded at jiffy %lu, call %d\n", "hello: unloaded\n"};
static int calls;

int hello(int which)
{
    calls += 1;
    return printk(texts[which], jiffies, calls);
}

__attribute__((section(".init.text"))) int init_module(void)
{
    hello(0);
    return 0;
}

__attribute__((section(".exit.text"))) void cleanup_module(void)
{
    hello(1);
}

struct module __this_module __attribute__((section(".gnu.linkonce.this_module"))) = {
    .name = "hello",
    .init = init_module,
    .exit = cleanup_module,
};

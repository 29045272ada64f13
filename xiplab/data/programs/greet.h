/* The shared library libgreet.so. */

/* Prints "Hello, WHO" and the sign that ends a sentence. Returns how often this program did so. */
long greet(const char *who);

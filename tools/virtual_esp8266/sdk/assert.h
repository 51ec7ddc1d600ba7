// assert() for the port's sources, in place of picolibc's, which needs its library. Part of uwebsocket; MIT licence.

#undef assert
#ifdef NDEBUG
#define assert(expression) ((void)0)
#else
void __assert_func(const char *file, int line, const char *function, const char *expression);
#define assert(expression) ((expression) ? (void)0 : __assert_func(__FILE__, __LINE__, __func__, #expression))
#endif
#ifndef static_assert
#define static_assert _Static_assert
#endif

// Loads the shared library and calls into it.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
int main(int c, char **v) {
  void *h = dlopen(v[1], RTLD_NOW);
  if (!h) { puts(dlerror()); return 1; }
  int (*fib)(int) = dlsym(h, "GoFib");
  printf("%d\n", fib(c > 2 ? atoi(v[2]) : 20));
  return 0;
}

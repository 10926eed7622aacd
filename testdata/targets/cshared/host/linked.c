// Is linked with the library as an archive (-buildmode=c-archive), and calls into it.
#include <stdio.h>
#include <stdlib.h>
extern int GoFib(int);
int main(int c, char **v) {
  printf("%d\n", GoFib(c > 1 ? atoi(v[1]) : 20));
  return 0;
}

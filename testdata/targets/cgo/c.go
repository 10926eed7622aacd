package main

/*
#include <pthread.h>
#include <stdint.h>

extern int64_t goCallback(int64_t);

int64_t callThroughC(int64_t a) { return goCallback(a) + 1; }

static void *thread(void *a) { return (void *)goCallback((int64_t)a); }

int64_t callOnNewThread(int64_t a) {
	pthread_t t;
	void *r = 0;
	if (pthread_create(&t, 0, thread, (void *)a)) {
		return -1;
	}
	pthread_join(t, &r);
	return (int64_t)r;
}
*/
import "C"

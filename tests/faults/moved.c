/* A wall clock that is wrong by CLOCK_MOVED seconds, for who is begun with this preloaded. What is waited by goes on as ever:
   faketime moves that too, or its sleeps fail. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t which, struct timespec *at)
{
    int failed = (int) syscall(SYS_clock_gettime, which, at);
    const char *moved = getenv("CLOCK_MOVED");
    if (!failed && moved && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
        at->tv_sec += atol(moved);
    return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec found;
    int failed = clock_gettime(CLOCK_REALTIME, &found);
    at->tv_sec = found.tv_sec;
    at->tv_usec = found.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *at)
{
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (at)
        *at = found.tv_sec;
    return found.tv_sec;
}

/* While the file named by FAILING is there, of 1,000 writes and syncs FAILING_OF_1000 fail, by chance, in who is begun with this
   preloaded; under libfiu a server of PostgreSQL does not start. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int fails(void)
{
    static unsigned int seed;
    static pid_t of;
    struct timespec now;
    if (of != getpid()) { /* each process has a chance of its own */
        of = getpid();
        clock_gettime(CLOCK_MONOTONIC, &now);
        seed = (unsigned int) (now.tv_nsec ^ of);
    }
    if (access(getenv("FAILING"), F_OK) || rand_r(&seed) % 1000 >= atoi(getenv("FAILING_OF_1000")))
        return 0;
    errno = EIO;
    return 1;
}

#define REAL(name) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int file, const void *from, size_t size, off_t at) { return fails() ? -1 : REAL(pwrite)(file, from, size, at); }
ssize_t pwrite64(int file, const void *from, size_t size, off64_t at) { return fails() ? -1 : REAL(pwrite64)(file, from, size, at); }
int fsync(int file) { return fails() ? -1 : REAL(fsync)(file); }
int fdatasync(int file) { return fails() ? -1 : REAL(fdatasync)(file); }

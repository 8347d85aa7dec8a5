/* Lets a program's clocks run faster or slower than the machine's: all but the wall clock's zero point, from the moment of
 * its start on. SEKISHO_RATE_PPM says by how much. Loaded with LD_PRELOAD, by the drills alone.
 * Why not libfaketime: it moves the monotonic clock to the wall clock's numbers, and a wait until an absolute instant,
 * which goes to the kernel past it, would last for ever. Here the two differ by the drift only. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CLOCKS 16
static struct timespec base[CLOCKS];
static long ppm;

__attribute__((constructor)) static void start(void) {
  const char *text = getenv("SEKISHO_RATE_PPM");
  ppm = text ? atol(text) : 0;
  for (int id = 0; id < CLOCKS; id++)
    if (syscall(SYS_clock_gettime, id, &base[id]) != 0) base[id].tv_sec = 0;
}

int clock_gettime(clockid_t id, struct timespec *now) {
  int failed = syscall(SYS_clock_gettime, id, now);
  if (failed || ppm == 0) return failed;
  /* The clocks of processes and threads are not those that leases count on. */
  if (id != CLOCK_REALTIME && id != CLOCK_MONOTONIC && id != CLOCK_BOOTTIME) return 0;
  __int128 passed = (__int128)(now->tv_sec - base[id].tv_sec) * 1000000000 + now->tv_nsec - base[id].tv_nsec;
  __int128 then = (__int128)base[id].tv_sec * 1000000000 + base[id].tv_nsec + passed + passed * ppm / 1000000;
  now->tv_sec = (time_t)(then / 1000000000);
  now->tv_nsec = (long)(then % 1000000000);
  return 0;
}

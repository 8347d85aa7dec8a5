/*
 * Asks Slurm for allocations through its own library: what `salloc` does, without a process for each.
 *
 *   alloc THREADS < JOBS     a line for each job: nodes, tasks
 *
 * For each answer a line: the job's id and the microseconds of the call, or `-` and why there is none. A line is written
 * when the answer has come, so whoever reads knows what was acknowledged whatever becomes of this process.
 */
#include <pthread.h>
#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 256
#define TIME_LIMIT_MINUTES 600

static pthread_mutex_t lines = PTHREAD_MUTEX_INITIALIZER;

static long long now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int next_job(unsigned *nodes, unsigned *tasks) {
  pthread_mutex_lock(&lines);
  int read = scanf("%u %u", nodes, tasks);
  pthread_mutex_unlock(&lines);
  return read == 2;
}

static void *work(void *unused) {
  char *environment[] = {"SLURM_BENCH=1", NULL};
  unsigned nodes, tasks;
  while (next_job(&nodes, &tasks)) {
    job_desc_msg_t job;
    slurm_init_job_desc_msg(&job);
    job.name = "bench";
    job.user_id = getuid();
    job.group_id = getgid();
    job.min_nodes = nodes;
    job.max_nodes = nodes;
    job.num_tasks = tasks;
    job.ntasks_per_node = tasks / nodes;
    job.min_cpus = tasks;
    job.work_dir = "/tmp";
    job.time_limit = TIME_LIMIT_MINUTES;
    job.environment = environment;
    job.env_size = 1;
    resource_allocation_response_msg_t *answer = NULL;
    long long begun = now_us();
    int failed = slurm_allocate_resources(&job, &answer);
    long long took = now_us() - begun;
    pthread_mutex_lock(&lines);
    /* Without nodes it was queued and not allocated. */
    if (!failed && answer && answer->node_list)
      printf("%u %lld\n", answer->job_id, took);
    else
      printf("- %s\n", failed ? slurm_strerror(slurm_get_errno()) : "queued");
    fflush(stdout);
    pthread_mutex_unlock(&lines);
    if (answer)
      slurm_free_resource_allocation_response_msg(answer);
  }
  return unused;
}

int main(int count, char **arguments) {
  int threads = count > 1 ? atoi(arguments[1]) : 1;
  if (threads < 1 || threads > THREADS_MAX)
    return 2;
  slurm_init(NULL);
  pthread_t all[THREADS_MAX];
  for (int i = 0; i < threads; i++)
    if (pthread_create(&all[i], NULL, work, NULL))
      return 1;
  for (int i = 0; i < threads; i++)
    pthread_join(all[i], NULL);
  return 0;
}

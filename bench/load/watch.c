#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_stat(pid_t pid, unsigned long long *ticks) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = 0;
    char *rest = strrchr(text, ')'); /* the name before it may hold anything */
    unsigned long long user, system;
    if (!rest || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
        return false;
    *ticks = user + system;
    return true;
}

static void add(struct moon_load_watch *watch, pid_t pid) {
    if (watch->count < MOON_LOAD_PROCESSES_MAX)
        watch->processes[watch->count++] = pid;
}

static void add_children(struct moon_load_watch *watch, pid_t pid) {
    char path[64];
    int child;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    while (fscanf(file, "%d", &child) == 1)
        add(watch, child);
    fclose(file);
}

int moon_load_watch_open(struct moon_load_watch *watch, const struct moon_load_options *options) {
    unsigned long long ticks;
    watch->count = 0;
    for (unsigned i = 0; i < options->watch_count; i++) {
        if (!read_stat(options->watch[i], &ticks)) {
            fprintf(stderr, "moongate-load: process %d is not there\n", (int)options->watch[i]);
            return -1;
        }
        add(watch, options->watch[i]);
        add_children(watch, options->watch[i]);
    }
    return 0;
}

double moon_load_watch_cpu(const struct moon_load_watch *watch) {
    unsigned long long sum = 0, ticks;
    for (unsigned i = 0; i < watch->count; i++)
        if (read_stat(watch->processes[i], &ticks))
            sum += ticks;
    return (double)sum / (double)sysconf(_SC_CLK_TCK);
}

uint64_t moon_load_watch_memory(const struct moon_load_watch *watch) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < watch->count; i++) {
        char path[64], line[256];
        unsigned long long kib;
        snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)watch->processes[i]);
        FILE *file = fopen(path, "r");
        if (!file)
            continue;
        while (fgets(line, sizeof line, file))
            if (sscanf(line, "Pss: %llu kB", &kib) == 1)
                sum += kib * 1024;
        fclose(file);
    }
    return sum;
}

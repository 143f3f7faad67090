/* core/cleanup.h -- what is opened in a scope is closed at its end
 *
 * Memory of a request needs no cleanup (its arena dies). What does -- a lock, a file, a lent reader -- is declared with SCOPED and the
 * name of a function that takes a pointer to the variable:
 *
 *     SCOPED(file_close) int fd = open(...);
 *     SCOPED(reader_return) struct reader *r = NULL;
 */
#ifndef KANTOR_CORE_CLEANUP_H
#define KANTOR_CORE_CLEANUP_H

#include <pthread.h>
#include <unistd.h>

#define SCOPED(closer) __attribute__((cleanup(closer), unused)) /* unused: clang does not count the closing as one */

static inline void file_close(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static inline void mutex_leave(pthread_mutex_t **m)
{
    if (*m)
        (void)pthread_mutex_unlock(*m);
}

/* Locks m until the end of the enclosing block: SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&x->lock); */
static inline pthread_mutex_t *mutex_enter(pthread_mutex_t *m)
{
    (void)pthread_mutex_lock(m);
    return m;
}

#endif

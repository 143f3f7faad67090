/* mail/queue/wake.c -- who listens to the queue */
#include "mail/queue/wake.h"

#include <pthread.h>

#include "core/cleanup.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void (*listener)(void *arg, enum queue_news news);
static void *listener_arg;

void queue_wake_by(void (*hear)(void *arg, enum queue_news news), void *arg)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    listener = hear;
    listener_arg = arg;
}

void queue_wake(enum queue_news news)
{
    SCOPED(mutex_leave) pthread_mutex_t *held = mutex_enter(&lock);
    (void)held;
    if (listener)
        listener(listener_arg, news);
}

/* Helpers of the test programs that answer a job on a thread of their choice. */
#ifndef HAND_H
#define HAND_H

#include <cortensor_router.h>
#include <pthread.h>

/* Passes a job from the thread of the callback to the thread of the test. */
struct hand {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    cortensor_job *job;
};

static inline void keep(void *user, cortensor_job *job)
{
    struct hand *hand = user;
    pthread_mutex_lock(&hand->lock);
    hand->job = job;
    pthread_cond_signal(&hand->changed);
    pthread_mutex_unlock(&hand->lock);
}

static inline cortensor_job *take(struct hand *hand)
{
    cortensor_job *job;
    pthread_mutex_lock(&hand->lock);
    while (hand->job == NULL) {
        pthread_cond_wait(&hand->changed, &hand->lock);
    }
    job = hand->job;
    hand->job = NULL;
    pthread_mutex_unlock(&hand->lock);
    return job;
}

#endif
